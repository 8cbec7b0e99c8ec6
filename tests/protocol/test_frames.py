"""Frames are written and measured as RFC 6455 section 5.2 says."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.streams import KEY, frame
from wsframe.protocol import frames, masking
from wsframe.protocol.events import Event


@given(
    st.integers(0, 15),
    st.binary(max_size=200) | st.sampled_from([b"x" * 65535, b"x" * 65536]),
    st.none() | st.binary(min_size=4, max_size=4),
    st.booleans(),
    st.booleans(),
)
def test_any_frame_is_encoded(
    opcode: int, payload: bytes, mask: bytes | None, fin: bool, rsv1: bool
) -> None:
    encoded = frames.encode_frame(opcode, payload, mask=mask, fin=fin, rsv1=rsv1)
    assert encoded == frame(opcode, payload, key=mask, fin=fin, rsv=4 if rsv1 else 0)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65535, 65536])
def test_the_payload_of_a_server_frame_is_found_again(size: int) -> None:
    payload = os.urandom(size)
    assert frames.payload_of(frames.encode_text(payload)) == payload
    assert frames.payload_of(frames.encode_binary(payload)) == payload


@pytest.mark.parametrize("key", [KEY, None])
@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536])
def test_a_header_says_where_its_frame_ends(size: int, key: bytes | None) -> None:
    encoded = b"before" + frame(2, b"x" * size, key=key)
    header = frames.read_header(encoded, 6)
    assert header is not None
    assert header.first == 0x82
    assert header.is_masked is (key is not None)
    assert header.payload_bytes == size
    assert 6 + header.header_bytes + size == len(encoded)


@pytest.mark.parametrize(("size", "needed"), [(5, 2), (126, 4), (65536, 10)])
def test_a_header_is_incomplete_until_its_length_is_known(size: int, needed: int) -> None:
    encoded = frame(2, b"x" * size)
    for available in range(needed):
        assert frames.read_header(encoded[:available], 0) is None
    assert frames.read_header(encoded[:needed], 0) is not None


@pytest.mark.parametrize("take", [frames.take_masked, frames.take_unmasked])
def test_the_hot_path_stops_in_front_of_what_is_not_simple(take: object) -> None:
    key = KEY if take is frames.take_masked else None
    other = None if key else KEY
    simple = frame(1, b"simple", key=key)
    for odd in (
        frame(1, b"a", fin=False, key=key),
        frame(0, b"a", key=key),
        frame(9, b"a", key=key),
        frame(8, b"", key=key),
        frame(1, b"a", rsv=4, key=key),
        frame(1, b"a" * 1001, key=key),
        frame(1, b"\xff", key=key),
        frame(1, b"a" * 125, key=key, length_bytes=2),
        frame(1, b"a" * 200, key=key, length_bytes=8),
        frame(1, b"\0\0", key=other),
        frame(1, b"a" * 200, key=other),
        simple[:-1],
        simple[:1],
    ):
        events: list[Event] = []
        assert take(simple * 2 + odd, 0, 1000, events) == 2 * len(simple)  # type: ignore[operator]
        assert events == ["simple", "simple"]


@pytest.mark.parametrize(
    "apply_mask", [masking.mask_in_python, masking.apply_mask], ids=["python", "chosen"]
)
@given(st.binary(max_size=64) | st.sampled_from([b"\x5a" * 1023, b"\xa5" * 1024, b"z" * 70001]))
def test_masking_is_xor_with_the_repeated_key(apply_mask: object, payload: bytes) -> None:
    expected = bytes(byte ^ KEY[index % 4] for index, byte in enumerate(payload))
    for given_payload in (payload, bytearray(payload), memoryview(payload)):
        masked = apply_mask(given_payload, KEY)  # type: ignore[operator]
        assert masked == expected
        assert type(masked) is bytes
