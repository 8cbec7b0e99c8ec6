"""Beginning a session, who speaks first, numbers, and acknowledgements."""

from __future__ import annotations

import hashlib
import time
from typing import Any

import anyio
import pytest

from tests.server.harness import JSON, MSGPACK, running
from wsframe import App, CloseConnection, Identity, Refused, hookimpl

pytestmark = pytest.mark.anyio


def chat(*plugins: object, **settings: Any) -> App:
    app = App(plugins=plugins, **settings)

    @app.handler("echo")
    async def echo(message: Any, connection: Any) -> Any:
        return message.content

    @app.handler("whoami")
    async def whoami(message: Any, connection: Any) -> Any:
        return {"subject": connection.identity.subject}

    return app


async def test_init_is_answered_with_the_session_and_its_limits() -> None:
    app = chat(
        max_in_flight=7, outbox_messages=8, outbox_bytes=9_999, max_message_bytes=10_000,
        heartbeat_interval_s=1.5, heartbeat_timeout_s=0.5, resume_window_s=45.5,
    )  # fmt: skip
    async with running(app) as server:
        client = server.connect(JSON, identity=Identity(subject="ada", claims={"x": 1}))
        answer = await client.ask("init", {"client": {"name": "test", "version": "1"}}, id="i")
        content = answer["content"]
        assert answer["type"] == "init"
        assert content.pop("sessionId") == client.connection.session_id
        secret = content.pop("secret")
        assert hashlib.sha256(secret.encode()).digest() == client.connection.session.secret_digest
        assert len(secret) >= 22  # 128 bits in base64
        assert content == {
            "resumed": False,
            "seq": 0,
            "gap": None,
            "inFlight": [],
            "identity": {"subject": "ada", "anonymous": False},
            "heartbeat": {"intervalMs": 1500, "timeoutMs": 500},
            "limits": {
                "maxMessageBytes": 10_000,
                "maxInFlight": 7,
                "outboxMessages": 8,
                "outboxBytes": 9_999,
                "resumeWindowMs": 45_500,
            },
        }
        assert client.count == client.connection.session.outbox.count == 0


async def test_a_bare_client_may_send_init_too_and_need_not() -> None:
    async with running(chat()) as server:
        assert (await server.connect().ask("init"))["type"] == "init"
        assert (await server.connect().ask("echo"))["type"] == "echo"
        assert (await server.connect(JSON).ask("echo"))["type"] == "echo"


@pytest.mark.parametrize(
    "content",
    [
        [],
        "x",
        {"token": 5},
        {"client": "x"},
        {"resume": {}},
        {"resume": {"sessionId": "s"}},
        *({"resume": {"sessionId": "s", "secret": "x", "seq": seq}} for seq in (-1, 0.5, 2**53)),
    ],
)
async def test_a_malformed_init_closes_with_4400(content: Any) -> None:
    async with running(chat()) as server:
        client = server.connect(JSON)
        client.send("init", content)
        await server.quiet()
        assert client.close_code == 4400
        assert client.received == []


@pytest.mark.parametrize("first", ["init", "echo", "ping", "{"])
async def test_an_init_that_is_not_first_closes_with_4400(first: str) -> None:
    async with running(chat()) as server:
        client = server.connect(JSON)
        if first == "{":
            client.raw(first)
        else:
            client.send(first)
        client.send("init")
        await server.quiet()
        assert client.close_code == 4400


@pytest.mark.parametrize("subprotocol", [JSON, MSGPACK])
async def test_a_client_that_negotiated_is_sent_nothing_before_its_first_message(
    subprotocol: str,
) -> None:
    app = chat()
    async with running(app) as server:
        client = server.connect(subprotocol)
        for number in range(3):
            await app.broadcast({"type": "news", "content": number})
        await app.send(client.connection.id, {"type": "typing", "transient": True})
        await server.pass_time(1)
        assert client.received == []
        client.send("init")
        await server.quiet()
        assert [each["type"] for each in client.received] == ["init", *["news"] * 3, "typing"]
        assert client.count == client.connection.session.outbox.cursor == 3


@pytest.mark.parametrize("first", ["echo", "ping", "cancel", "{"])
async def test_any_first_message_lets_the_server_speak(first: str) -> None:
    app = chat()
    async with running(app) as server:
        client = server.connect(JSON)
        await app.broadcast({"type": "news"})
        if first == "{":
            client.raw(first)
        else:
            client.send(first)
        await server.quiet()
        assert client.received[0]["type"] == "news"
        assert len(client.received) == 2


async def test_a_bare_client_is_sent_what_there_is_at_once() -> None:
    app = chat()
    async with running(app) as server:
        client = server.connect()
        await app.broadcast({"type": "news"})
        assert client.contents("news") == [{}]


async def test_what_waits_for_a_client_that_never_speaks_is_bounded() -> None:
    app = chat(outbox_messages=3)
    async with running(app) as server:
        client = server.connect(JSON)
        for _ in range(3):
            await app.broadcast({"type": "news"})
        assert client.link.open
        await app.broadcast({"type": "news"})
        await server.quiet()
        assert client.close_code == 1013
        assert client.link.failed


async def test_messages_right_behind_init_are_answered_after_it() -> None:
    class Slow:
        @hookimpl
        async def session_opening(self, connection: Any) -> None:
            await anyio.sleep(1)
            connection.identity = Identity(subject="ada")

    async with running(chat(Slow())) as server:
        client = server.connect(JSON)
        client.send("init", id="i")
        client.send("whoami", id="w")
        client.send("ping", id="p")
        await client.answer("w")
        assert [each["type"] for each in client.received] == ["init", "pong", "whoami"]
        assert client.received[0]["content"]["identity"]["subject"] == "ada"
        assert client.received[2]["content"]["subject"] == "ada"


