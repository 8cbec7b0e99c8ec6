"""Threat 27: frames that RFC 6455 forbids fail with the right code, and never look like an
ordinary close."""

from __future__ import annotations

import pytest

from tests.protocol.streams import (
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    byte_by_byte,
    close_payload,
    fragments,
    frame,
    play,
    server,
    whole,
)
from wsframe.protocol.connection import State
from wsframe.protocol.events import Failed

UNMASKED = {
    f"unmasked {name}": frame(opcode, payload, key=None)
    for name, opcode, payload in (
        ("text", TEXT, b"hello"),
        ("ping", PING, b""),
        ("close", CLOSE, close_payload(1000)),
        ("continuation", CONTINUATION, b""),
        ("large text", TEXT, b"x" * 70_000),
    )
}
BAD_CONTROL = {
    f"{what} {opcode:#x}": stream
    for opcode in (CLOSE, PING, PONG)
    for what, stream in (
        ("fragmented", frame(opcode, b"\x03\xe8", fin=False)),
        ("too long", frame(opcode, b"\x03\xe8" + b"x" * 124)),
        ("with a long length", frame(opcode, b"\x03\xe8", length_bytes=2)),
        ("with a very long length", frame(opcode, b"\x03\xe8", length_bytes=8)),
    )
} | {f"reserved {opcode:#x}": frame(opcode, b"") for opcode in (*range(3, 8), *range(11, 16))}

# Each is invalid by itself: Unicode table 3-7, overlong forms, surrogates, beyond U+10FFFF.
BAD_UTF8 = [
    b"\x80",
    b"\xbf",
    b"\xc0\xaf",
    b"\xc1\xbf",
    b"\xc3\x28",
    b"\xe0\x80\xaf",
    b"\xe0\x9f\xbf",
    b"\xe2\x28\xa1",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\xf0\x80\x80\xaf",
    b"\xf0\x8f\xbf\xbf",
    b"\xf4\x90\x80\x80",
    b"\xf5\x80\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xfe",
    b"\xff",
    b"\xe2\x82",
    b"\xf0\x9f\x98",
]


def assert_fails(stream: bytes, code: int, *, hot_path: bool) -> None:
    for feed in (whole, byte_by_byte):
        transcript = play(server(hot_path=hot_path), feed(frame(TEXT, b"before") + stream))
        first, failure = transcript.events
        assert first == "before"
        assert isinstance(failure, Failed)
        assert failure.code == code
        assert transcript.state is State.FAILED
        assert transcript.output[:1] == b"\x88"
        assert transcript.output[2:4] == code.to_bytes(2, "big")


@pytest.mark.parametrize("hot_path", [True, False])
@pytest.mark.parametrize("name", UNMASKED)
def test_an_unmasked_frame_fails_with_1002(name: str, hot_path: bool) -> None:
    assert_fails(UNMASKED[name], 1002, hot_path=hot_path)


@pytest.mark.parametrize("hot_path", [True, False])
@pytest.mark.parametrize("name", BAD_CONTROL)
def test_a_bad_control_frame_fails_with_1002(name: str, hot_path: bool) -> None:
    assert_fails(BAD_CONTROL[name], 1002, hot_path=hot_path)


@pytest.mark.parametrize("hot_path", [True, False])
@pytest.mark.parametrize("bad", BAD_UTF8, ids=bytes.hex)
def test_bad_utf8_fails_with_1007_also_across_fragments(bad: bytes, hot_path: bool) -> None:
    text = "κόσμε".encode() + bad
    assert_fails(frame(TEXT, text), 1007, hot_path=hot_path)
    for position in range(len(text) + 1):
        stream = b"".join(fragments(TEXT, text[:position], text[position:]))
        assert_fails(stream, 1007, hot_path=hot_path)
    assert_fails(frame(CLOSE, close_payload(1000, bad)), 1007, hot_path=hot_path)
