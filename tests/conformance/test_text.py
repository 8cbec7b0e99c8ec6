"""UTF-8 in text messages and close reasons (RFC 6455 sections 5.6 and 8.1, RFC 3629)."""

from __future__ import annotations

import pytest

from tests.conformance.conftest import Connect
from tests.conformance.peer import BINARY, CONTINUATION, TEXT, close_frame, fragments, frame

VALID = {
    "nothing": "",
    "nul": "\x00",
    "ascii": "Hello-World",
    "last of one byte": "\x7f",
    "first of two bytes": "\x80",
    "last of two bytes": "\u07ff",
    "first of three bytes": "\u0800",
    "last before the surrogates": "\ud7ff",
    "first after the surrogates": "\ue000",
    "byte order mark": "\ufeff",
    "replacement character": "\ufffd",
    "noncharacter FFFE": "\ufffe",
    "last of three bytes": "\uffff",
    "first of four bytes": "\U00010000",
    "noncharacter 1FFFE": "\U0001fffe",
    "last of all": "\U0010ffff",
    "combining marks": "e\u0301o\u0308",
    "Greek": "κόσμε",
    "right to left": "שלום \u202bعليكم\u202c",
    "family": "👩‍👩‍👧‍👦",
    "controls": "".join(map(chr, range(32))),
}
INVALID = {
    "lone continuation 80": b"\x80",
    "lone continuation BF": b"\xbf",
    "two continuations": b"\x80\xbf",
    "continuation after text": b"ab\x80",
    "first of two alone": b"\xc3",
    "first of two, then text": b"\xc3(",
    "first of three alone": b"\xe2\x82",
    "second of three wrong": b"\xe2(\xa1",
    "third of three wrong": b"\xe2\x82(",
    "first three of four": b"\xf0\x9f\x98",
    "fourth of four wrong": b"\xf0\x9f\x98(",
    "second of four wrong": b"\xf0(\x8c\xbc",
    "overlong slash, two": b"\xc0\xaf",
    "overlong slash, three": b"\xe0\x80\xaf",
    "overlong slash, four": b"\xf0\x80\x80\xaf",
    "overlong nul": b"\xc0\x80",
    "overlong nul, three": b"\xe0\x80\x80",
    "overlong last of two": b"\xc1\xbf",
    "overlong last of three": b"\xe0\x9f\xbf",
    "overlong last of four": b"\xf0\x8f\xbf\xbf",
    "first surrogate": b"\xed\xa0\x80",
    "last high surrogate": b"\xed\xaf\xbf",
    "first low surrogate": b"\xed\xb0\x80",
    "last surrogate": b"\xed\xbf\xbf",
    "surrogate pair": b"\xed\xa0\x80\xed\xb0\x80",
    "beyond the last": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "six bytes": b"\xfc\x84\x80\x80\x80\x80",
    "byte FE": b"\xfe",
    "byte FF": b"\xff",
    "latin-1": "grün".encode("latin-1"),
    "after good text": "κόσμε".encode() + b"\xed\xa0\x80edited",
    "at the end of good text": "κόσμε".encode() + b"\xce",
}


@pytest.mark.parametrize("text", list(VALID.values()), ids=list(VALID))
def test_valid_text_comes_back_unchanged(connect: Connect, text: str) -> None:
    peer = connect()
    peer.send(frame(TEXT, text.encode()))
    assert peer.message() == text


@pytest.mark.parametrize("text", list(VALID.values()), ids=list(VALID))
def test_valid_text_comes_back_unchanged_from_fragments_of_one_byte(
    connect: Connect, text: str
) -> None:
    peer = connect()
    data = b"<" + text.encode() + b">"
    peer.send(*fragments(TEXT, [data[at : at + 1] for at in range(len(data))]))
    assert peer.message() == f"<{text}>"


@pytest.mark.parametrize("data", list(INVALID.values()), ids=list(INVALID))
def test_invalid_text_fails_the_connection(connect: Connect, data: bytes) -> None:
    peer = connect()
    peer.send(frame(TEXT, data))
    assert peer.failed_with() == 1007


@pytest.mark.parametrize("data", list(INVALID.values()), ids=list(INVALID))
def test_invalid_text_in_fragments_of_one_byte_fails_the_connection(
    connect: Connect, data: bytes
) -> None:
    peer = connect()
    peer.send(*fragments(TEXT, [data[at : at + 1] for at in range(len(data))]))
    assert peer.failed_with() == 1007


@pytest.mark.parametrize("data", list(INVALID.values()), ids=list(INVALID))
def test_bytes_that_are_no_text_are_welcome_in_binary_messages(
    connect: Connect, data: bytes
) -> None:
    peer = connect()
    peer.send(frame(BINARY, data), *fragments(BINARY, [data[:1], data[1:]]))
    assert [peer.message(), peer.message()] == [data, data]


@pytest.mark.parametrize("data", list(INVALID.values()), ids=list(INVALID))
def test_an_invalid_close_reason_fails_the_connection(connect: Connect, data: bytes) -> None:
    peer = connect()
    peer.send(close_frame(1000, data))
    assert peer.failed_with() == 1007


@pytest.mark.parametrize("name", ["nul", "Greek", "family", "last of all"])
def test_a_valid_close_reason_is_accepted(connect: Connect, name: str) -> None:
    peer = connect()
    peer.send(close_frame(1000, VALID[name].encode()))
    assert peer.close_received()[0] == 1000


def test_a_fragment_with_a_broken_character_fails_before_the_message_ends(
    connect: Connect,
) -> None:
    peer = connect()
    peer.send(frame(TEXT, b"fine", fin=False), frame(CONTINUATION, b"\xff", fin=False))
    assert peer.failed_with() == 1007


def test_a_character_left_incomplete_by_the_last_fragment_fails_the_connection(
    connect: Connect,
) -> None:
    peer = connect()
    peer.send(frame(TEXT, b"fine", fin=False), frame(CONTINUATION, b"\xf0\x9f\x98"))
    assert peer.failed_with() == 1007


def test_a_character_may_not_continue_in_the_next_message(connect: Connect) -> None:
    peer = connect()
    peer.send(frame(TEXT, b"\xc3"), frame(TEXT, b"\xa4"))
    assert peer.failed_with() == 1007
