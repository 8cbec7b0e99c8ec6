"""What the bundled load generator puts on the wire and takes off it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="  # the sample nonce of RFC 6455 section 1.3, and its answer
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


class WrongAnswer(Exception):
    """The server sent what it must not."""


def client_frame(opcode: int, payload: bytes) -> bytes:
    """One whole client frame, masked with a key made for it (RFC 6455 section 5.3)."""
    key = os.urandom(4)
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65536:
        head = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8, "big")
    mask = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return head + key + (int.from_bytes(payload, "big") ^ mask).to_bytes(size, "big")


def server_frames(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Takes the whole frames off the front of ``buffer``: opcode and payload."""
    at = 0
    try:
        while len(buffer) - at >= 2:
            first, size = buffer[at], buffer[at + 1]
            start = at + 2
            if size & 0x80 or first & 0x70 or not first & 0x80:
                raise WrongAnswer("a masked, reserved or fragmented frame")
            if size == 126:
                start, size = at + 4, int.from_bytes(buffer[at + 2 : at + 4], "big")
            elif size == 127:
                start, size = at + 10, int.from_bytes(buffer[at + 2 : at + 10], "big")
            if len(buffer) < start + size:
                return
            at = start + size
            yield first & 15, bytes(buffer[start:at])
    finally:
        del buffer[:at]


class Template:
    """A message with the tokens @ID@, @TS@ and @ISO@ in it."""

    def __init__(self, text: str) -> None:
        self.text = text

    def render(self, number: int) -> bytes:
        text = self.text.replace("@ID@", f"wl{number:014}")
        if "@TS@" in text:
            text = text.replace("@TS@", f"wts{time.time_ns():019}")
        if "@ISO@" in text:
            now = datetime.now(UTC).isoformat(timespec="milliseconds")
            text = text.replace("@ISO@", now.replace("+00:00", "Z"))
        return text.encode()
