"""Trials of applications: a good one keeps the promise, and each way to break it is found."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import anyio
import pytest

from tests.testing.conftest import RunPytest, run_pytest  # noqa: F401 - a fixture
from tests.testing.faults.conftest import make_app
from wsframe import App, Connection, HandlerError, Message
from wsframe.errors import ConnectError, RequestError
from wsframe.testing.faults.trial import Connector, Request, Trial, reconnecting_client

REQUESTS: list[Request] = [("text", {"text": "Hi"}), ("count", {"to": 4}), ("fail", {})]


def make_pushing_app() -> App:
    app = make_app()

    @app.handler("fail")
    async def fail(message: Message[Any], connection: Connection) -> None:
        await connection.send({"type": "news", "content": "it fails"})
        raise HandlerError("shop.sold_out", "Nothing left")

    return app


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("kills", [0, 2])
def test_an_application_keeps_the_promise(backend: str, kills: int) -> None:
    trial = Trial(make_pushing_app, REQUESTS * 2, kills=kills, backend=backend)
    trial.run(range(3))


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_seed_gives_the_same_run_again(backend: str) -> None:
    @asynccontextmanager
    async def make_client(connector: Connector) -> AsyncIterator[Any]:
        class Silent(Altered):
            async def stream(self, type: str, content: Any) -> AsyncIterator[Message[Any]]:
                async for part in super().stream(type, content):
                    yield part
                if clients > 2:  # of the calm run: those of the others are never satisfied
                    await anyio.sleep_forever()

        nonlocal clients
        clients += 1
        async with reconnecting_client(connector) as client:
            yield Silent(client)

    texts = []
    for _ in range(2):
        clients = 0
        trial = Trial(
            make_pushing_app, REQUESTS, clients=2, kills=1, make_client=make_client, backend=backend
        )
        with pytest.raises(AssertionError) as raised:
            trial.run([3])
        texts.append(str(raised.value))
    assert "connects" in texts[0]
    assert texts[0] == texts[1]


class Altered:
    """A client whose messages are not what came."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def messages(self) -> AsyncIterator[Message[Any]]:
        return self._client.messages()  # type: ignore[no-any-return]

    def stream(self, type: str, content: Any) -> AsyncIterator[Message[Any]]:
        return self._client.stream(type, content)  # type: ignore[no-any-return]


def broken_by(altered: type[Altered], *, asks: list[Request] | None = None) -> str:
    """What a trial with such clients finds, in runs that are not the calm one."""
    runs = count()

    @asynccontextmanager
    async def make_client(connector: Connector) -> AsyncIterator[Any]:
        async with reconnecting_client(connector) as client:
            yield client if next(runs) == 0 else altered(client)

    trial = Trial(make_pushing_app, asks or REQUESTS, clients=1, make_client=make_client)
    with pytest.raises(AssertionError) as raised:
        trial.run([7])
    return str(raised.value)


def test_a_lost_part_is_found() -> None:
    class Losing(Altered):
        async def stream(self, type: str, content: Any) -> AsyncIterator[Message[Any]]:
            async for part in super().stream(type, content):
                if part.content != {"number": 2}:
                    yield part

    text = broken_by(Losing)
    assert "client 1: 'request 2' (count) parts lost: 2" in text
    assert "seed 7\nto see it again: seed 7\nlast events:" in text


def test_a_part_that_comes_twice_is_found() -> None:
    class Doubling(Altered):
        async def stream(self, type: str, content: Any) -> AsyncIterator[Message[Any]]:
            async for part in super().stream(type, content):
                yield part
                if part.content == {"number": 3}:
                    yield part

    assert "'request 2' (count) parts came twice: 3" in broken_by(Doubling)


def test_a_part_of_another_answer_is_found() -> None:
    class Confusing(Altered):
        async def stream(self, type: str, content: Any) -> AsyncIterator[Message[Any]]:
            async for part in super().stream(type, content):
                part.content["number"] += 100
                yield part

    assert "'request 2' (count) parts that were never sent: 0" in broken_by(Confusing)


