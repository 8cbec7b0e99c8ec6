"""Compressed messages of a peer (RFC 7692 section 7.2.2)."""

from __future__ import annotations

import os
import zlib

import pytest

from tests.protocol.streams import (
    BINARY,
    CLOSE,
    CONTINUATION,
    KEY,
    PING,
    TEXT,
    agreed,
    byte_by_byte,
    close_payload,
    deflated,
    fragments,
    frame,
    play,
    server,
    whole,
)
from wsframe.protocol.connection import Role, State, WebSocket
from wsframe.protocol.events import CloseReceived, Failed, Ping

RSV1 = 4
BAD_PAYLOAD = "the payload is not valid UTF-8, or not valid compressed data"
TOO_BIG = "the message is larger than the limit"
TAIL = b"\x00\x00\xff\xff"


@pytest.fixture(params=[True, False], ids=["hot path", "wsproto only"])
def websocket(request: pytest.FixtureRequest) -> WebSocket:
    return server(deflate=agreed(), hot_path=request.param)


# RFC 7692 section 7.2.3, byte for byte
RFC_EXAMPLES = {
    "one block": b"\xf2\x48\xcd\xc9\xc9\x07\x00",
    "no compression": b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
    "a final block": b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00",
    "two blocks": b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
}


@pytest.mark.parametrize("feed", [whole, byte_by_byte])
@pytest.mark.parametrize("name", RFC_EXAMPLES)
def test_the_examples_of_the_rfc_say_hello(name: str, feed: object, websocket: WebSocket) -> None:
    payload = RFC_EXAMPLES[name]
    stream = frame(TEXT, payload, rsv=RSV1)
    for position in range(len(payload) + 1):
        stream += b"".join(fragments(TEXT, payload[:position], payload[position:], rsv=RSV1))
    transcript = play(websocket, feed(stream))  # type: ignore[operator]
    assert transcript.events == ["Hello"] * (len(payload) + 2)


def test_compressed_and_plain_messages_alternate(websocket: WebSocket) -> None:
    stream = b""
    for text in (b"one", b"two", b"three"):
        stream += frame(TEXT, deflated(text), rsv=RSV1) + frame(TEXT, text)
        stream += b"".join(fragments(BINARY, text, text))
    assert websocket.receive_data(stream) == [
        "one", "one", b"oneone", "two", "two", b"twotwo", "three", "three", b"threethree",
    ]  # fmt: skip


def test_an_empty_compressed_message_is_empty(websocket: WebSocket) -> None:
    stream = frame(TEXT, b"\x00", rsv=RSV1) + frame(TEXT, b"", rsv=RSV1)
    stream += frame(BINARY, b"", fin=False, rsv=RSV1) + frame(CONTINUATION, b"")
    stream += frame(TEXT, deflated(b"after"), rsv=RSV1)
    assert websocket.receive_data(stream) == ["", "", b"", "after"]


def test_a_stream_may_end_within_a_message(websocket: WebSocket) -> None:
    def ended(data: bytes) -> bytes:
        compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
        return compressor.compress(data) + compressor.flush(zlib.Z_FINISH)

    payload = ended(b"one ") + ended(b"two ") + ended(b"three")
    stream = frame(TEXT, payload, rsv=RSV1) + frame(TEXT, payload + b"\x00", rsv=RSV1)
    stream += frame(TEXT, deflated(b"after"), rsv=RSV1)
    assert websocket.receive_data(stream) == ["one two three", "one two three", "after"]


def test_a_stream_that_the_missing_tail_ends_leaves_nothing_behind() -> None:
    # 03 begins a final block; the 00 that the receiver adds ends it.
    websocket = server(deflate=agreed("permessage-deflate", takeover=True))
    stream = frame(BINARY, b"\x03", rsv=RSV1) + frame(BINARY, deflated(b"after"), rsv=RSV1)
    assert websocket.receive_data(stream) == [b"", b"after"]


def test_streams_without_end_are_a_violation(websocket: WebSocket) -> None:
    # 03 00 is a whole DEFLATE stream of nothing.
    assert websocket.receive_data(frame(BINARY, b"\x03\x00" * 1000, rsv=RSV1)) == [b""]
    events = websocket.receive_data(frame(BINARY, b"\x03\x00" * 1001, rsv=RSV1))
    assert events == [Failed(1008, "too many compressed streams in one message")]