@pytest.mark.parametrize(
    ("error", "code", "close_code"),
    [
        (Refused("unauthenticated", "who?"), "unauthenticated", 4401),
        (Refused("forbidden"), "forbidden", 4403),
        (Refused("auth.odd"), "auth.odd", 4401),
        (CloseConnection(4999, "no"), "cancelled", 4999),
        (CloseConnection(12, "no"), "cancelled", 1011),
        (LookupError("internals"), "internal", 4401),
    ],
)
async def test_a_refused_init_is_answered_and_closed(
    error: Exception, code: str, close_code: int
) -> None:
    class Guard:
        @hookimpl
        async def session_opening(self) -> None:
            raise error

    app = chat(Guard())
    async with running(app) as server:
        client = server.connect(JSON)
        await app.broadcast({"type": "news"})  # not for somebody who is refused
        client.send("init")
        await server.quiet()
        (answer,) = client.received
        assert answer["content"]["code"] == code
        assert client.close_code == close_code


@pytest.mark.parametrize("how", ["timeout", "cancel"])
async def test_an_init_that_does_not_end_is_answered_and_closed_with_4401(how: str) -> None:
    class Hanging:
        @hookimpl
        async def session_opening(self) -> None:
            await anyio.sleep_forever()

    async with running(chat(Hanging(), message_timeout_s=3.0)) as server:
        client = server.connect(JSON)
        client.send("init", id="i")
        await server.quiet()
        if how == "cancel":
            client.send("cancel", {"id": "i"})
        await server.pass_time(4)
        assert client.finals("i")[0]["content"]["code"] in ("timeout", "cancelled")
        assert client.close_code == 4401
        assert server.busy == 0


async def test_init_while_draining_is_answered_too() -> None:
    async with running(chat()) as server:
        client = server.connect(JSON)
        server.runtime.dispatcher.draining = True
        answer = await client.ask("init")
        assert answer["content"]["code"] == "draining"


async def test_pongs_and_inits_and_transient_messages_are_not_numbered() -> None:
    app = chat()
    async with running(app) as server:
        client = server.connect(JSON)
        await client.ask("init")
        await client.ask("ping")
        await client.connection.send({"type": "typing", "transient": True})
        assert client.connection.session.outbox.count == 0
        await client.ask("echo")
        await client.ask("unheard")
        await client.ask("cancel", {"id": "x"})
        client.raw("{")
        await app.broadcast({"type": "news"})
        await server.quiet()
        assert client.count == client.connection.session.outbox.count == 5


async def test_a_ping_is_answered_by_a_transient_pong() -> None:
    async with running(chat()) as server:
        client = server.connect()
        pong = await client.ask("ping", id="p")
        assert (pong["type"], pong["content"], pong["transient"]) == ("pong", {}, True)
        client.send("ping", id=None)
        await server.quiet()
        assert client.received[-1]["type"] == "pong"
        assert client.received[-1]["replyTo"]


async def test_ack_has_no_answer_and_may_ride_on_any_message() -> None:
    async with running(chat()) as server:
        client = server.connect()
        await client.ask("echo")
        client.send("ack", ack=1)
        client.send("ack", ack=0)
        await server.quiet()
        assert len(client.received) == 1
        assert (await client.ask("echo", ack=1))["type"] == "echo"


async def test_an_ack_without_a_number_is_invalid() -> None:
    async with running(chat()) as server:
        client = server.connect()
        answer = await client.ask("ack")
        assert answer["content"]["code"] == "invalid_content"
        assert answer["content"]["details"] == [{"path": "$.ack", "message": "missing"}]


@pytest.mark.parametrize("message_type", ["ack", "echo", "ping"])
async def test_acknowledging_what_was_never_sent_is_an_error(message_type: str) -> None:
    async with running(chat()) as server:
        client = server.connect()
        await client.ask("echo")
        answer = await client.ask(message_type, ack=2)
        assert answer["content"]["code"] == "invalid_envelope"
        assert answer["content"]["details"][0]["path"] == "$.ack"


async def test_session_and_connection_ids_cannot_be_guessed() -> None:
    async with running(chat()) as server:
        clients = [server.connect() for _ in range(20)]
        ids = {each.connection.session_id for each in clients} | {
            each.connection.id for each in clients
        }
        assert len(ids) == 40
        assert all(len(each) >= 23 for each in ids)


async def test_every_message_of_the_server_has_its_own_id_and_the_time() -> None:
    async with running(chat()) as server:
        client = server.connect()
        for _ in range(5):
            await client.ask("echo")
        assert len({each["id"] for each in client.received}) == 5
        stamp = client.received[0]["timestamp"]
        assert stamp.startswith(time.strftime("%Y-", time.gmtime()))
        assert stamp.endswith("Z")


async def test_a_connection_describes_itself() -> None:
    async with running(chat()) as server:
        connection = server.connect(identity=Identity(subject="ada")).connection
        assert connection.id in repr(connection)
        assert connection.session_id in repr(connection)
        assert "ada" in repr(connection)
        assert connection.request.path == "/ws"
        connection.metadata["a"] = 1
        assert connection.metadata == {"a": 1}
        server.clients[0].link.end(1000)
        assert connection.request.path == "/ws"
        assert not connection.open
        assert not connection.attached
        connection.close()