def test_silence_is_found() -> None:
    class Silent(Altered):
        async def stream(self, type: str, content: Any) -> AsyncIterator[Message[Any]]:
            await anyio.sleep_forever()
            yield Message(type="never")

    assert "'request 1' (text) was not answered" in broken_by(Silent)


def test_a_client_that_gives_up_is_found() -> None:
    class Weak(Altered):
        async def stream(self, type: str, content: Any) -> AsyncIterator[Message[Any]]:
            raise ConnectError("too tired", hint="Rest.")
            yield

        async def messages(self) -> AsyncIterator[Message[Any]]:
            raise ConnectError("too tired", hint="Rest.")
            yield

    assert "'request 1' (text) was not answered: too tired" in broken_by(Weak)


def test_a_pushed_message_that_comes_twice_is_found() -> None:
    class Repeating(Altered):
        async def messages(self) -> AsyncIterator[Message[Any]]:
            async for message in super().messages():
                yield message
                yield message

    assert "client 1: pushed messages came twice: 1" in broken_by(Repeating)


def test_an_explicit_word_that_an_answer_is_lost_keeps_the_promise() -> None:
    @asynccontextmanager
    async def make_client(connector: Connector) -> AsyncIterator[Any]:
        class Lossy(Altered):
            async def stream(self, type: str, content: Any) -> AsyncIterator[Message[Any]]:
                raise RequestError("session_lost", "The session is over.")
                yield

        async with reconnecting_client(connector) as client:
            yield Lossy(client)

    Trial(make_app, REQUESTS, make_client=make_client).run([1])


def test_parts_that_differ_each_time_can_be_left_alone() -> None:
    numbers = count()

    def make() -> App:
        app = App()

        @app.handler("chance")
        async def chance(message: Message[Any], connection: Connection) -> AsyncIterator[int]:
            for _ in range(1 + next(numbers) % 3):
                yield next(numbers)

        return app

    with pytest.raises(AssertionError, match="never sent"):
        Trial(make, [("chance", {})]).run([1])
    Trial(make, [("chance", {})], same_parts=False).run([1])


def test_the_server_is_killed_as_often_as_asked(caplog: pytest.LogCaptureFixture) -> None:
    apps = []

    def make() -> App:
        apps.append(make_app())
        return apps[-1]

    with caplog.at_level(logging.ERROR):
        Trial(make, REQUESTS[:2], kills=3).run([1, 2])
    assert len(apps) == 1 + 2 * (1 + 3)
    assert not caplog.records


CHAT = """
from wsframe import App

def create_app():
    app = App()

    @app.handler("text")
    async def text(message, connection):
        return message.content

    return app

class Deaf:
    def messages(self):
        return self.nothing()

    async def nothing(self):
        return
        yield

    stream = lambda self, type, content: self.silence()

    async def silence(self):
        import anyio
        await anyio.sleep_forever()
        yield

from contextlib import asynccontextmanager

clients = []

@asynccontextmanager
async def deaf(connector):
    from wsframe.testing.faults.trial import reconnecting_client

    clients.append(connector)
    async with reconnecting_client(connector) as client:
        yield client if len(clients) <= 3 else Deaf()
"""


@pytest.mark.slow
def test_the_fixture_runs_a_users_application(run_pytest: RunPytest) -> None:  # noqa: F811
    done = run_pytest(
        CHAT
        + """
def test_it(wsframe_promise):
    wsframe_promise(create_app, [("text", {"text": "Hi"})], seeds=range(2), kills=1)
"""
    )
    assert "1 passed" in done.stdout, done.stdout


@pytest.mark.slow
def test_a_failure_names_the_command_that_repeats_it(run_pytest: RunPytest) -> None:  # noqa: F811
    broken = (
        CHAT
        + """
def test_it(wsframe_promise):
    wsframe_promise(create_app, [("text", {})], seeds=[5, 6], make_client=deaf)
"""
    )
    done = run_pytest(broken)
    assert "was not answered" in done.stdout, done.stdout
    assert "to see it again: pytest test_it.py::test_it --wsframe-seed 5" in done.stdout
    again = run_pytest(broken, "--wsframe-seed", "8")
    assert "to see it again: pytest test_it.py::test_it --wsframe-seed 8" in again.stdout
    assert "--wsframe-seed 5" not in again.stdout
