"""What happened, in the words of a failure message."""

from __future__ import annotations

from collections import deque


class EventLog:
    """The last events of a run, oldest first.

    It holds nothing that differs between two runs with the same seed: times of the event loop's
    clock, numbers and sizes, no contents.

    Args:
        limit: so many are kept.
    """

    def __init__(self, limit: int = 1_000) -> None:
        self._events: deque[tuple[bool, float, str]] = deque(maxlen=limit)
        self._count = 0
        self._closed = False

    def close(self) -> None:
        """Note nothing more: what follows is only tidying up."""
        self._closed = True

    def add(self, at_s: float, text: str, *, minor: bool = False) -> None:
        """Note what happened at ``at_s``.

        Args:
            at_s: the event loop's clock.
            text: what happened.
            minor: it happens all the time, and is left out of a failure message.
        """
        if self._closed:
            return
        self._count += 1
        self._events.append((minor, at_s, text))

    @property
    def lines(self) -> list[str]:
        """What is kept."""
        return [_line(at_s, text) for _, at_s, text in self._events]

    def tail(self, count: int = 60) -> str:
        """The last ``count`` events that are not minor, and how many others there were."""
        lines = [_line(at_s, text) for minor, at_s, text in self._events if not minor][-count:]
        others = self._count - len(lines)
        return "\n".join([f"({others} earlier or minor events)"] * (others > 0) + lines)


def _line(at_s: float, text: str) -> str:
    return f"{at_s:10.3f} s  {text}"
