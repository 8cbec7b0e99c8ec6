"""Timestamps and message ids. The time comes in as an argument: nothing here reads a clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from math import floor
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND_IN_MS: Final = 0.001
_LAST_DIGITS: Final = tuple(f"{number:03d}" for number in range(1000))


class Timestamps:
    """RFC 3339 timestamps in UTC with milliseconds: ``2026-01-31T10:00:00.000Z``.

    Consecutive calls within one millisecond return the same string object.
    """

    __slots__ = ("_millisecond", "_next_millisecond", "_second", "_second_text", "_text")

    def __init__(self) -> None:
        self._millisecond = -1.0
        self._next_millisecond = 0.0
        self._second = -1
        self._second_text = "1969-12-31T23:59:59"
        self._text = "1969-12-31T23:59:59.999Z"

    def stamp(self, unix_seconds: float) -> str:
        """The timestamp of ``unix_seconds`` (POSIX time, as ``time.time()`` gives it).

        Digits below a millisecond are cut off, after rounding to the microsecond: a float near
        today's date is no finer than 0.2 µs, so 10.123 s may arrive as 10.1229999.

        Raises:
            OverflowError: the year is not within 1-9999.
        """
        milliseconds = unix_seconds * 1000 + _MICROSECOND_IN_MS
        if not self._millisecond <= milliseconds < self._next_millisecond:
            millisecond = floor(milliseconds)
            second, rest = divmod(millisecond, 1000)
            if second != self._second:
                moment = _EPOCH + timedelta(seconds=second)
                self._second_text = moment.isoformat()[:19]  # without the offset
                self._second = second
            self._text = f"{self._second_text}.{rest:03d}Z"
            self._millisecond = float(millisecond)
            self._next_millisecond = self._millisecond + 1
        return self._text


class MessageIds:
    """Counted ids for server-made messages.

    They read ``prefix-1``, ``prefix-2``, … and are unique as long as the prefix is; a
    random prefix comes from the caller. It is 1-100 characters long, so that the ids stay within
    the limit of 128.
    """

    __slots__ = ("next",)

    next: Callable[[], str]
    """Makes the next id."""

    def __init__(self, prefix: str) -> None:
        if not 1 <= len(prefix) <= 100:
            raise ValueError("the prefix of message ids is 1-100 characters long")
        self.next = _ids(prefix).__next__


def _ids(prefix: str) -> Iterator[str]:
    """Ids that count up: joining strings made before is cheaper than formatting numbers."""
    for number in range(1, 1000):
        yield f"{prefix}-{number}"
    thousands = 0
    while True:
        thousands += 1
        head = f"{prefix}-{thousands}"
        for last_digits in _LAST_DIGITS:
            yield head + last_digits
