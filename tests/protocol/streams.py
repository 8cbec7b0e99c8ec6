"""Byte streams of a client, ways to feed them, and what comes of it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

from wsframe.protocol.connection import Role, State, WebSocket
from wsframe.protocol.deflate import Deflate, DeflateSettings, negotiate
from wsframe.protocol.events import Event

KEY = b"\x37\xfa\x21\x3d"
LIMIT = 100_000

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    key: bytes | None = KEY,
    length_bytes: int | None = None,
) -> bytes:
    """A frame, written without the code under test; ``key=None`` is an unmasked one.

    ``length_bytes``: 0, 2 or 8 forces that form of the length field.
    """
    length = len(payload)
    if length_bytes is None:
        length_bytes = 0 if length < 126 else 2 if length < 65536 else 8
    short = {0: length, 2: 126, 8: 127}[length_bytes]
    head = bytes([fin << 7 | rsv << 4 | opcode, (key is not None) << 7 | short])
    head += length.to_bytes(length_bytes, "big") if length_bytes else b""
    if key is None:
        return head + payload
    repeated = (key * (length // 4 + 1))[:length]
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")
    return head + key + masked.to_bytes(length, "big")


def fragments(opcode: int, *payloads: bytes, rsv: int = 0) -> list[bytes]:
    """The frames of one message."""
    last = len(payloads) - 1
    return [
        frame(
            opcode if index == 0 else CONTINUATION,
            payload,
            fin=index == last,
            rsv=rsv if index == 0 else 0,
        )
        for index, payload in enumerate(payloads)
    ]


def close_payload(code: int, reason: bytes = b"") -> bytes:
    return code.to_bytes(2, "big") + reason


def deflated(payload: bytes, *, level: int = 6) -> bytes:
    """``payload`` as one compressed message (RFC 7692 section 7.2.1)."""
    compressor = zlib.compressobj(level, zlib.DEFLATED, -15)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


def agreed(offer: str = "permessage-deflate; client_max_window_bits", **settings: int) -> Deflate:
    """What a server agrees upon with a client that makes this offer."""
    answer = negotiate([offer], DeflateSettings(**settings))
    assert answer is not None
    return answer[0]


class Transcript(NamedTuple):
    """Everything that a stream of bytes made of a connection."""

    events: list[Event]
    output: bytes
    state: State
    close_code: int | None
    close_reason: str


def server(**settings: object) -> WebSocket:
    settings.setdefault("max_message_bytes", LIMIT)
    return WebSocket(Role.SERVER, **settings)  # type: ignore[arg-type]


def play(websocket: WebSocket, chunks: Iterable[bytes], *, eof: bool = False) -> Transcript:
    events: list[Event] = []
    for chunk in chunks:
        events += websocket.receive_data(chunk)
    if eof:
        events += websocket.receive_eof()
    return Transcript(
        events,
        b"".join(websocket.output),
        websocket.state,
        websocket.close_code,
        websocket.close_reason,
    )


def whole(stream: bytes) -> list[bytes]:
    return [stream]


def byte_by_byte(stream: bytes) -> list[bytes]:
    """Single bytes; the middle of a long stream in large pieces."""
    if len(stream) < 2_000:
        return [stream[position : position + 1] for position in range(len(stream))]
    middle = stream[300:-300]
    pieces = [middle[position : position + 9_973] for position in range(0, len(middle), 9_973)]
    return [*byte_by_byte(stream[:300]), *pieces, *byte_by_byte(stream[-300:])]


def in_threes(stream: bytes) -> list[bytes]:
    return [stream[position : position + 3] for position in range(0, min(len(stream), 900), 3)] + (
        [stream[900:]] if len(stream) > 900 else []
    )


def cut(stream: bytes, positions: Sequence[int]) -> list[bytes]:
    """``stream`` in pieces that end at ``positions``."""
    bounds = [0, *sorted(position % (len(stream) + 1) for position in positions), len(stream)]
    return [stream[start:end] for start, end in pairwise(bounds)]
