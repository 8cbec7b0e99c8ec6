"""What is counted here, because wsframe itself does not: by message type, by hook, and times.

Everything else is wsframe's own count, and is read when somebody asks. What is added up here is on
the path of every message: plain numbers, in structures that were made before.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from wsframe import Outcome, Request

REPLIED: Final = Outcome.REPLIED  # in Python 3.11 an enum is slow to find its members

UNKNOWN: Final = "(unknown)"
"""Stands for all types that nobody handles: their names are strangers' words."""
OTHER: Final = "(other)"
"""Stands for everything beyond the number of names that there may be."""


class Histogram:
    """How often something took how long.

    Args:
        bounds: the upper bounds of the buckets but the last, in seconds, rising.
    """

    __slots__ = ("bounds", "counts", "seconds")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        """How often it was in each bucket, those below not included."""
        self.seconds = 0.0
        """The sum of all times."""

    def add(self, elapsed_s: float) -> None:
        """It took so long."""
        self.counts[bisect_left(self.bounds, elapsed_s)] += 1
        self.seconds += elapsed_s

    @property
    def total(self) -> int:
        """How often it was."""
        return sum(self.counts)


class Sum:
    """How often something was, and how long it took in all."""

    __slots__ = ("count", "seconds")

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0

    def add(self, elapsed_s: float) -> None:
        """It took so long."""
        self.count += 1
        self.seconds += elapsed_s


class TypeStatistics:
    """What became of the messages of one type."""

    __slots__ = ("handling", "otherwise", "replied")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.replied = 0
        self.otherwise: dict[str, int] = {}
        """Every other outcome."""
        self.handling = Histogram(bounds)
        """From the start of the handler to the answer."""


class Totals(NamedTuple):
    """The messages of all types."""

    answered: int
    not_replied: int
    """Failed, timed out or interrupted; who cancels has nothing to complain of."""
    handled: int
    """Those whose handler was started."""
    handler_seconds: float


class Statistics:
    """The numbers of one run of an application.

    Args:
        handles: is there a handler of a message type?
        bounds: of the histograms.
        max_types: types that have numbers of their own, at most.
    """

    def __init__(
        self, handles: Callable[[str], bool], bounds: Sequence[float], max_types: int
    ) -> None:
        self._handles = handles
        self._bounds = bounds
        self._max_types = max_types
        self.types: dict[str, TypeStatistics] = {}
        self.hooks: dict[tuple[str, str], Sum] = {}
        """By plugin and hook."""
        self.requests: dict[int, Sum] = {}
        """Plain requests and handshakes, by HTTP status."""
        self.store: dict[str, Histogram] = {}
        """By what was done."""
        self.lag = Histogram(bounds)
        """By how much the event loop was late."""

    def message(self, message_type: str, outcome: Outcome, elapsed_s: float | None) -> None:
        """A message was answered; see ``app.measure``."""
        found = self.types.get(message_type)
        if found is None:
            found = self._type(message_type)
        if outcome is REPLIED:
            found.replied += 1
        else:
            found.otherwise[outcome.value] = found.otherwise.get(outcome.value, 0) + 1
        if elapsed_s is not None:
            handling = found.handling
            handling.counts[bisect_left(handling.bounds, elapsed_s)] += 1
            handling.seconds += elapsed_s

    def _type(self, message_type: str) -> TypeStatistics:
        """The numbers of a type that has none of its own, or not yet."""
        if not self._handles(message_type):
            message_type = UNKNOWN
        elif len(self.types.keys() - {UNKNOWN, OTHER}) >= self._max_types:
            message_type = OTHER
        found = self.types.get(message_type)
        if found is None:
            found = self.types[message_type] = TypeStatistics(self._bounds)
        return found

    def request(self, _request: Request, status: int, elapsed_s: float) -> None:
        """A request was answered; see ``app.measure``."""
        found = self.requests.get(status)
        if found is None:
            found = self.requests[status] = Sum()
        found.add(elapsed_s)

    def hook(self, plugin: str, hook: str, elapsed_s: float) -> None:
        """A hook has run; see ``app.measure``."""
        found = self.hooks.get((plugin, hook))
        if found is None:
            found = self.hooks[plugin, hook] = Sum()
        found.add(elapsed_s)

    def stored(self, operation: str, elapsed_s: float) -> None:
        """The store has done something; see ``app.measure``."""
        found = self.store.get(operation)
        if found is None:
            found = self.store[operation] = Histogram(self._bounds)
        found.add(elapsed_s)

    def totals(self) -> Totals:
        """All types together."""
        answered = not_replied = handled = 0
        seconds = 0.0
        for each in self.types.values():
            others = sum(each.otherwise.values())
            answered += each.replied + others
            not_replied += others - each.otherwise.get(Outcome.CANCELLED.value, 0)
            handled += each.handling.total
            seconds += each.handling.seconds
        return Totals(answered, not_replied, handled, seconds)
