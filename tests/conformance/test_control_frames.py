"""Control frames: ping and pong (RFC 6455 sections 5.5, 5.5.2 and 5.5.3)."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import Connect
from tests.conformance.peer import BINARY, CLOSE, PING, PONG, TEXT, cut, frame

CONTROL = [CLOSE, PING, PONG]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5, 63, 64, 124, 125])
def test_a_ping_is_answered_with_its_own_payload(connect: Connect, size: int) -> None:
    peer = connect()
    payload = bytes(255 - at for at in range(size))
    peer.send(frame(PING, payload))
    pong = peer.receive()
    assert (pong.opcode, pong.payload) == (PONG, payload)


@pytest.mark.parametrize("piece", [1, 2, 3, 50])
def test_a_ping_may_arrive_in_pieces(connect: Connect, piece: int) -> None:
    peer = connect()
    peer.send_in_pieces(cut(frame(PING, b"in pieces" * 9), piece))
    pong = peer.receive()
    assert (pong.opcode, pong.payload) == (PONG, b"in pieces" * 9)


@pytest.mark.parametrize("count", [2, 10, 100])
def test_the_last_of_many_pings_is_answered(connect: Connect, count: int) -> None:
    peer = connect()
    peer.send(*(frame(PING, b"%d" % number) for number in range(count)))
    answered = -1
    while answered < count - 1:  # a server may leave out all but the most recent one
        pong = peer.receive()
        assert pong.opcode == PONG
        assert answered < int(pong.payload) < count
        answered = int(pong.payload)


def test_pings_between_messages_are_answered_beside_them(connect: Connect) -> None:
    peer = connect()
    peer.send(frame(TEXT, b"1"), frame(PING, b"2"), frame(BINARY, b"3"), frame(PING, b"4"))
    answers = [peer.receive() for _ in range(4)]
    assert [(a.opcode, a.payload) for a in answers if a.opcode != PONG] == [
        (TEXT, b"1"),
        (BINARY, b"3"),
    ]
    assert [a.payload for a in answers if a.opcode == PONG] == [b"2", b"4"]


@pytest.mark.parametrize("size", [0, 1, 125])
@pytest.mark.parametrize("count", [1, 10])
def test_unasked_pongs_are_ignored(connect: Connect, size: int, count: int) -> None:
    peer = connect()
    peer.send(*[frame(PONG, b"p" * size)] * count, frame(TEXT, b"after"))
    answer = peer.receive()
    assert (answer.opcode, answer.payload) == (TEXT, b"after")


@pytest.mark.parametrize("opcode", CONTROL)
@pytest.mark.parametrize("size", [126, 127, 65_535, 65_536])
def test_a_control_frame_over_125_bytes_fails_the_connection(
    connect: Connect, opcode: int, size: int
) -> None:
    peer = connect()
    peer.send(frame(opcode, b"\x03\xe8" + b"x" * (size - 2)))
    assert peer.failed_with() == 1002


@pytest.mark.parametrize("opcode", CONTROL)
@pytest.mark.parametrize("payload", [b"", b"\x03\xe8"], ids=["empty", "payload"])
def test_a_fragmented_control_frame_fails_the_connection(
    connect: Connect, opcode: int, payload: bytes
) -> None:
    peer = connect()
    peer.send(frame(opcode, payload, fin=False))
    assert peer.failed_with() == 1002


@pytest.mark.parametrize("opcode", CONTROL)
@pytest.mark.parametrize("rsv", range(1, 8))
def test_a_control_frame_has_no_reserved_bits_even_with_compression(
    connect: Connect, opcode: int, rsv: int
) -> None:
    peer = connect(extensions="permessage-deflate")
    peer.send(frame(opcode, b"\x03\xe8", rsv=rsv))
    assert peer.failed_with() == 1002
