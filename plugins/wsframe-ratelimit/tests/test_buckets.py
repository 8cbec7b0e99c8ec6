"""Buckets let through what they promise, exactly, and being forgotten is no way around them."""

from __future__ import annotations

import time
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsframe_ratelimit.buckets import (
    FORGOTTEN,
    SORTED_AT_A_TIME,
    Bucket,
    Buckets,
    ticks_per_nanosecond,
    ticks_per_token,
)
from wsframe_ratelimit.config import Limit
from wsframe_ratelimit.limits import Charge, give_back, is_forgotten, take

# Rates as people write them: whole, decimal, and not to be divided evenly.
RATES = st.one_of(
    st.integers(1, 1_000).map(float),
    st.sampled_from([0.1, 0.3, 1 / 3, 0.7, 2.5, 16.667, 999.99, 1e-3]),
    st.floats(0.001, 1_000),
)
LIMITS = st.builds(Limit, rate=RATES, burst=st.integers(1, 8))
PAUSES_NS = st.one_of(
    st.just(0), st.integers(0, 10**10), st.sampled_from([1, 10**6, 10**8, 333_333_333, 10**9])
)


class Limited:
    """One limit and what it let through, as ``(time in ns, cost)``."""

    def __init__(self, limit: Limit, others: tuple[Limit, ...] = ()) -> None:
        rates = [each.exact_rate for each in (limit, *others)]
        self.scale = ticks_per_nanosecond(rates)
        self.limit = limit
        self.token = ticks_per_token(limit.exact_rate, self.scale)
        self.passed: list[tuple[int, int]] = []

    def charge(self, bucket: Bucket, cost: int = 1) -> Charge:
        room = (self.limit.tokens - cost) * self.token
        return Charge(((bucket, cost * self.token, room),), ("it",), ())

    def ask(self, bucket: Bucket, now_ns: int, cost: int = 1) -> bool:
        let_through = take(self.charge(bucket, cost), now_ns * self.scale)
        if let_through:
            self.passed.append((now_ns, cost))
        return let_through

    def too_much_since(self, since: int, now_ns: int, cost: int) -> bool:
        """Would ``cost`` more be too much for the window that begins with a message?"""
        window_ns = now_ns - self.passed[since][0]
        used = sum(each for _, each in self.passed[since:]) + cost
        return used > self.limit.tokens + self.limit.exact_rate * Fraction(window_ns, 10**9)

    def may_pass(self, now_ns: int, cost: int) -> bool:
        return not any(
            self.too_much_since(since, now_ns, cost) for since in range(len(self.passed))
        )


@given(
    limit=LIMITS,
    other=LIMITS,
    asked=st.lists(st.tuples(PAUSES_NS, st.integers(0, 8)), max_size=60),
    started=st.integers(0, 10**16),
)
def test_what_fits_into_every_window_passes_and_nothing_else(
    limit: Limit, other: Limit, asked: list[tuple[int, int]], started: int
) -> None:
    limited, bucket, now = Limited(limit, (other,)), Bucket(), started
    for pause, cost in asked:
        now += pause
        fits = cost <= limit.tokens and limited.may_pass(now, cost)
        if cost <= limit.tokens:  # the configuration sees to that
            assert limited.ask(bucket, now, cost) is fits


