"""Frames (RFC 6455 section 5): how they are written, where they end, and the hot path.

wsproto is right about everything and needs about 25 µs a frame. Nearly every frame of a real
connection is a whole, unfragmented, uncompressed data frame, and taking one of those apart is a
handful of integer operations. :func:`take_masked` and :func:`take_unmasked` do that for as many
frames as stand at the beginning of a chunk, and stop in front of the first one that is not so
simple. They decide nothing else: whatever they leave goes to wsproto.
"""

from __future__ import annotations

from typing import NamedTuple

from .events import Event
from .masking import apply_mask

CONTINUATION = 0x0
TEXT = 0x1
BINARY = 0x2
CLOSE = 0x8
PING = 0x9
PONG = 0xA

FIN = 0x80
RSV1 = 0x40
MASKED = 0x80
MAX_CONTROL_PAYLOAD_BYTES = 125

_FIN_TEXT = FIN | TEXT
_FIN_BINARY = FIN | BINARY
_SHORT_TEXT_HEADS = tuple(bytes((_FIN_TEXT, length)) for length in range(126))
_SHORT_BINARY_HEADS = tuple(bytes((_FIN_BINARY, length)) for length in range(126))


# Writing


def encode_text(payload: bytes) -> bytes:
    """A server's frame for a whole text message; ``payload`` is its UTF-8."""
    length = len(payload)
    if length < 126:
        return _SHORT_TEXT_HEADS[length] + payload
    if length < 65536:
        return b"\x81\x7e" + length.to_bytes(2, "big") + payload
    return b"\x81\x7f" + length.to_bytes(8, "big") + payload


def encode_binary(payload: bytes) -> bytes:
    """A server's frame for a whole binary message."""
    length = len(payload)
    if length < 126:
        return _SHORT_BINARY_HEADS[length] + payload
    if length < 65536:
        return b"\x82\x7e" + length.to_bytes(2, "big") + payload
    return b"\x82\x7f" + length.to_bytes(8, "big") + payload


def encode_frame(
    opcode: int,
    payload: bytes,
    *,
    mask: bytes | None = None,
    fin: bool = True,
    rsv1: bool = False,
) -> bytes:
    """Any frame at all, valid or not.

    Args:
        opcode: 0-15.
        payload: as it goes on the wire, before masking.
        mask: the four bytes of a client's masking key; None: a server's frame.
        fin: is it the last frame of its message?
        rsv1: is it the first frame of a compressed message (RFC 7692 section 6)?
    """
    first = opcode | (FIN if fin else 0) | (RSV1 if rsv1 else 0)
    masked = 0 if mask is None else MASKED
    length = len(payload)
    if length < 126:
        head = bytes((first, masked | length))
    elif length < 65536:
        head = bytes((first, masked | 126)) + length.to_bytes(2, "big")
    else:
        head = bytes((first, masked | 127)) + length.to_bytes(8, "big")
    if mask is None:
        return head + payload
    return head + mask + apply_mask(payload, mask)


def payload_of(frame: bytes) -> bytes:
    """The payload of a whole frame written by a server."""
    length = frame[1]
    return frame[2 if length < 126 else 4 if length == 126 else 10 :]


# Reading


class Header(NamedTuple):
    """What the first bytes of a frame say. Whether that is allowed is not judged here."""

    first: int
    """FIN, RSV1-3 and opcode, as they are on the wire."""
    header_bytes: int
    """From the first byte to the masking key, including it."""
    payload_bytes: int
    is_masked: bool


def read_header(data: bytes | bytearray, position: int) -> Header | None:
    """The header that begins at ``position``; None when its length field is not complete.

    The masking key may still be missing.
    """
    available = len(data) - position
    if available < 2:
        return None
    second = data[position + 1]
    length = second & 0x7F
    header_bytes = 2
    if length == 126:
        header_bytes = 4
    elif length == 127:
        header_bytes = 10
    if available < header_bytes:
        return None
    if header_bytes > 2:
        length = int.from_bytes(data[position + 2 : position + header_bytes], "big")
    is_masked = second & MASKED != 0
    return Header(data[position], header_bytes + 4 * is_masked, length, is_masked)


