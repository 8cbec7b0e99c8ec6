"""Token buckets, exact and bounded in number. No clock, no I/O.

A bucket is one number: the moment at which it will be full again (the generic cell rate algorithm).
Taking a token moves that moment by the time in which a token comes back; what would move it further
into the future than a full bucket is deep does not fit. All times are whole numbers of *ticks*, of
which a nanosecond has so many that each token of each limit comes back in a whole number of them:
nothing is rounded. So a bucket lets through at most ``burst + rate * window`` in any window of
time, and refuses nobody who asks for less.

A table forgets the buckets that are full, because a new one is the same. When all of its buckets
owe something, it forgets the one that will be full soonest; from then on each new bucket begins as
if it had to be filled up to that moment too. So whoever is forgotten gets back a bucket that has
not more in it than his own had: to be forgotten is never better than to wait.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from heapq import heappop, heappush, heapreplace
from itertools import count
from math import lcm
from typing import Final

FORGOTTEN: Final = 1 << 512
"""In the place of :attr:`Bucket.full_at`, later than any time: look for a new bucket."""

SORTED_AT_A_TIME: Final = 32
"""Buckets of a full table that are put in order for a new one, so that this takes no time."""

NANOSECONDS: Final = 10**9


def ticks_per_nanosecond(rates: Iterable[Fraction]) -> int:
    """The scale in which a token of each of these rates, per second, takes whole ticks."""
    return lcm(*((NANOSECONDS / rate).denominator for rate in rates))


def ticks_per_token(rate: Fraction, scale: int) -> int:
    """The time in which a token comes back; ``scale`` is of :func:`ticks_per_nanosecond`."""
    ticks = NANOSECONDS * scale / rate
    assert ticks.denominator == 1, "the scale is made for this rate"
    return ticks.numerator


class Bucket:
    """When it will be full again, in ticks; in the past: it is full."""

    __slots__ = ("full_at",)

    def __init__(self, full_at: int = 0) -> None:
        self.full_at = full_at


class Buckets:
    """The buckets of one limit, by key.

    Args:
        max_keys: how many there are at most.
    """

    __slots__ = ("_by_key", "_floor", "_max_keys", "_numbers", "_soonest")

    def __init__(self, max_keys: int) -> None:
        self._max_keys = max_keys
        self._by_key: dict[str, Bucket] = {}
        self._soonest: list[tuple[int, int, str, Bucket]] = []
        """A heap by when each was to be full when that was last looked at."""
        self._floor = 0
        self._numbers = count()

    def __len__(self) -> int:
        return len(self._by_key)

    def find(self, key: str) -> Bucket:
        """The bucket of a key, which may be a new one.

        Once it is forgotten it refuses everything: its :attr:`~Bucket.full_at` is
        :data:`FORGOTTEN`.
        """
        bucket = self._by_key.get(key)
        if bucket is None:
            if len(self._by_key) >= self._max_keys:
                self._forget_one()
            bucket = self._by_key[key] = Bucket(self._floor)
            heappush(self._soonest, (self._floor, next(self._numbers), key, bucket))
        return bucket

    def _forget_one(self) -> None:
        heap = self._soonest
        for _ in range(SORTED_AT_A_TIME):
            recorded, number, key, bucket = heap[0]
            if bucket.full_at == recorded:
                break
            heapreplace(heap, (bucket.full_at, number, key, bucket))
        _, _, key, bucket = heappop(heap)
        del self._by_key[key]
        self._floor = max(self._floor, bucket.full_at)
        bucket.full_at = FORGOTTEN
