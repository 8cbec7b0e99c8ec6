"""Messages that are no answers: to one, to all, to a room."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.server.harness import JSON, MSGPACK, running
from wsframe import App, ConnectionClosed, Refused, hookimpl

pytestmark = pytest.mark.anyio


def chat(*plugins: object, **settings: Any) -> App:
    app = App(plugins=plugins, **settings)

    @app.handler("echo")
    async def echo(message: Any, connection: Any) -> Any:
        return message.content

    return app


async def test_a_message_goes_to_a_session_or_a_connection() -> None:
    app = chat()
    async with running(app) as server:
        client, other = server.connect(), server.connect()
        await app.send(client.connection.session_id, {"type": "a"})
        await app.send(client.connection.id, {"type": "b", "content": [1]})
        assert [each["type"] for each in client.received] == ["a", "b"]
        assert client.contents("b") == [[1]]
        assert "replyTo" not in client.received[0]
        assert "final" not in client.received[0]
        assert other.received == []
        assert server.metrics["messages"]["sent"] == 2


async def test_sending_to_nobody_says_so() -> None:
    app = chat()
    async with running(app) as server:
        client = server.connect()
        connection = client.connection
        with pytest.raises(ConnectionClosed):
            await app.send("nobody", {"type": "a"})
        await client.leave()
        for call in (app.send(connection.id, {"type": "a"}), connection.send({"type": "a"})):
            with pytest.raises(ConnectionClosed):
                await call


async def test_without_a_running_server_nothing_can_be_sent() -> None:
    with pytest.raises(RuntimeError, match="does not run"):
        await App().send("x", {"type": "a"})


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"content": 1},
        {"type": 5},
        {"type": "*"},
        {"type": "init"},
        {"type": "pong"},
        {"type": "a", "replyTo": "1"},
        {"type": "a", "id": "x"},
        {"type": "a", "content": ...},
        {"type": "a", "content": "\ud800"},
        {"type": "a", "content": "x" * 3_000},
    ],
    ids=str,
)
async def test_what_is_no_envelope_is_a_value_error_and_reaches_nobody(message: Any) -> None:
    app = chat(outbox_bytes=2_000)
    async with running(app) as server:
        client = server.connect()
        await client.connection.join("r")
        for call in (
            client.connection.send(message),
            app.broadcast(message),
            app.rooms.publish("r", message),
        ):
            with pytest.raises(ValueError):  # noqa: PT011 - the texts are for people
                await call
        assert client.received == []


async def test_a_broadcast_reaches_everybody_in_their_own_encoding() -> None:
    app = chat()
    async with running(app) as server:
        clients = [server.connect(), server.connect(JSON), server.connect(MSGPACK)]
        gone = server.connect()
        await gone.leave()
        for each in clients:
            await each.ask("echo")
        assert await app.broadcast({"type": "news", "content": {"n": 1}}) == 3
        for each in clients:
            assert each.contents("news") == [{"n": 1}]
            assert each.count == each.connection.session.outbox.count == 2


async def test_a_transient_broadcast_is_not_numbered() -> None:
    app = chat()
    async with running(app) as server:
        client = server.connect()
        assert await app.broadcast({"type": "typing", "transient": True}) == 1
        assert client.received[0]["transient"] is True
        assert client.connection.session.outbox.count == 0


async def test_a_slow_client_delays_nobody_and_is_dropped_when_its_outbox_is_full(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = chat(outbox_messages=5)
    async with running(app) as server:
        slow, fast = server.connect(), server.connect()
        slow.link.leaves_when_told = False
        slow.stop_reading()
        for _ in range(20):
            await app.broadcast({"type": "news"})
        assert len(fast.received) == 20
        assert slow.close_code == 1013
        assert slow.link.failed
        outbox = slow.connection.session.outbox
        assert len(outbox) <= 5
        assert len(caplog.records) == 1  # said once, however much was still meant for it


async def test_unnumbered_messages_do_not_fill_memory_either() -> None:
    app = chat(outbox_messages=5)
    async with running(app) as server:
        slow = server.connect()
        slow.stop_reading()
        for _ in range(5):
            slow.send("ping")
        await server.quiet()
        assert slow.link.open
        slow.send("ping")
        await server.quiet()
        assert slow.close_code == 1013


async def test_a_slow_client_that_reads_again_gets_all_in_order() -> None:
    app = chat()
    async with running(app) as server:
        client = server.connect()
        client.stop_reading()
        client.send("echo", 1)
        await server.quiet()
        client.send("ping")
        await server.quiet()
        await app.broadcast({"type": "news"})
        assert client.received == []
        client.read_again()
        await server.quiet()
        assert [each["type"] for each in client.received] == ["echo", "pong", "news"]
        assert client.count == client.connection.session.outbox.cursor == 2


async def test_a_sender_waits_while_the_client_does_not_read() -> None:
    app = chat()
    async with running(app) as server:
        client = server.connect()
        client.stop_reading()
        sent = []

        async def push() -> None:
            for number in range(3):
                await client.connection.send({"type": "n", "content": number})
                sent.append(number)

        async with anyio.create_task_group() as task_group:
            task_group.start_soon(push)
            await server.pass_time(5)
            assert sent == []
            client.read_again()
        assert client.contents("n") == [0, 1, 2]


async def test_a_sender_that_waits_learns_that_the_client_left() -> None:
    app = chat()
    async with running(app) as server:
        client = server.connect()
        client.stop_reading()
        async with anyio.create_task_group() as task_group:

            async def push() -> None:
                with pytest.raises(ConnectionClosed):
                    await client.connection.send({"type": "n"})

            task_group.start_soon(push)
            await server.pass_time(5)
            client.link.end(1006)


async def test_a_handler_that_sends_to_somebody_who_left_has_failed() -> None:
    app = chat()

    @app.handler("tell")
    async def tell(message: Any, connection: Any) -> Any:
        await app.send(message.content, {"type": "hello"})

    async with running(app) as server:
        client, other = server.connect(), server.connect()
        other_id = other.connection.id
        await client.ask("tell", other_id)
        assert other.contents("hello") == [{}]
        await other.leave()
        assert await client.error("tell", other_id) == "handler_failed"


async def test_a_handler_that_sends_to_its_own_client_that_left_is_cancelled() -> None:
    app = chat()

    @app.handler("tell")
    async def tell(message: Any, connection: Any) -> Any:
        connection.close(1000)
        server.clients[0].link.end(1000)
        await connection.send({"type": "hello"})

    async with running(app) as server:
        server.connect().send("tell")
        await server.quiet()
        assert server.metrics["messages"]["outcomes"]["cancelled"] == 1
        assert server.metrics["handlers"]["errors"] == 0


class PerReceiver:
    """Withholds from some, changes for each."""

    @hookimpl
    async def message_sending(self, connection: Any, message: Any) -> Any:
        if connection is not None and connection.metadata.get("deaf"):
            raise Refused("forbidden")
        if message.content == {"for": "each"}:
            message.content = {"for": connection.id}
        return message


async def test_a_plugin_may_change_or_withhold_for_each_receiver() -> None:
    app = chat(PerReceiver())
    async with running(app) as server:
        one, two, deaf = (server.connect() for _ in range(3))
        deaf.connection.metadata["deaf"] = True
        assert await app.broadcast({"type": "news"}) == 2
        assert deaf.received == []
        assert one.contents("news") == two.contents("news") == [{}]
        with pytest.raises(Refused):
            await deaf.connection.send({"type": "news"})


class Once:
    def __init__(self) -> None:
        self.seen: list[Any] = []

    @hookimpl
    async def message_sending(self, message: Any) -> None:
        self.seen.append(message.type)
        if message.content == {"secret": True}:
            message.content = {}
        if message.content == {"forbidden": True}:
            raise Refused("forbidden")


async def test_a_plugin_that_does_not_look_at_the_receiver_sees_a_broadcast_once() -> None:
    once = Once()
    app = chat(once)
    async with running(app) as server:
        clients = [server.connect() for _ in range(3)]
        await app.broadcast({"type": "news", "content": {"secret": True}})
        assert once.seen == ["news"]
        assert [each.contents("news") for each in clients] == [[{}]] * 3
        with pytest.raises(Refused):
            await app.broadcast({"type": "news", "content": {"forbidden": True}})
        assert len(clients[0].received) == 1
