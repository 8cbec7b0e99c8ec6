"""Threats 21 and 24: a length field that promises the impossible is answered at once."""

from __future__ import annotations

import tracemalloc

import pytest

from tests.protocol.streams import KEY, agreed, server
from wsframe.protocol.connection import Role, WebSocket
from wsframe.protocol.events import Failed

TOO_BIG = Failed(1009, "the message is larger than the limit")


def header(length: int, first: int, *, key: bytes = KEY) -> bytes:
    return bytes((first, 0xFF if key else 0x7F)) + length.to_bytes(8, "big") + key


@pytest.mark.parametrize("hot_path", [True, False])
@pytest.mark.parametrize("first", [0x81, 0x82, 0x01, 0xC1])
@pytest.mark.parametrize("length", [2**62, 2**63 - 1, 2**40, 2**31, 100_000 * 9 // 8 + 2000])
def test_21_a_header_of_2_to_the_62_bytes_fails_with_1009_at_once(
    length: int, first: int, hot_path: bool
) -> None:
    websocket = server(hot_path=hot_path, deflate=agreed())
    tracemalloc.start()
    assert websocket.receive_data(header(length, first)) == [TOO_BIG]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000


def test_21_it_fails_even_before_the_masking_key_arrives() -> None:
    assert server().receive_data(header(2**62, 0x82)[:10]) == [TOO_BIG]


def test_21_a_continuation_of_2_to_the_62_bytes_fails_too() -> None:
    websocket = server()
    websocket.receive_data(header(70_000, 0x02) + b"x" * 70_000)
    assert websocket.receive_data(header(2**62, 0x80)) == [TOO_BIG]


def test_21_the_client_is_protected_as_well() -> None:
    websocket = WebSocket(Role.CLIENT, max_message_bytes=1000, mask_key=lambda: KEY)
    assert websocket.receive_data(header(2**62, 0x82, key=b"")) == [TOO_BIG]


@pytest.mark.parametrize("hot_path", [True, False])
@pytest.mark.parametrize("length", [2**63, 2**64 - 1, 2**63 + 5])
def test_24_a_length_with_the_top_bit_set_fails_with_1002(length: int, hot_path: bool) -> None:
    websocket = server(hot_path=hot_path)
    assert websocket.receive_data(header(length, 0x82)) == [
        Failed(1002, "8-byte payload length with non-zero MSB")
    ]
