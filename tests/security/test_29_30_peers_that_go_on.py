"""Threats 29 and 30: what a peer sends after the end costs nothing, and floods of pings and pongs
are bounded."""

from __future__ import annotations

import tracemalloc

import pytest

from tests.protocol.streams import (
    CLOSE,
    PING,
    PONG,
    TEXT,
    close_payload,
    frame,
    server,
)
from wsframe.protocol.connection import State, WebSocket
from wsframe.protocol.events import CloseReceived, Failed

MIB = 1024 * 1024
FLOOD = Failed(1008, "too many control frames or empty fragments")


def after_failure() -> WebSocket:
    websocket = server()
    websocket.receive_data(frame(3))
    return websocket


def after_close() -> WebSocket:
    websocket = server()
    websocket.receive_data(frame(CLOSE, close_payload(1000)))
    return websocket


def after_giving_up() -> WebSocket:
    websocket = server()
    websocket.receive_data(frame(TEXT, b"half of a message")[:-5])
    websocket.fail(1013, "slow")
    return websocket


@pytest.mark.parametrize("make", [after_failure, after_close, after_giving_up])
def test_29_200_mib_after_the_end_are_dropped_without_growth(make: object) -> None:
    websocket = make()  # type: ignore[operator]
    written = list(websocket.output)
    chunk = b"\x82\xff" + bytes(MIB)
    peaks = []
    for _ in range(3):  # what another thread takes counts too, and does not come each time
        tracemalloc.start()
        for _ in range(200):
            assert websocket.receive_data(chunk) == []
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert min(peaks) < 10_000
    assert websocket.output == written


@pytest.mark.parametrize("size", [100, 5_000])
def test_29_a_peer_that_ignores_our_close_makes_nothing_grow(size: int) -> None:
    websocket = server()
    websocket.close(4409, "taken over")
    chunk = frame(TEXT, b"x" * size) * (MIB // size)
    tracemalloc.start()
    for _ in range(4):
        websocket.receive_data(chunk[: MIB // 2])
        websocket.receive_data(chunk[MIB // 2 :])
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 50_000
    assert websocket.output == []
    assert websocket.receive_data(frame(CLOSE, close_payload(1000))) == [CloseReceived(1000, "")]
    assert websocket.state is State.CLOSED


@pytest.mark.parametrize("opcode", [PING, PONG])
@pytest.mark.parametrize("hot_path", [True, False])
def test_30_a_hundred_thousand_pings_or_pongs_end_in_1008(opcode: int, hot_path: bool) -> None:
    websocket = server(hot_path=hot_path)
    burst = frame(opcode, b"x" * 125) * 1_000
    tracemalloc.start()
    events = []
    for _ in range(100):
        events += websocket.receive_data(burst)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(events) == 1_001
    assert events[-1] == FLOOD
    assert len(websocket.output) <= 1_001
    assert peak < 2_000_000


def test_30_as_many_as_allowed_each_second_go_on_for_ever() -> None:
    websocket = server(max_control_frames=50)
    for _ in range(10):
        assert len(websocket.receive_data(frame(PING) * 50)) == 50
        websocket.output.clear()
        websocket.reset_control_count()
    assert websocket.state is State.OPEN
