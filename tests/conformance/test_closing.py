"""The close handshake and its codes (RFC 6455 sections 5.5.1, 7.1 and 7.4)."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import Connect
from tests.conformance.peer import (
    BINARY,
    CLOSE,
    PING,
    TEXT,
    close_frame,
    cut,
    fragments,
    frame,
)

DEFINED = (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014)
FOR_USE = (3000, 3001, 3999, 4000, 4001, 4400, 4999)
NEVER_SENT = (1004, 1005, 1006, 1015)
UNDEFINED = (0, 1, 125, 126, 999, 1016, 1017, 1100, 1999, 2000, 2999, 5000, 9999, 32_768, 65_535)


@pytest.mark.parametrize("code", DEFINED + FOR_USE)
@pytest.mark.parametrize("reason", [b"", b"because"], ids=["silent", "reason"])
def test_a_valid_code_is_answered_with_itself(connect: Connect, code: int, reason: bytes) -> None:
    peer = connect()
    peer.send(close_frame(code, reason))
    assert peer.close_received()[0] == code


@pytest.mark.parametrize("code", NEVER_SENT + UNDEFINED)
@pytest.mark.parametrize("reason", [b"", b"because"], ids=["silent", "reason"])
def test_an_invalid_code_fails_the_connection(connect: Connect, code: int, reason: bytes) -> None:
    peer = connect()
    peer.send(close_frame(code, reason))
    assert peer.failed_with() == 1002


def test_a_close_without_a_code_is_answered(connect: Connect) -> None:
    peer = connect()
    peer.send(close_frame(None))
    assert peer.close_received()[0] in (None, 1000)


@pytest.mark.parametrize("byte", [b"\x00", b"\x03", b"\xff"], ids=bytes.hex)
def test_half_a_code_fails_the_connection(connect: Connect, byte: bytes) -> None:
    peer = connect()
    peer.send(frame(CLOSE, byte))
    assert peer.failed_with() == 1002


@pytest.mark.parametrize("size", [1, 122, 123])
def test_a_reason_may_fill_the_frame(connect: Connect, size: int) -> None:
    peer = connect()
    peer.send(close_frame(1000, b"r" * size))
    assert peer.close_received()[0] == 1000


def test_a_reason_of_124_bytes_fails_the_connection(connect: Connect) -> None:
    peer = connect()
    peer.send(close_frame(1000, b"r" * 124))
    assert peer.failed_with() == 1002


@pytest.mark.parametrize("piece", [1, 2, 3, 5])
def test_a_close_frame_may_arrive_in_pieces(connect: Connect, piece: int) -> None:
    peer = connect()
    peer.send_in_pieces(cut(close_frame(1001, b"going"), piece))
    assert peer.close_received()[0] == 1001


@pytest.mark.parametrize(
    "after",
    [
        frame(TEXT, b"late"),
        frame(BINARY, b"late" * 10_000),
        frame(PING, b"late"),
        close_frame(1000),
        close_frame(1002),
        frame(5, b"bad"),
        b"no frame at all",
    ],
    ids=["text", "large", "ping", "close", "another-close", "bad-frame", "garbage"],
)
def test_nothing_behind_a_close_frame_is_answered(connect: Connect, after: bytes) -> None:
    peer = connect()
    peer.send(close_frame(1000), after)
    assert peer.close_received()[0] == 1000


@pytest.mark.parametrize("count", [1, 3, 50])
def test_messages_before_a_close_frame_are_answered_first(connect: Connect, count: int) -> None:
    peer = connect()
    peer.send(*[frame(TEXT, b"before")] * count, close_frame(1000))
    assert [peer.message() for _ in range(count)] == ["before"] * count
    assert peer.close_received()[0] == 1000


def test_a_close_frame_in_the_middle_of_a_message_ends_the_connection(connect: Connect) -> None:
    peer = connect()
    peer.send(fragments(TEXT, [b"begun", b"never"])[0], close_frame(1000))
    assert peer.close_received()[0] == 1000


@pytest.mark.parametrize("frames_before", [0, 1, 5])
def test_the_end_of_tcp_without_a_close_frame_ends_the_connection(
    connect: Connect, frames_before: int
) -> None:
    peer = connect()
    peer.send(*[frame(TEXT, b"before")] * frames_before)
    assert [peer.message() for _ in range(frames_before)] == ["before"] * frames_before
    peer.end_of_stream()
    assert peer.ended_within_close_handshake()


@pytest.mark.parametrize("sent", [1, 2, 5, 8])
def test_the_end_of_tcp_inside_a_frame_ends_the_connection(connect: Connect, sent: int) -> None:
    peer = connect()
    peer.send(frame(TEXT, b"never complete")[:sent])
    peer.end_of_stream()
    assert peer.ended_within_close_handshake()
