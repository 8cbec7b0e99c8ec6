"""Threats 22 and 23: fragments cannot be used to take memory, nor time that grows faster than
what is sent."""

from __future__ import annotations

import math
import time
import tracemalloc

import pytest

from tests.protocol.streams import BINARY, CONTINUATION, TEXT, frame, server
from wsframe.protocol.connection import State
from wsframe.protocol.events import Failed

TOO_BIG = Failed(1009, "the message is larger than the limit")


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_22_a_million_one_byte_fragments_end_in_1009_with_bounded_memory(opcode: int) -> None:
    websocket = server(max_message_bytes=2 * 1024 * 1024)
    burst = frame(CONTINUATION, b"x", fin=False) * 10_000
    websocket.receive_data(frame(opcode, b"x", fin=False))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    events = []
    for _ in range(100):
        events += websocket.receive_data(burst)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    assert events == [TOO_BIG]
    assert websocket.state is State.FAILED
    assert peak < 1_000_000


def test_22_fragments_within_the_limits_become_one_message() -> None:
    websocket = server()
    stream = frame(TEXT, b"a", fin=False) + frame(CONTINUATION, b"b", fin=False) * 5_000
    assert websocket.receive_data(stream) == []
    assert websocket.receive_data(frame(CONTINUATION, b"c")) == ["a" + "b" * 5_000 + "c"]


def test_22_empty_fragments_end_in_1008() -> None:
    websocket = server(max_control_frames=1000)
    websocket.receive_data(frame(TEXT, b"a", fin=False))
    events = websocket.receive_data(frame(CONTINUATION, b"", fin=False) * 2_000)
    assert events == [Failed(1008, "too many control frames or empty fragments")]


def test_22_empty_fragments_sent_slowly_end_in_1009() -> None:
    websocket = server(max_fragments=3_000)
    events = websocket.receive_data(frame(TEXT, b"a", fin=False))
    for _ in range(4):
        events += websocket.receive_data(frame(CONTINUATION, b"", fin=False) * 800)
        websocket.reset_control_count()
    assert events == [TOO_BIG]


def cpu_seconds(size: int, chunk_size: int, opcode: int, fragment_size: int | None) -> float:
    """The least of three times to receive one message of ``size`` bytes."""
    payload = b"x" * size
    if fragment_size is None:
        stream = frame(opcode, payload)
    else:
        middle = frame(CONTINUATION, b"x" * fragment_size, fin=False) * (size // fragment_size)
        stream = frame(opcode, b"", fin=False) + middle + frame(CONTINUATION)
    chunks = [stream[start : start + chunk_size] for start in range(0, len(stream), chunk_size)]
    times = []
    for _ in range(3):
        websocket = server(max_message_bytes=8 * size, max_fragments=size)
        start = time.thread_time()
        events = [event for chunk in chunks for event in websocket.receive_data(chunk)]
        times.append(time.thread_time() - start)
        assert len(events) == 1
    return min(times)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "chunk_size", "fragment_size"),
    [(8_000, 1, None), (250_000, 1400, None), (10_000, 4096, 4), (250_000, 1400, 1000)],
    ids=["byte by byte", "large, in packets", "tiny fragments", "fragments in packets"],
)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_23_twice_the_message_takes_less_than_two_and_a_half_times_as_long(
    size: int, chunk_size: int, fragment_size: int | None, opcode: int
) -> None:
    # Over three doublings: one alone may be that which the processor's cache has no room for.
    small = large = math.inf
    for _ in range(10):  # another process on the same core can spoil a measurement
        small = min(small, cpu_seconds(size, chunk_size, opcode, fragment_size))
        large = min(large, cpu_seconds(8 * size, chunk_size, opcode, fragment_size))
        if large / small < 2.5**3:
            return
    pytest.fail(f"time(8N)/time(N) is {large / small}")
