"""Hypothesis strategies for what a peer may send: mostly right, sometimes wrong in one place."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

from tests.protocol.streams import (
    BINARY,
    CLOSE,
    KEY,
    PING,
    PONG,
    TEXT,
    close_payload,
    deflated,
    fragments,
    frame,
)

CUTS = st.lists(st.integers(0, 2**20), max_size=12)

_texts = st.text(max_size=40).map(str.encode) | st.text(min_size=120, max_size=140).map(str.encode)
_payloads = _texts | st.binary(max_size=40) | st.binary(min_size=120, max_size=140)
_opcodes = st.sampled_from([TEXT, BINARY])
_codes = st.sampled_from([1000, 1001, 1005, 1006, 1011, 1015, 1016, 2999, 3000, 4999, 5000, 0])


@st.composite
def _whole_messages(draw: st.DrawFn, masked: bool) -> bytes:
    opcode = draw(_opcodes)
    payload = draw(_texts if opcode == TEXT else _payloads)
    return frame(opcode, payload, key=KEY if masked else None)


@st.composite
def _control_frames(draw: st.DrawFn, masked: bool) -> bytes:
    opcode = draw(st.sampled_from([PING, PONG]))
    return frame(opcode, draw(st.binary(max_size=125)), key=KEY if masked else None)


@st.composite
def _close_frames(draw: st.DrawFn, masked: bool) -> bytes:
    payload = draw(
        st.builds(close_payload, _codes, st.text(max_size=20).map(str.encode))
        | st.binary(max_size=4)
    )
    return frame(CLOSE, payload, key=KEY if masked else None)


@st.composite
def _fragmented_messages(draw: st.DrawFn, masked: bool) -> bytes:
    opcode = draw(_opcodes)
    payload = draw(_payloads)
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4)))
    bounds = [0, *cuts, len(payload)]
    parts = [payload[start:end] for start, end in pairwise(bounds)]
    stream = b""
    for index, part in enumerate(parts):
        stream += frame(
            opcode if index == 0 else 0,
            part,
            fin=index == len(parts) - 1,
            key=KEY if masked else None,
        )
        if draw(st.integers(0, 5)) == 0:
            stream += draw(_control_frames(masked))
    return stream


@st.composite
def _any_frames(draw: st.DrawFn) -> bytes:
    """Every combination of header bits, with every form of the length."""
    payload = draw(st.binary(max_size=130))
    return frame(
        draw(st.integers(0, 15)),
        payload,
        fin=draw(st.booleans()),
        rsv=draw(st.integers(0, 7)),
        key=draw(st.sampled_from([KEY, None, b"\0\0\0\0"])),
        length_bytes=draw(st.sampled_from([2, 8] if len(payload) > 125 else [0, 2, 8])),
    )


@st.composite
def streams(draw: st.DrawFn, *, masked: bool = True) -> bytes:
    """What one peer sends in all."""
    kinds = [_whole_messages(masked)] * 6 + [
        _control_frames(masked),
        _fragmented_messages(masked),
        _fragmented_messages(masked),
    ]
    parts = draw(st.lists(st.one_of(kinds), max_size=8))
    if draw(st.integers(0, 2)) == 0:
        parts.append(draw(_close_frames(masked) | _any_frames() | st.binary(max_size=30)))
        parts += draw(st.lists(_whole_messages(masked), max_size=2))
    stream = b"".join(parts)
    if stream and draw(st.integers(0, 4)) == 0:
        changed = bytearray(stream)
        changed[draw(st.integers(0, len(stream) - 1))] ^= 1 << draw(st.integers(0, 7))
        stream = bytes(changed)
    return stream


@st.composite
def compressed_streams(draw: st.DrawFn, *, interleaved: bool = True) -> bytes:
    """Messages of a client that negotiated permessage-deflate, some of them compressed."""
    stream = b""
    for _ in range(draw(st.integers(1, 5))):
        opcode = draw(_opcodes)
        payload = draw(_texts if opcode == TEXT else _payloads)
        data = deflated(payload * draw(st.integers(1, 9)), level=draw(st.integers(0, 9)))
        position = draw(st.integers(0, len(data)))
        frames = draw(
            st.sampled_from(
                [
                    [frame(opcode, payload)],
                    [frame(opcode, data, rsv=4)],
                    fragments(opcode, data[:position], data[position:], rsv=4),
                ]
            )
        )
        if interleaved and draw(st.integers(0, 3)) == 0:
            frames.insert(draw(st.integers(0, len(frames))), draw(_control_frames(True)))
        stream += b"".join(frames)
    if draw(st.integers(0, 3)) == 0:
        changed = bytearray(stream)
        changed[draw(st.integers(0, len(stream) - 1))] ^= 1 << draw(st.integers(0, 7))
        stream = bytes(changed)
    return stream