def take_masked(
    data: bytes | bytearray, position: int, max_message_bytes: int, events: list[Event]
) -> int:
    """Take a client's whole, plain messages, beginning at ``position``.

    Appends a ``str`` or ``bytes`` for each to ``events``, and returns where the first frame begins
    that is not whole, final, uncompressed, masked, shortly encoded, within ``max_message_bytes``
    and, if text, valid UTF-8. Returns ``len(data)`` when all were.
    """
    size = len(data)
    unmask = apply_mask
    source: bytes | bytearray | memoryview = data
    while position + 6 <= size:
        first = data[position]
        length = data[position + 1]
        # The shortest of the three encodings is required (section 5.2).
        if length < 254:
            start = position + 6
            length -= MASKED
            if length < 0:
                break  # not masked
        elif length == 254:
            start = position + 8
            length = data[position + 2] << 8 | data[position + 3]
            if length < 126:
                break
        else:
            start = position + 14
            length = int.from_bytes(data[position + 2 : position + 10], "big")
            if length < 65536:
                break
            # Slices of views are worth their own cost where they save a copy of that size.
            source = memoryview(data)
        end = start + length
        if end > size or length > max_message_bytes:
            break
        if first == _FIN_TEXT:
            try:
                events.append(unmask(source[start:end], data[start - 4 : start]).decode())
            except UnicodeDecodeError:
                break  # wsproto will find it too, and fail the connection
        elif first == _FIN_BINARY:
            events.append(unmask(source[start:end], data[start - 4 : start]))
        else:
            break
        position = end
    return position


def take_unmasked(
    data: bytes | bytearray, position: int, max_message_bytes: int, events: list[Event]
) -> int:
    """As :func:`take_masked`, for the frames of a server."""
    size = len(data)
    while position + 2 <= size:
        first = data[position]
        length = data[position + 1]
        if length < 126:
            start = position + 2
        elif length == 126:
            start = position + 4
            length = int.from_bytes(data[position + 2 : start], "big")
            if length < 126:
                break
        elif length == 127:
            start = position + 10
            length = int.from_bytes(data[position + 2 : start], "big")
            if length < 65536:
                break
        else:
            break  # masked
        end = start + length
        if end > size or length > max_message_bytes:
            break
        if first == _FIN_TEXT:
            try:
                events.append(data[start:end].decode())
            except UnicodeDecodeError:
                break  # wsproto will find it too, and fail the connection
        elif first == _FIN_BINARY:
            events.append(bytes(data[start:end]))
        else:
            break
        position = end
    return position


def take_fragments(
    data: bytes | bytearray,
    position: int,
    max_fragments: int,
    max_bytes: int,
    payload: bytearray,
    *,
    is_masked: bool,
) -> tuple[int, int]:
    """Take whole, short, not empty fragments from the middle of a message.

    Appends what they carry to ``payload``: at most ``max_fragments`` of ``max_bytes`` together.
    Returns where the first frame begins that is something else, and how many were taken.
    """
    size = len(data)
    head_bytes = 6 if is_masked else 2
    masked = MASKED if is_masked else 0
    taken = 0
    while taken < max_fragments and position + head_bytes < size and data[position] == CONTINUATION:
        length = data[position + 1] - masked
        start = position + head_bytes
        end = start + length
        if not 0 < length < 126 or end > size or length > max_bytes:
            break
        if is_masked:
            payload += apply_mask(data[start:end], data[start - 4 : start])
        else:
            payload += data[start:end]
        taken += 1
        max_bytes -= length
        position = end
    return position, taken


def take_nothing(
    _data: bytes | bytearray, position: int, _max_message_bytes: int, _events: list[Event]
) -> int:
    """No hot path: every frame goes to wsproto."""
    return position


def drop_everything(
    data: bytes | bytearray, _position: int, _max_message_bytes: int, _events: list[Event]
) -> int:
    """Nothing is taken from the peer any more."""
    return len(data)
