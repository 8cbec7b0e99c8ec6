"""Fragmented messages (RFC 6455 section 5.4)."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import Connect
from tests.conformance.peer import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    cut,
    fragments,
    frame,
)

SENTENCE = "Grüße an alle: 你好, 🌍!"


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("count", [2, 3, 4, 10, 100, 1_000])
def test_a_message_in_any_number_of_fragments_is_put_together(
    connect: Connect, opcode: int, count: int
) -> None:
    peer = connect()
    peer.send(*fragments(opcode, [b"%04d" % number for number in range(count)]))
    whole = b"".join(b"%04d" % number for number in range(count))
    assert peer.message() == (whole.decode() if opcode == TEXT else whole)


@pytest.mark.parametrize("size", range(1, 8))
def test_text_may_be_cut_inside_a_character(connect: Connect, size: int) -> None:
    peer = connect()
    peer.send(*fragments(TEXT, cut(SENTENCE.encode(), size)))
    assert peer.message() == SENTENCE


@pytest.mark.parametrize("piece", [1, 2, 3, 11])
@pytest.mark.parametrize("size", [1, 4, 9])
def test_fragments_may_arrive_in_pieces_of_any_size(
    connect: Connect, size: int, piece: int
) -> None:
    peer = connect()
    peer.send_in_pieces(cut(b"".join(fragments(TEXT, cut(SENTENCE.encode(), size))), piece))
    assert peer.message() == SENTENCE


@pytest.mark.parametrize(
    "parts",
    [
        [b"", b""],
        [b"", b"", b""],
        [b"", b"middle", b""],
        [b"start", b"", b"end"],
        [b"start", b""],
        [b"", b"end"],
        [b"", b"", b"", b"end", b"", b""],
    ],
    ids=lambda parts: "-".join(part.decode() or "empty" for part in parts),
)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_fragments_may_be_empty(connect: Connect, opcode: int, parts: list[bytes]) -> None:
    peer = connect()
    peer.send(*fragments(opcode, parts))
    whole = b"".join(parts)
    assert peer.message() == (whole.decode() if opcode == TEXT else whole)


@pytest.mark.parametrize("at", range(1, 6))
@pytest.mark.parametrize("together", [True, False], ids=["together", "apart"])
def test_a_ping_between_fragments_is_answered_at_once(
    connect: Connect, at: int, together: bool
) -> None:
    peer = connect()
    frames = fragments(TEXT, [b"one", b"two", b"three", b"four", b"five", b"six"])
    if together:
        peer.send(*frames[:at], frame(PING, b"still there?"), *frames[at:])
    else:
        peer.send(*frames[:at], frame(PING, b"still there?"))
    pong = peer.receive()
    assert (pong.opcode, pong.payload) == (PONG, b"still there?")
    if not together:
        peer.send(*frames[at:])
    assert peer.message() == "onetwothreefourfivesix"


def test_pongs_between_fragments_change_nothing(connect: Connect) -> None:
    peer = connect()
    one, two, three = fragments(BINARY, [b"a", b"b", b"c"])
    peer.send(one, frame(PONG, b"x"), two, frame(PONG), three)
    assert peer.message() == b"abc"


@pytest.mark.parametrize("size", [100_000, 1_000_000])
def test_large_messages_may_be_fragmented(connect: Connect, size: int) -> None:
    peer = connect()
    payload = bytes(at & 255 for at in range(size))
    peer.send(*fragments(BINARY, cut(payload, 4_096)))
    assert peer.message() == payload


def test_fragmented_and_whole_messages_follow_each_other(connect: Connect) -> None:
    peer = connect()
    whole, parts = frame(TEXT, b"whole"), fragments(TEXT, [b"in ", b"parts"])
    peer.send(whole, *parts, whole, whole, *parts, *parts, whole)
    expected = ["whole", "in parts", "whole", "whole", "in parts", "in parts", "whole"]
    assert [peer.message() for _ in expected] == expected


@pytest.mark.parametrize("fin", [True, False], ids=["last", "fragment"])
@pytest.mark.parametrize("payload", [b"", b"payload"], ids=["empty", "payload"])
def test_a_continuation_of_nothing_fails_the_connection(
    connect: Connect, fin: bool, payload: bytes
) -> None:
    peer = connect()
    peer.send(frame(CONTINUATION, payload, fin=fin), frame(TEXT, b"never answered"))
    assert peer.failed_with() == 1002


@pytest.mark.parametrize("fin", [True, False], ids=["last", "fragment"])
def test_a_continuation_after_a_whole_message_fails_the_connection(
    connect: Connect, fin: bool
) -> None:
    peer = connect()
    peer.send(frame(TEXT, b"whole"), frame(CONTINUATION, b"more", fin=fin))
    assert peer.message() == "whole"
    assert peer.failed_with() == 1002


@pytest.mark.parametrize("first", [TEXT, BINARY])
@pytest.mark.parametrize("second", [TEXT, BINARY])
@pytest.mark.parametrize("fin", [True, False], ids=["last", "fragment"])
def test_a_new_message_inside_another_fails_the_connection(
    connect: Connect, first: int, second: int, fin: bool
) -> None:
    peer = connect()
    peer.send(frame(first, b"begun", fin=False), frame(second, b"another", fin=fin))
    assert peer.failed_with() == 1002
