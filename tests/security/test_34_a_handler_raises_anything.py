"""Threat 34, handlers and middleware: whatever they raise, the message is answered, nobody else
suffers, and nothing of it is on the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from tests.server import virtual_time
from tests.server.harness import running
from wsframe import App

pytestmark = pytest.mark.anyio

SECRET = "internals-that-nobody-may-see"


class Odd(BaseException):
    pass


FAULTS: dict[str, Callable[[], BaseException]] = {
    "exception": lambda: RuntimeError(SECRET),
    "base exception": lambda: Odd(SECRET),
    "system exit": lambda: SystemExit(SECRET),
    "generator exit": lambda: GeneratorExit(SECRET),
    "stray cancellation": lambda: asyncio.CancelledError(SECRET),
    "stop iteration": lambda: StopIteration(SECRET),
    "stop async iteration": lambda: StopAsyncIteration(SECRET),
    "group": lambda: BaseExceptionGroup(SECRET, [SystemExit(SECRET), ValueError(SECRET)]),
    "nested group": lambda: BaseExceptionGroup("g", [ExceptionGroup("g", [KeyError(SECRET)])]),
    "group with a stray cancellation": lambda: BaseExceptionGroup(
        "g", [asyncio.CancelledError(SECRET), ValueError(SECRET)]
    ),
}


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return virtual_time.backend(request.param)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("waits", [False, True], ids=["at once", "later"])
@pytest.mark.parametrize(
    "where", ["handler", "concurrent", "stream", "middleware", "after the handler"]
)
async def test_34_whatever_is_raised_is_answered_as_handler_failed(
    where: str, waits: bool, fault: str
) -> None:
    app = App()

    async def fail() -> None:
        if waits:
            await anyio.sleep(0.1)
        raise FAULTS[fault]()  # noqa: RSE102 - a function that makes it

    async def handler(message: Any, connection: Any) -> Any:
        if message.content == "victim" and where in ("handler", "concurrent"):
            await fail()
        return {"fine": True}

    async def stream(message: Any, connection: Any) -> Any:
        if message.content == "victim":
            await fail()
        yield {"fine": True}

    async def middleware(message: Any, connection: Any, call_next: Any) -> Any:
        if message.content == "victim" and where == "middleware":
            await fail()
        result = await call_next(message, connection)
        if message.content == "victim" and where == "after the handler":
            await fail()
        return result

    if where in ("middleware", "after the handler"):
        app.use(middleware)
    app.add_handler(
        "do", stream if where == "stream" else handler, concurrent=where == "concurrent"
    )
    async with running(app) as server:
        victim, bystander = server.connect(), server.connect()
        for _ in range(2):
            answer = await victim.ask("do", "victim")
            assert answer["content"]["code"] == "handler_failed"
            assert SECRET not in json.dumps(victim.received)
            assert (await bystander.ask("do", "bystander"))["type"] == "do"
        assert (await victim.ask("do", "again"))["type"] == "do"
        assert victim.link.open
        assert server.metrics["handlers"]["errors"] == 2
        assert server.busy == 0


async def test_34_a_handler_that_cancels_its_own_task_has_failed_and_the_others_go_on() -> None:
    app = App()

    @app.handler("cancel_me")
    async def cancel_me(message: Any, connection: Any) -> Any:
        if message.content == "after waiting":
            await anyio.sleep(0.1)
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        if message.content != "without waiting":
            await anyio.sleep(0.1)
        return {"fine": True}

    @app.handler("echo")
    async def echo(message: Any, connection: Any) -> Any:
        await anyio.sleep(0.01)
        return message.content

    async with running(app) as server:
        if not server.on_asyncio:
            return
        client, other = server.connect(), server.connect()
        for _ in range(3):
            for how in ("at once", "after waiting", "without waiting"):
                client.send("cancel_me", how)
                for number in range(4):
                    other.send("echo", number)
                await server.pass_time(1)
                assert (await client.ask("echo", how))["content"] == how
        assert len(other.contents("echo")) == 36
        assert [each["content"].get("code") for each in client.received[::2]].count(
            "handler_failed"
        ) >= 6
        assert server.busy == 0


async def test_34_a_handler_that_cancels_its_own_task_and_goes_on_can_still_be_stopped() -> None:
    app = App()

    @app.handler("defiant", timeout_s=1)
    async def defiant(message: Any, connection: Any) -> Any:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        try:
            await anyio.sleep(0)
        except asyncio.CancelledError:
            task.uncancel()
        await anyio.sleep_forever()

    @app.handler("work", timeout_s=None)
    async def work(message: Any, connection: Any) -> Any:
        await anyio.sleep(5)
        return {}

    async with running(app) as server:
        if not server.on_asyncio:
            return
        client, other = server.connect(), server.connect()
        await client.ask("unknown")  # now there is a worker that can begin it at once
        client.send("defiant", id="d")
        await server.quiet()
        for number in range(5):
            other.send("work", id=str(number))
        await client.answer("d")
        assert client.finals("d")[0]["content"]["code"] == "timeout"
        await server.pass_time(60)
        assert [each["type"] for each in other.received] == ["work"] * 5
        assert server.busy == 0


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    "event", ["connection:added", "connection:removed", "message:received", "message:sent", "error"]
)
async def test_34_a_listener_that_raises_stops_nobody(event: str, fault: str) -> None:
    app = App()
    heard = []

    @app.on(event)
    async def bad(*arguments: Any) -> None:
        raise FAULTS[fault]()  # noqa: RSE102 - a function that makes it

    @app.on(event)
    def good(*arguments: Any) -> None:
        heard.append(event)

    @app.handler("echo")
    async def echo(message: Any, connection: Any) -> Any:
        if message.content == "fail":
            raise LookupError
        return message.content

    async with running(app) as server:
        client, other = server.connect(), server.connect()
        assert (await client.ask("echo", "Hi"))["content"] == "Hi"
        assert await client.error("echo", "fail") == "handler_failed"
        await client.leave()
        assert (await other.ask("echo", "still"))["content"] == "still"
        assert server.busy == 0
    assert heard
