"""The in-memory client, on asyncio and on trio, in virtual time."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest

from wsframe import App, ConnectionClosed, Identity, ProtocolError, Refused, RequestRefused
from wsframe.messages import Message
from wsframe.protocol.frames import encode_text
from wsframe.testing import Connector, RequestError

TEN_MINUTES_S = 600.0


async def test_a_request_returns_its_final_answer(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app)
    answer = await client.request("text", {"text": "Hi"})
    assert (answer.type, answer.content, answer.final) == ("text", {"text": "Echo: Hi"}, True)


@pytest.mark.parametrize(
    ("subprotocol", "chosen"),
    [("json", "wsframe.v1.json"), ("msgpack", "wsframe.v1.msgpack"), (None, None)],
)
@pytest.mark.parametrize("deflate", [False, True])
async def test_every_subprotocol_works_with_and_without_compression(
    wsframe_client: Connector, app: App, subprotocol: Any, chosen: str | None, deflate: bool
) -> None:
    client = await wsframe_client(app, subprotocol=subprotocol, deflate=deflate)
    assert client.subprotocol == chosen
    text = "0123456789" * 500
    answer = await client.request("text", {"text": text})
    assert answer.content == {"text": f"Echo: {text}"}


async def test_an_error_is_raised_with_everything_the_server_said(
    wsframe_client: Connector, app: App
) -> None:
    client = await wsframe_client(app)
    with pytest.raises(RequestError, match="Nothing left") as raised:
        await client.request("fail")
    error = raised.value
    assert (error.code, error.message) == ("shop.sold_out", "Nothing left")
    assert error.retryable
    assert error.details == {"left": 0}
    assert error.retry_after_ms is None


async def test_a_stream_has_the_parts_and_then_the_final_answer(
    wsframe_client: Connector, app: App
) -> None:
    client = await wsframe_client(app)
    stream = client.stream("ask", {"prompt": "once upon a time"})
    assert [part.content["delta"] async for part in stream] == ["once", "upon", "a", "time"]
    assert stream.final is not None
    assert stream.final.content == {}
    assert [part async for part in stream] == []


async def test_a_stream_can_be_cancelled(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app)
    stream = client.stream("ask", {"prompt": "once upon a time"})
    assert (await anext(stream)).content == {"delta": "once"}
    assert await stream.cancel()
    with pytest.raises(RequestError) as raised:
        async for _ in stream:
            pass
    assert raised.value.code == "cancelled"
    assert not await stream.cancel()


async def test_time_limits_cost_no_time(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app)
    began, began_virtually = time.monotonic(), anyio.current_time()
    with pytest.raises(RequestError) as raised:
        await client.request("slow")
    assert raised.value.code == "timeout"
    assert 60 <= anyio.current_time() - began_virtually < 61
    assert time.monotonic() - began < 50


async def test_a_request_that_is_not_answered_times_out(
    wsframe_client: Connector, app: App
) -> None:
    client = await wsframe_client(app)
    with pytest.raises(TimeoutError, match="no final answer to 'endless' within 5 s"):
        await client.request("endless", timeout_s=5)


async def test_an_answer_that_comes_too_late_can_still_be_seen(
    wsframe_client: Connector, app: App
) -> None:
    client = await wsframe_client(app)
    with pytest.raises(TimeoutError):
        await client.request("slow", timeout_s=5)
    answer = await client.receive()
    assert answer.content["code"] == "timeout"


async def test_a_part_that_does_not_come_times_out(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app)
    with pytest.raises(TimeoutError, match="no part of the answer to 'endless' within 3 s"):
        await anext(client.stream("endless", timeout_s=3))


async def test_while_a_thread_works_time_is_real(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app)
    began = anyio.current_time()
    assert (await client.request("thread")).type == "ack"
    assert anyio.current_time() - began < 60
    await client.advance(TEN_MINUTES_S)
    assert anyio.current_time() - began >= TEN_MINUTES_S


async def test_pushed_messages_wait_to_be_received(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app)
    assert client.messages == []
    await app.send(client.session_id, {"type": "news", "content": 1})
    await app.broadcast({"type": "news", "content": 2})
    await client.advance()
    assert [message.content for message in client.messages] == [1, 2]
    assert (await client.receive()).content == 1
    assert [message.content for message in client.messages] == [2]


async def test_receiving_nothing_times_out(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app)
    with pytest.raises(TimeoutError, match="no message within 7 s"):
        await client.receive(timeout_s=7)


async def test_numbered_messages_are_counted(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app)
    assert client.seq == 0
    await client.request("ping")
    await app.broadcast({"type": "typing", "transient": True})
    assert client.seq == 0
    await client.request("push", {"count": 3, "bytes": 0})
    assert client.seq == 4
    assert [(await client.receive()).type for _ in range(3)] == ["typing", "pushed", "pushed"]
    client.send("ack", ack=4)
    client.send("ack", ack=5)
    assert (await client.receive()).type == "pushed"
    assert (await client.receive()).content["code"] == "invalid_envelope"


async def test_messages_can_be_sent_without_an_id_and_with_one_of_ones_own(
    wsframe_client: Connector, app: App
) -> None:
    client = await wsframe_client(app)
    assert client.send("text", {"text": "a"}, id="mine") == "mine"
    assert client.send("text", {"text": "b"}, id=None) == ""
    assert (await client.receive()).reply_to == "mine"
    assert (await client.receive()).reply_to not in ("mine", None)


async def test_the_same_id_gets_the_same_answer(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app)
    client.send("text", {"text": "a"}, id="mine")
    first = await client.receive()
    client.send("text", {"text": "a"}, id="mine")
    assert (await client.receive()).id == first.id


async def test_anything_can_be_sent(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app)
    client.send_raw("{")
    assert (await client.receive()).content["code"] == "invalid_json"
    client.send_raw(b"\x00")
    assert await client.wait_closed() == (1003, "wsframe.v1.json uses the other kind of frame")


async def test_bytes_that_are_no_frame_end_the_connection(
    wsframe_client: Connector, app: App
) -> None:
    client = await wsframe_client(app)
    client.send_bytes(b"\xff\xff\xff\xff")
    code, _ = await client.wait_closed()
    assert code == 1002


async def test_without_init_nothing_is_sent_until_the_client_speaks(
    wsframe_client: Connector, app: App
) -> None:
    client = await wsframe_client(app, init=False)
    assert client.init is None
    await app.broadcast({"type": "news"})
    await client.advance(1)
    assert client.messages == []
    await client.request("ping")
    assert [message.type for message in client.messages] == ["news"]


async def test_init_opens_a_session(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app, init_content={"client": {"name": "t", "version": "1"}})
    assert client.init is not None
    assert client.init.content["sessionId"] == client.session_id
    assert len(client.secret) > 20


async def test_an_init_the_server_does_not_like_closes(wsframe_client: Connector, app: App) -> None:
    with pytest.raises(ConnectionClosed) as raised:
        await wsframe_client(app, init_content={"resume": "yesterday's"})
    assert raised.value.code == 4400


async def test_identity_and_address_are_what_the_test_says(
    wsframe_client: Connector, app: App
) -> None:
    alice = await wsframe_client(app, identity=Identity(subject="alice"), address="192.0.2.7")
    nobody = await wsframe_client(app)
    assert (await alice.request("who")).content == {"subject": "alice", "address": "192.0.2.7"}
    assert (await nobody.request("who")).content["subject"] == "anonymous"


async def test_an_identity_stands_above_what_plugins_say_but_not_above_their_gates(
    wsframe_client: Connector,
) -> None:
    from wsframe import Request, hookimpl

    class Doorkeeper:
        @hookimpl
        async def connection_opening(self, request: Request) -> None:
            if request.query == "closed":
                raise Refused("forbidden")

        @hookimpl
        async def authenticate(self, request: Request) -> Identity:
            if request.header("x-name") is None:
                raise Refused("unauthenticated")
            return Identity(subject="from a header")

    app = App(plugins=[Doorkeeper()])

    @app.handler("who")
    async def who(message: Message[Any], connection: Any) -> str:
        return str(connection.identity.subject)

    alice = await wsframe_client(app, identity=Identity(subject="alice"))
    assert (await alice.request("who")).content == "alice"
    other = await wsframe_client(app, headers=[("X-Name", "somebody")])
    assert (await other.request("who")).content == "from a header"
    with pytest.raises(RequestRefused) as raised:
        await wsframe_client(app)
    assert raised.value.status == 401
    with pytest.raises(RequestRefused) as raised:
        await wsframe_client(app, path="/ws?closed", identity=Identity(subject="alice"))
    assert raised.value.status == 403


async def test_a_token_is_offered_in_the_handshake(wsframe_client: Connector) -> None:
    from wsframe import Request, hookimpl

    seen: list[str | None] = []

    class Reader:
        @hookimpl
        async def connection_opening(self, request: Request) -> None:
            seen.append(request.header("sec-websocket-protocol"))

    client = await wsframe_client(App(plugins=[Reader()]), token="abc.def")
    assert seen == ["wsframe.v1.json, wsframe.bearer.abc.def"]
    assert client.subprotocol == "wsframe.v1.json"


async def test_another_path_is_refused(wsframe_client: Connector, app: App) -> None:
    with pytest.raises(RequestRefused) as raised:
        await wsframe_client(app, path="/elsewhere")
    assert raised.value.status == 404


async def test_closing_ends_with_the_code_given(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app)
    await client.close(4000, "enough")
    assert client.closed == (4000, "enough")
    with pytest.raises(ConnectionClosed):
        client.send("text")
    with pytest.raises(ConnectionClosed):
        await client.receive()
    await client.close()


async def test_the_server_may_close(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app)
    assert client.closed is None
    with pytest.raises(ConnectionClosed) as raised:
        await client.request("dismiss")
    assert (raised.value.code, raised.value.reason) == (4001, "bye")
    assert client.closed == (4001, "bye")


async def test_a_lost_connection_has_no_close_code_of_its_own(
    wsframe_client: Connector, app: App
) -> None:
    gone: list[int] = []
    app.on("connection:removed", lambda connection, code, reason: gone.append(code))
    client = await wsframe_client(app)
    stream = client.stream("endless")
    await client.advance()
    await client.drop()
    with pytest.raises(ConnectionClosed) as raised:
        await anext(stream)
    assert raised.value.code == 1006
    assert client.closed == (1006, "")
    await client.advance()
    assert gone == [1006]


async def test_not_being_closed_in_time_is_an_error(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app)
    with pytest.raises(TimeoutError, match="not closed within 2 s"):
        await client.wait_closed(timeout_s=2)


async def test_a_silent_client_is_pinged_and_answers(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app)
    await client.advance(TEN_MINUTES_S)
    assert client.closed is None


async def test_a_client_that_does_not_read_misses_its_heartbeat(
    wsframe_client: Connector, app: App
) -> None:
    client = await wsframe_client(app)
    client.pause_reading()
    await client.advance(TEN_MINUTES_S)
    client.resume_reading()
    assert app.metrics()["connections"]["active"] == 0
    assert (await client.wait_closed())[0] in (1006, 4408)


async def test_a_slow_reader_holds_the_handler_back(wsframe_client: Connector, app: App) -> None:
    client = await wsframe_client(app)
    client.pause_reading()
    client.send("push", {"count": 300, "bytes": 10_000})
    await client.advance(1)
    assert client.messages == []
    assert app.runtime is not None
    assert app.runtime.in_flight == 1
    assert app.metrics()["messages"]["sent"] < 150
    client.resume_reading()
    numbers = [(await client.receive()).content["number"] for _ in range(300)]
    assert numbers == list(range(300))
    assert (await client.receive()).type == "push"


async def test_a_reader_that_is_much_too_slow_is_dropped(
    wsframe_client: Connector,
) -> None:
    app = App(outbox_messages=10)
    client = await wsframe_client(app)
    client.pause_reading()
    for _ in range(30):
        await app.broadcast({"type": "news", "content": "x" * 20_000})
    client.resume_reading()
    code, _ = await client.wait_closed()
    assert code in (1006, 1013)


async def test_what_is_no_message_ends_the_connection_with_an_error(
    wsframe_client: Connector, app: App
) -> None:
    client = await wsframe_client(app)
    runtime = app.runtime
    assert runtime is not None
    link = next(iter(runtime.node.links))
    link.write(encode_text(b'{"no": "type"}'))
    with pytest.raises(ProtocolError, match="no valid message"):
        await client.receive()
    assert (await client.wait_closed())[0] == 1006


async def test_a_frame_of_the_wrong_kind_ends_the_connection_with_an_error(
    wsframe_client: Connector, app: App
) -> None:
    client = await wsframe_client(app, subprotocol="msgpack")
    assert app.runtime is not None
    next(iter(app.runtime.node.links)).write(encode_text(b"{}"))
    with pytest.raises(ProtocolError, match="wrong kind of frame"):
        await client.request("ping")


async def test_a_frame_that_breaks_the_protocol_fails_the_connection(
    wsframe_client: Connector, app: App
) -> None:
    client = await wsframe_client(app)
    assert app.runtime is not None
    next(iter(app.runtime.node.links)).write(b"\xff\x00")
    assert (await client.wait_closed())[0] == 1002
