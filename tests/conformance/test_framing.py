"""Frames (RFC 6455 sections 5.1, 5.2 and 5.6)."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import Connect
from tests.conformance.peer import BINARY, CONTINUATION, PING, PONG, TEXT, cut, frame

SIZES = (0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 124, 125, 126, 127, 128, 129, 255, 256, 1023, 1024)
LARGE = (4_095, 4_096, 65_534, 65_535, 65_536, 65_537, 131_072, 1_000_001)
MASKS = (b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x00\x00\x00\x01", b"\x80\x00\x00\x00")
TEXT_PATTERN = "The quick brown fox: ärgerlich, 狐, 🦊. ".encode()


def text_of(size: int) -> str:
    """Text of about ``size`` bytes, cut where a character ends."""
    repeated = TEXT_PATTERN * (size // len(TEXT_PATTERN) + 1)
    return repeated[:size].decode(errors="ignore")


def bytes_of(size: int) -> bytes:
    return bytes(at * 7 & 255 for at in range(size))


@pytest.mark.parametrize("size", SIZES + LARGE)
def test_a_binary_message_of_any_size_comes_back_unchanged(connect: Connect, size: int) -> None:
    peer = connect()
    peer.send(frame(BINARY, bytes_of(size)))
    assert peer.message() == bytes_of(size)


@pytest.mark.parametrize("size", SIZES + LARGE)
def test_a_text_message_of_any_size_comes_back_unchanged(connect: Connect, size: int) -> None:
    peer = connect()
    peer.send(frame(TEXT, text_of(size).encode()))
    assert peer.message() == text_of(size)


@pytest.mark.parametrize("mask", MASKS, ids=bytes.hex)
@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 125, 126, 1_500, 65_536])
def test_any_masking_key_is_undone(connect: Connect, size: int, mask: bytes) -> None:
    peer = connect()
    peer.send(frame(BINARY, bytes_of(size), mask=mask))
    assert peer.message() == bytes_of(size)


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 7, 13])
@pytest.mark.parametrize("size", [0, 1, 125, 126, 300])
def test_a_frame_may_arrive_in_pieces_of_any_size(connect: Connect, size: int, piece: int) -> None:
    peer = connect()
    peer.send_in_pieces(cut(frame(TEXT, text_of(size).encode()), piece))
    assert peer.message() == text_of(size)


@pytest.mark.parametrize("at", range(1, 14))
def test_a_frame_with_a_long_head_may_be_cut_anywhere_in_it(connect: Connect, at: int) -> None:
    peer = connect()
    data = frame(BINARY, bytes_of(65_536))
    peer.send_in_pieces([data[:at], data[at:]])
    assert peer.message() == bytes_of(65_536)


@pytest.mark.parametrize("count", [2, 3, 16, 200])
@pytest.mark.parametrize("size", [0, 10, 125, 126, 2_000])
def test_frames_that_arrive_together_are_answered_in_order(
    connect: Connect, size: int, count: int
) -> None:
    peer = connect()
    sent = [bytes([number & 255]) + bytes_of(size) for number in range(count)]
    peer.send(*(frame(BINARY, payload) for payload in sent))
    assert [peer.message() for _ in range(count)] == sent


@pytest.mark.parametrize("rest", [1, 2, 6, 40])
def test_whole_frames_and_the_beginning_of_another_are_told_apart(
    connect: Connect, rest: int
) -> None:
    peer = connect()
    one, two = frame(TEXT, b"first"), frame(TEXT, text_of(200).encode())
    peer.send(one, one, two[:rest])
    assert [peer.message(), peer.message()] == ["first", "first"]
    peer.send(two[rest:], one)
    assert [peer.message(), peer.message()] == [text_of(200), "first"]


def test_text_and_binary_messages_keep_their_kind(connect: Connect) -> None:
    peer = connect()
    peer.send(frame(TEXT, b"a"), frame(BINARY, b"a"), frame(TEXT, b"b"), frame(BINARY, b"\xff"))
    assert [peer.message() for _ in range(4)] == ["a", b"a", "b", b"\xff"]


def test_frames_right_behind_the_handshake_are_not_lost(connect: Connect) -> None:
    peer = connect(behind=frame(TEXT, b"early") + frame(BINARY, b"bird"))
    assert [peer.message(), peer.message()] == ["early", b"bird"]


@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG])
@pytest.mark.parametrize("payload", [b"", b"payload"], ids=["empty", "payload"])
def test_a_reserved_bit_without_an_extension_fails_the_connection(
    connect: Connect, opcode: int, rsv: int, payload: bytes
) -> None:
    peer = connect()
    peer.send(frame(opcode, payload, rsv=rsv))
    assert peer.failed_with() == 1002


@pytest.mark.parametrize("rsv", range(1, 8))
def test_a_reserved_bit_on_a_continuation_fails_the_connection(connect: Connect, rsv: int) -> None:
    peer = connect()
    peer.send(frame(TEXT, b"a", fin=False), frame(CONTINUATION, b"b", rsv=rsv))
    assert peer.failed_with() == 1002


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
@pytest.mark.parametrize("payload", [b"", b"payload"], ids=["empty", "payload"])
@pytest.mark.parametrize("fin", [True, False], ids=["last", "fragment"])
def test_a_reserved_opcode_fails_the_connection(
    connect: Connect, opcode: int, payload: bytes, fin: bool
) -> None:
    peer = connect()
    peer.send(frame(opcode, payload, fin=fin))
    assert peer.failed_with() == 1002


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG])
@pytest.mark.parametrize("size", [0, 5, 125])
def test_an_unmasked_frame_fails_the_connection(connect: Connect, opcode: int, size: int) -> None:
    peer = connect()
    peer.send(frame(opcode, b"x" * size, mask=None))
    assert peer.failed_with() == 1002


@pytest.mark.parametrize(
    ("size", "length_bytes"),
    [(0, 2), (1, 2), (125, 2), (0, 8), (125, 8), (126, 8), (127, 8), (65_535, 8)],
)
def test_a_length_in_more_bytes_than_it_needs_fails_the_connection(
    connect: Connect, size: int, length_bytes: int
) -> None:
    peer = connect()
    peer.send(frame(BINARY, b"x" * size, length_bytes=length_bytes))
    assert peer.failed_with() == 1002


@pytest.mark.parametrize("length", [1 << 63, (1 << 63) + 5, (1 << 64) - 1])
def test_a_length_with_the_top_bit_set_fails_the_connection(connect: Connect, length: int) -> None:
    peer = connect()
    peer.send(frame(BINARY, b"", length=length, length_bytes=8))
    assert peer.failed_with() == 1002


@pytest.mark.parametrize("length", [1 << 30, 1 << 40, (1 << 63) - 1])
def test_a_length_beyond_every_limit_is_refused_before_the_payload_comes(
    connect: Connect, length: int
) -> None:
    peer = connect()
    peer.send(frame(BINARY, b"", length=length, length_bytes=8))
    assert peer.failed_with() == 1009


@pytest.mark.parametrize("good", [1, 5, 100])
def test_what_came_before_a_broken_frame_is_still_answered(connect: Connect, good: int) -> None:
    peer = connect()
    peer.send(*[frame(TEXT, b"good")] * good, frame(5, b"bad"), frame(TEXT, b"never answered"))
    assert [peer.message() for _ in range(good)] == ["good"] * good
    assert peer.failed_with() == 1002
