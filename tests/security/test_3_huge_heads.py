"""Threat 3: huge, many or slow headers. 431 or 414, at the price of a glance."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

import pytest

from tests.protocol.http_feeding import LIMIT, UPGRADE, Refusal, feed, head, in_bytes

TOO_LARGE = Refusal(431, "headers_too_large")
TOO_LONG = Refusal(414, "uri_too_long")
MAX_CPU_S = 0.05


def cpu_seconds(chunks: Iterable[bytes], expected: Refusal) -> float:
    """Return the least CPU time of three runs that feed ``chunks``."""
    chunks = list(chunks)
    times = []
    for _ in range(3):
        start = time.thread_time()
        outcome = feed(chunks).outcome
        times.append(time.thread_time() - start)
        assert outcome == expected
    return min(times)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (head(*UPGRADE, "X: " + "a" * 20_000_000), TOO_LARGE),
        (head(*UPGRADE, *(["X: a"] * 100_000)), TOO_LARGE),
        (head(*UPGRADE, *(["X: a"] * 2_000)), TOO_LARGE),
        (head(*UPGRADE, "X" * 20_000_000 + ": a"), TOO_LARGE),
        (head(*UPGRADE, start=f"GET /{'a' * 20_000_000} HTTP/1.1"), TOO_LONG),
        (head(*UPGRADE, start=f"{'A' * 20_000_000} / HTTP/1.1"), TOO_LONG),
        (b"A" * 20_000_000, TOO_LONG),
    ],
    ids=["huge", "many", "many small", "huge name", "long target", "long method", "no line"],
)
def test_a_huge_head_in_one_read_is_refused_at_once(data: bytes, expected: Refusal) -> None:
    assert cpu_seconds([data], expected) < MAX_CPU_S


def test_a_head_that_comes_byte_by_byte_costs_time_in_proportion_to_its_size() -> None:
    def seconds(size: int) -> float:
        parts = in_bytes(head(*UPGRADE)[:-2] + b"X: " + b"\r" * (size - 200))
        start = time.thread_time()
        assert feed(parts, limit=8 * LIMIT).outcome is None
        return time.thread_time() - start

    small = large = math.inf
    for _ in range(10):  # another process on the same core can spoil a measurement
        small, large = min(small, seconds(LIMIT)), min(large, seconds(8 * LIMIT))
        if large / small < 2.5**3:
            return
    pytest.fail(f"time(8N)/time(N) is {large / small}")


def test_a_head_that_comes_byte_by_byte_and_never_ends_is_refused_at_the_limit() -> None:
    endless = head(*UPGRADE)[:-2] + b"X: " + b"a" * 20_000
    assert feed(in_bytes(endless[: LIMIT + 1])).outcome == TOO_LARGE
    assert feed(in_bytes(endless[:LIMIT])).outcome is None
