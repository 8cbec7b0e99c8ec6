"""What a connection writes of its own, and what it does once it has said it would close."""

from __future__ import annotations

from itertools import count

import pytest

from tests.protocol.streams import (
    BINARY,
    CLOSE,
    KEY,
    PING,
    PONG,
    TEXT,
    agreed,
    close_payload,
    frame,
    server,
)
from wsframe.errors import ConnectionClosed
from wsframe.protocol.connection import Role, State, WebSocket
from wsframe.protocol.events import CloseReceived, Failed, Ping
from wsframe.protocol.frames import encode_text

SIZES = [0, 1, 125, 126, 65535, 65536]


def client(**settings: object) -> WebSocket:
    settings.setdefault("mask_key", lambda: KEY)
    return WebSocket(Role.CLIENT, max_message_bytes=100_000, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", SIZES)
def test_a_server_sends_unmasked_frames_with_the_shortest_length(size: int) -> None:
    payload = b"x" * size
    assert server().send_text(payload) == frame(TEXT, payload, key=None)
    assert server().send_binary(payload) == frame(BINARY, payload, key=None)


@pytest.mark.parametrize("size", SIZES)
def test_a_client_masks_what_it_sends(size: int) -> None:
    payload = bytes(index % 251 for index in range(size))
    assert client().send_text(payload) == frame(TEXT, payload)
    assert client().send_binary(payload) == frame(BINARY, payload)


def test_a_client_takes_a_new_masking_key_for_each_frame() -> None:
    keys = count(1)
    websocket = client(mask_key=lambda: next(keys).to_bytes(4, "big"))
    assert websocket.send_text(b"a") == frame(TEXT, b"a", key=b"\0\0\0\1")
    assert websocket.ping(b"b") == frame(PING, b"b", key=b"\0\0\0\2")
    websocket.receive_data(frame(PING, b"c", key=None))
    assert websocket.output == [frame(PONG, b"c", key=b"\0\0\0\3")]
    assert websocket.close(1000) == frame(CLOSE, close_payload(1000), key=b"\0\0\0\4")


def test_a_client_refuses_masked_frames() -> None:
    for hot_path in (True, False):
        websocket = client(hot_path=hot_path)
        events = websocket.receive_data(frame(TEXT, b"hi"))
        assert events == [Failed(1002, "client received unexpected masked frame")]


@pytest.mark.parametrize("size", SIZES)
def test_a_client_receives_unmasked_messages(size: int) -> None:
    for hot_path in (True, False):
        websocket = client(hot_path=hot_path)
        stream = frame(TEXT, b"x" * size, key=None) + frame(BINARY, b"y" * size, key=None)
        assert websocket.receive_data(stream) == ["x" * size, b"y" * size]


def test_a_client_needs_masking_keys_and_a_server_has_none() -> None:
    with pytest.raises(ValueError, match="mask_key"):
        WebSocket(Role.CLIENT, max_message_bytes=1)
    with pytest.raises(ValueError, match="mask_key"):
        WebSocket(Role.SERVER, max_message_bytes=1, mask_key=lambda: KEY)


def test_roles_are_told() -> None:
    assert server().role is Role.SERVER
    assert client().role is Role.CLIENT


def test_wrap_gives_the_same_object_without_compression() -> None:
    written = encode_text(b"x" * 5000)
    assert server().wrap(written) is written


def test_small_messages_are_not_compressed() -> None:
    websocket = server(deflate=agreed(min_bytes=1000))
    small, large = encode_text(b"x" * 999), encode_text(b"x" * 1000)
    assert websocket.wrap(small) is small
    assert websocket.wrap(large) is not large


def test_a_broadcast_is_compressed_once_for_all_that_agreed_upon_the_same() -> None:
    deflate = agreed()
    written = encode_text(b"to all " * 1000)
    first, second = server(deflate=deflate), server(deflate=deflate)
    assert first.wrap(written) is second.wrap(written)
    assert len(first.wrap(written)) < 100


def test_a_compressed_conversation_goes_both_ways() -> None:
    deflate = agreed(min_bytes=10)
    near, far = server(deflate=deflate), client(deflate=deflate)
    for message in (b"short", b"long " * 1000, bytes(range(256)) * 4):
        assert near.receive_data(far.send_binary(message)) == [message]
        assert far.receive_data(near.send_binary(message)) == [message]
    assert near.receive_data(far.send_text(b"text " * 100)) == ["text " * 100]
    assert far.receive_data(near.send_text(b"text " * 100)) == ["text " * 100]


def test_a_ping_has_at_most_125_bytes() -> None:
    assert server().ping(b"x" * 125) == frame(PING, b"x" * 125, key=None)
    with pytest.raises(ValueError, match="125"):
        server().ping(b"x" * 126)


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1012, 1013, 1014, 3000, 4000, 4999])
def test_each_sendable_code_closes(code: int) -> None:
    websocket = server()
    assert websocket.close(code, "why") == frame(CLOSE, close_payload(code, b"why"), key=None)
    assert websocket.state is State.CLOSING
    assert (websocket.close_code, websocket.close_reason) == (code, "why")


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 70000, -1])
def test_no_other_code_is_sent(code: int) -> None:
    websocket = server()
    with pytest.raises(ValueError, match=str(code)):
        websocket.close(code)
    assert websocket.state is State.OPEN


