"""Threat 25: reserved bits that nothing was agreed upon for fail with 1002."""

from __future__ import annotations

import pytest

from tests.protocol.streams import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    agreed,
    deflated,
    frame,
    server,
)
from wsframe.protocol.events import Failed

RSV1 = 4


@pytest.mark.parametrize("hot_path", [True, False])
@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, CLOSE, PING, PONG])
def test_without_deflate_every_reserved_bit_fails(opcode: int, rsv: int, hot_path: bool) -> None:
    events = server(hot_path=hot_path).receive_data(frame(opcode, b"", rsv=rsv))
    assert events == [Failed(1002, "Reserved bit set unexpectedly")]


@pytest.mark.parametrize("hot_path", [True, False])
@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, CLOSE, PING, PONG])
def test_with_deflate_only_rsv1_of_a_message_is_allowed(
    opcode: int, rsv: int, hot_path: bool
) -> None:
    websocket = server(hot_path=hot_path, deflate=agreed())
    events = websocket.receive_data(frame(opcode, deflated(b""), rsv=rsv))
    if rsv == RSV1 and opcode in (TEXT, BINARY):
        assert events == ["" if opcode == TEXT else b""]
    else:
        assert events == [Failed(1002, "Reserved bit set unexpectedly")]


@pytest.mark.parametrize("hot_path", [True, False])
@pytest.mark.parametrize("first_rsv", [0, RSV1])
@pytest.mark.parametrize("rsv", range(1, 8))
def test_a_continuation_has_no_reserved_bit(rsv: int, first_rsv: int, hot_path: bool) -> None:
    websocket = server(hot_path=hot_path, deflate=agreed())
    websocket.receive_data(frame(TEXT, b"", fin=False, rsv=first_rsv))
    events = websocket.receive_data(frame(CONTINUATION, b"", rsv=rsv))
    assert events == [Failed(1002, "Reserved bit set unexpectedly")]
