"""What is over is forgotten: sessions that have ended leave nothing behind in the server."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from tests.server.harness import JSON, Client, Server, running
from wsframe import App, hookimpl
from wsframe.errors import ConnectionClosed, Refused
from wsframe.server.connection import FINISHED, Connection
from wsframe.session import Session

pytestmark = pytest.mark.anyio

WINDOW_S = 30


@pytest.fixture(autouse=True)
def _no_garbage_collector() -> Iterator[None]:
    """What waits for the collector waits for minutes where there are many objects."""
    gc.collect()
    gc.freeze()  # leftovers of other tests are none of ours, see kept()
    gc.disable()
    yield
    gc.enable()


class Ears:
    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []

    @hookimpl
    async def session_expired(self, session: Any) -> None:
        await anyio.sleep(0.1)
        self.heard.append((session.id, session.connection.metadata["name"]))


def application(*plugins: object) -> App:
    app = App(plugins=plugins, resume_window_s=WINDOW_S)

    @app.handler("wait", concurrent=True)
    async def wait(message: Any, connection: Any) -> Any:
        await anyio.sleep(0.1)
        return message.content

    @app.handler("in.order")
    async def in_order(message: Any, connection: Any) -> Any:
        await anyio.sleep(0.1)
        return message.content

    @app.handler("for.ever", concurrent=True)
    async def for_ever(message: Any, connection: Any) -> Any:
        await anyio.sleep_forever()

    @app.handler("stream")
    async def stream(message: Any, connection: Any) -> Any:
        for number in range(3):
            await anyio.sleep(0.1)
            yield number

    @app.handler("fail")
    async def fail(message: Any, connection: Any) -> Any:
        await anyio.sleep(0.1)
        raise Refused("unavailable")

    return app


def kept(server: Server) -> list[object]:
    """Sessions and connections that are still somewhere, but not because of the test."""
    server.clients.clear()
    if not server.on_asyncio:  # trio's cancellations know the frames that they went through
        gc.collect()
    return [each for each in gc.get_objects() if isinstance(each, (Session, Connection))]


async def begun(server: Server, name: str) -> tuple[Client, dict[str, Any]]:
    """A client with a session that it can come back to, and what it needs for that."""
    client = server.connect(JSON)
    content = (await client.ask("init"))["content"]
    client.connection.metadata["name"] = name
    return client, {"sessionId": content["sessionId"], "secret": content["secret"], "seq": 0}


async def visited(server: Server, message_type: str) -> None:
    """Clients come, ask for a few things at a time, and leave."""
    clients = [(await begun(server, f"client {number}"))[0] for number in range(5)]
    for number in range(5 * 3):
        clients[number // 3].send(message_type)
    await server.pass_time(1)
    while clients:  # a frame may be remembered with what it knows
        await clients.pop().leave(FINISHED)
    await server.pass_time(1)


@pytest.mark.parametrize("message_type", ["wait", "in.order", "for.ever", "stream", "fail"])
async def test_nobody_is_kept_by_the_workers_that_have_served_them(message_type: str) -> None:
    async with running(application()) as server:
        for _ in range(2):  # first by new workers, then by idle ones
            await visited(server, message_type)
        assert server.metrics["messages"]["accepted"] == 2 * 5 * 4
        assert server.busy == 0
        assert kept(server) == []


@pytest.mark.parametrize("resumes", [False, True])
@pytest.mark.parametrize("code", [FINISHED, 1006])
@pytest.mark.parametrize("told", [False, True])
async def test_nothing_is_kept_of_a_session_once_it_is_over_and_everybody_knows(
    told: bool, code: int, resumes: bool
) -> None:
    ears = Ears()
    async with running(application(*[ears] * told)) as server:
        client, ticket = await begun(server, "ada")
        if resumes:
            former, client = client, server.connect(JSON)
            await client.ask("init", {"resume": ticket})
            await server.quiet()
            assert former.closed is not None
            del former
        await client.leave(code)
        del client
        await server.pass_time(WINDOW_S + 1)
        assert ears.heard == [(ticket["sessionId"], "ada")] * told
        assert kept(server) == []


@pytest.mark.parametrize("resumes", [False, True])
async def test_whoever_still_has_a_connection_can_use_it_after_its_session_is_forgotten(
    resumes: bool,
) -> None:
    async with running(application()) as server:
        client, ticket = await begun(server, "ada")
        connection = client.connection
        if resumes:
            client = server.connect(JSON)
            await client.ask("init", {"resume": ticket})
        await client.leave(FINISHED)
        assert connection.session.connection is None
        assert not connection.attached
        assert not connection.reachable
        connection.close()
        connection.push(b"frame")
        connection.push_unnumbered(b"frame")
        with pytest.raises(ConnectionClosed):
            await connection.send({"type": "note"})
        with pytest.raises(ConnectionClosed):
            await connection.drained()