@pytest.mark.parametrize("hot_path", [True, False])
def test_with_context_takeover_messages_refer_to_earlier_ones(hot_path: bool) -> None:
    websocket = server(deflate=agreed("permessage-deflate", takeover=True), hot_path=hot_path)
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    secret = os.urandom(500)
    frames = []
    for _ in range(3):
        data = compressor.compress(secret) + compressor.flush(zlib.Z_SYNC_FLUSH)
        frames.append(frame(BINARY, data[:-4], rsv=RSV1))
    assert len(frames[1]) < 50, "the second one refers to the first"
    stream = frames[0] + frame(TEXT, b"plain") + frame(PING) + frames[1] + frames[2]
    assert websocket.receive_data(stream) == [secret, "plain", Ping(b""), secret, secret]


def test_without_context_takeover_a_reference_to_an_earlier_message_fails() -> None:
    websocket = server(deflate=agreed())
    compressor = zlib.compressobj(6, zlib.DEFLATED, -15)
    events = []
    for _ in range(2):
        data = compressor.compress(bytes(range(200))) + compressor.flush(zlib.Z_SYNC_FLUSH)
        events += websocket.receive_data(frame(BINARY, data[:-4], rsv=RSV1))
    assert events == [bytes(range(200)), Failed(1007, BAD_PAYLOAD)]


def test_what_is_no_compressed_data_fails(websocket: WebSocket) -> None:
    events = websocket.receive_data(frame(TEXT, b"\xff" * 20, rsv=RSV1))
    assert events == [Failed(1007, BAD_PAYLOAD)]


def test_what_inflates_to_bad_utf8_fails(websocket: WebSocket) -> None:
    events = websocket.receive_data(frame(TEXT, deflated(b"abc\xff"), rsv=RSV1))
    assert events == [Failed(1007, BAD_PAYLOAD)]


def test_a_close_frame_may_come_within_a_compressed_message(websocket: WebSocket) -> None:
    data = deflated(b"never finished")
    stream = frame(TEXT, data[:5], rsv=RSV1, fin=False) + frame(CLOSE, close_payload(1001))
    assert websocket.receive_data(stream) == [CloseReceived(1001, "")]
    assert websocket.state is State.CLOSED


@pytest.mark.parametrize("level", [0, 1, 9])
@pytest.mark.parametrize("memory_level", [1, 8])
def test_incompressible_messages_at_the_limit_pass_however_they_are_compressed(
    level: int, memory_level: int
) -> None:
    limit = 300_000
    payload = os.urandom(limit)
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15, memory_level)
    data = (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
    assert len(data) > limit
    websocket = server(deflate=agreed(), max_message_bytes=limit)
    assert websocket.receive_data(frame(BINARY, data, rsv=RSV1)) == [payload]


def test_compressed_data_far_over_the_limit_fails_before_it_arrives() -> None:
    websocket = server(deflate=agreed(), max_message_bytes=1000)
    header = frame(BINARY, b"x" * 1300, rsv=RSV1)[:8]
    assert websocket.receive_data(header) == [Failed(1009, TOO_BIG)]


def test_a_client_inflates_what_a_server_compressed() -> None:
    deflate = agreed()
    websocket = WebSocket(
        Role.CLIENT, max_message_bytes=1000, deflate=deflate, mask_key=lambda: KEY
    )
    at_limit, over = deflated(b"x" * 1000), deflated(b"x" * 1001)
    assert websocket.receive_data(frame(TEXT, at_limit, rsv=RSV1, key=None)) == ["x" * 1000]
    events = websocket.receive_data(frame(TEXT, over, rsv=RSV1, key=None))
    assert events == [Failed(1009, TOO_BIG)]


def test_the_tail_counts_towards_the_limit() -> None:
    # The last block is stored, announces 10 bytes, and brings none of them.
    websocket = server(deflate=agreed(), max_message_bytes=2)
    payload = b"\x00\x0a\x00\xf5\xff"
    assert websocket.receive_data(frame(BINARY, payload, rsv=RSV1)) == [Failed(1009, TOO_BIG)]


def test_the_extension_offers_nothing_in_wsprotos_handshake() -> None:
    assert agreed().make_inflater(1).offer() is False


@pytest.mark.parametrize("feed", [whole, byte_by_byte])
@pytest.mark.parametrize("rsv", [0, RSV1])
def test_a_compressed_message_within_a_message_fails_before_it_is_inflated(
    feed: object, rsv: int, websocket: WebSocket
) -> None:
    stream = frame(TEXT, b"", fin=False, rsv=rsv) + frame(BINARY, b"\xff" * 20, rsv=RSV1)
    transcript = play(websocket, feed(stream))  # type: ignore[operator]
    assert transcript.events == [Failed(1002, "expected CONTINUATION, got <Opcode.BINARY: 2>")]