@pytest.mark.parametrize(
    ("reason", "sent"),
    [
        ("r" * 200, b"r" * 123),
        ("€" * 50, "€".encode() * 41),
        ("x" + "€" * 50, b"x" + "€".encode() * 40),
        ("\ud800", b"?"),
    ],
)
def test_a_long_reason_is_cut_between_two_characters(reason: str, sent: bytes) -> None:
    assert server().close(1000, reason) == frame(CLOSE, close_payload(1000, sent), key=None)


def test_a_second_close_writes_nothing() -> None:
    websocket = server()
    websocket.close(1001)
    assert websocket.close(1000) == b""
    assert websocket.close_code == 1001


def test_the_peers_close_frame_completes_our_close() -> None:
    websocket = server()
    websocket.close(4408, "silent")
    assert websocket.receive_data(frame(CLOSE, close_payload(1000))) == [CloseReceived(1000, "")]
    assert websocket.state is State.CLOSED
    assert websocket.output == []
    assert (websocket.close_code, websocket.close_reason) == (4408, "silent")


def test_messages_that_were_on_their_way_still_arrive_while_closing() -> None:
    websocket = server()
    websocket.close()
    assert websocket.receive_data(frame(TEXT, b"late") + frame(PING)) == ["late", Ping(b"")]
    assert websocket.output == [], "no pong after our close frame"


def test_a_failure_while_closing_sends_no_second_close_frame() -> None:
    websocket = server()
    websocket.close(1001)
    assert isinstance(websocket.receive_data(frame(3))[0], Failed)
    assert websocket.output == []
    assert websocket.state is State.FAILED
    assert websocket.close_code == 1001


def test_the_end_of_the_stream_while_closing_keeps_our_code() -> None:
    websocket = server()
    websocket.close(1012)
    assert websocket.receive_eof() == []
    assert (websocket.state, websocket.close_code) == (State.CLOSED, 1012)


def test_giving_up_writes_a_close_frame_once() -> None:
    websocket = server()
    assert websocket.fail(1013, "slow") == frame(CLOSE, close_payload(1013, b"slow"), key=None)
    assert websocket.state is State.FAILED
    assert (websocket.close_code, websocket.close_reason) == (1013, "slow")
    assert websocket.fail(1008, "again") == b""
    assert websocket.receive_data(frame(TEXT, b"late")) == []


def test_giving_up_while_closing_writes_nothing() -> None:
    websocket = server()
    websocket.close(1000)
    assert websocket.fail(1008, "no answer") == b""
    assert websocket.state is State.FAILED


@pytest.mark.parametrize("websocket", [server(), client()])
def test_nothing_is_sent_on_a_closed_connection(websocket: WebSocket) -> None:
    websocket.fail(4401, "expired")
    for send in (websocket.send_text, websocket.send_binary, websocket.ping):
        with pytest.raises(ConnectionClosed) as caught:
            send(b"x")
        assert (caught.value.code, caught.value.reason) == (4401, "expired")


def test_a_client_sends_what_does_not_get_smaller_as_it_is() -> None:
    websocket = client(deflate=agreed(min_bytes=1))
    incompressible = bytes(range(256))
    assert websocket.send_binary(incompressible) == frame(BINARY, incompressible)


def test_a_client_receives_many_short_fragments() -> None:
    websocket = client()
    stream = frame(TEXT, b"a", fin=False, key=None) + frame(0, b"b", fin=False, key=None) * 500
    assert websocket.receive_data(stream + frame(0, b"c", key=None)) == ["a" + "b" * 500 + "c"]