@given(limit=LIMITS, pauses=st.lists(st.integers(0, 10**9), max_size=60))
def test_who_keeps_to_the_rate_is_never_refused(limit: Limit, pauses: list[int]) -> None:
    limited, bucket, now = Limited(limit), Bucket(), 0
    at_least = -(-(10**9) // limit.exact_rate)  # a token's time, in whole nanoseconds
    for pause in pauses:
        now += at_least + pause
        assert limited.ask(bucket, now)


@given(
    limit=LIMITS,
    asked=st.lists(st.tuples(PAUSES_NS, st.sampled_from("abcdefgh")), max_size=80),
    max_keys=st.integers(1, 4),
)
def test_no_key_passes_more_for_being_forgotten(
    limit: Limit, asked: list[tuple[int, str]], max_keys: int
) -> None:
    buckets, now = Buckets(max_keys), 0
    by_key = {key: Limited(limit) for key in "abcdefgh"}
    for pause, key in asked:
        now += pause
        limited = by_key[key]
        fits = limited.may_pass(now, 1)
        if limited.ask(buckets.find(key), now):
            assert fits
        assert len(buckets) <= max_keys


def test_a_flood_of_fresh_keys_gives_nobody_a_fresh_bucket_and_takes_one_token_of_strangers() -> (
    None
):
    limited = Limited(Limit(rate=1, burst=10))
    buckets = Buckets(max_keys=1_000)
    for _ in range(10):
        assert limited.ask(buckets.find("greedy"), 0)
    for number in range(1_900):
        assert limited.ask(buckets.find(f"fresh {number}"), 0)
    assert not limited.ask(buckets.find("greedy"), 0)
    stranger = buckets.find("stranger")
    assert [limited.ask(stranger, 0) for _ in range(10)] == [True] * 9 + [False]


def test_full_buckets_are_forgotten_first_and_cost_newcomers_nothing() -> None:
    limited = Limited(Limit(rate=1, burst=2))
    buckets = Buckets(max_keys=3)
    idle, busy = buckets.find("idle"), buckets.find("busy")
    assert limited.ask(idle, 0)
    for _ in range(2):
        assert limited.ask(busy, 5 * 10**9)
    for number in range(100):
        newcomer = buckets.find(f"new {number}")
        later = (6 + number) * 10**9
        assert limited.ask(newcomer, later)
        assert limited.ask(newcomer, later)
        assert limited.ask(busy, later)
        assert buckets.find("busy") is busy
    assert idle.full_at == FORGOTTEN


def test_a_forgotten_bucket_refuses_everything_and_takes_nothing_back() -> None:
    limited = Limited(Limit(rate=1, burst=2))
    buckets = Buckets(max_keys=1)
    bucket = buckets.find("a")
    charge = limited.charge(bucket)
    assert take(charge, 0)
    assert not is_forgotten(charge)
    buckets.find("b")
    assert is_forgotten(charge)
    give_back(charge)
    assert not take(charge, 10**30)
    assert bucket.full_at == FORGOTTEN


def test_making_room_looks_at_a_few_buckets_only() -> None:
    buckets = Buckets(max_keys=20_000)
    held = [buckets.find(str(number)) for number in range(20_000)]
    for number, bucket in enumerate(held):
        bucket.full_at = 1 + number
    buckets.find("new")
    assert sum(bucket.full_at == FORGOTTEN for bucket in held) == 1
    moved = [entry for entry in buckets._soonest if entry[0]]
    assert len(moved) <= SORTED_AT_A_TIME + 1


@given(limit=LIMITS, taken=st.lists(PAUSES_NS, max_size=20))
def test_a_message_takes_from_all_of_its_buckets_or_from_none(
    limit: Limit, taken: list[int]
) -> None:
    limited, bucket, twin = Limited(limit), Bucket(), Bucket()
    empty = Bucket(10**40)
    room = (limit.tokens - 1) * limited.token
    both = Charge(((bucket, limited.token, room), (empty, limited.token, room)), ("a", "b"), ())
    now = 0
    for pause in taken:
        now += pause
        assert not take(both, now * limited.scale)
        alone = take(limited.charge(twin), now * limited.scale)
        assert take(limited.charge(bucket), now * limited.scale) is alone


@pytest.mark.parametrize("rate", [1, 3, 0.1, 0.7, 16.667, 1e-6, 1e6])
def test_a_token_comes_back_in_a_whole_number_of_ticks(rate: float) -> None:
    exact = Limit(rate=rate).exact_rate
    scale = ticks_per_nanosecond([exact, Fraction(7)])
    assert Fraction(ticks_per_token(exact, scale), scale) * exact == 10**9


def test_the_real_clock_of_an_event_loop_is_read_directly() -> None:
    import asyncio

    import uvloop
    from wsframe_ratelimit.plugin import _clock

    async def clock() -> object:
        return _clock()

    assert asyncio.run(clock()) is time.monotonic_ns
    assert uvloop.run(clock()) is time.monotonic_ns
