"""One direction of a line: bytes on their way, and when they arrive. Without I/O."""

from __future__ import annotations

from collections import deque

from .plan import Chance

TOLERANCE_S = 1e-9
"""A clock that adds up waits may stop this much before the moment it was to reach."""


class Direction:
    """Bytes on their way.

    Args:
        chance: says how long they take, and how they are cut.
        lag_s: what each chunk takes in addition.

    Attributes:
        size: bytes on their way.
        severed: the bytes after which the line is cut have arrived.
        ended: everything has arrived, and the sender has said that this was all.
    """

    def __init__(self, chance: Chance, lag_s: float) -> None:
        self._chance = chance
        self._lag_s = lag_s
        self._queue: deque[tuple[float, bytes]] = deque()
        self._last_due = 0.0
        self._held_until = 0.0
        self._left: int | None = None
        self._eof_at: float | None = None
        self.size = 0
        self.severed = False
        self.ended = False

    @property
    def finished(self) -> bool:
        """Has the sender said that this was all?"""
        return self._eof_at is not None

    def put(self, data: bytes, now: float) -> None:
        """Send bytes; what comes after the end is lost."""
        if data and not self.finished:
            self._queue.append((self._due(now), data))
            self.size += len(data)

    def finish(self, now: float) -> None:
        """Say that this was all; it arrives after everything else."""
        if not self.finished:
            self._eof_at = self._due(now)

    def hold(self, until: float) -> None:
        """Let nothing arrive before ``until``."""
        self._held_until = max(self._held_until, until)

    def cut(self, after_bytes: int) -> None:
        """Let only so many more bytes arrive, and be severed then."""
        self._left = after_bytes if self._left is None else min(self._left, after_bytes)

    def clear(self) -> None:
        """Lose what is on its way."""
        self._queue.clear()
        self.size = 0

    def next_at(self) -> float | None:
        """When something arrives; None: nothing is on its way."""
        if self.severed:
            return None
        if self._left == 0:
            return self._held_until
        if self._queue:
            return max(self._queue[0][0], self._held_until)
        if self._eof_at is not None and not self.ended:
            return max(self._eof_at, self._held_until)
        return None

    def arrived(self, now: float) -> list[bytes]:
        """Take what has arrived, in chunks."""
        now += TOLERANCE_S
        if now < self._held_until or self.severed:
            return []
        due: list[bytes] = []
        while self._queue and self._queue[0][0] <= now:
            due.append(self._queue.popleft()[1])
        data = b"".join(due)
        self.size -= len(data)
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
            self.severed = self._left == 0
        if not self._queue and not self.severed and self._eof_at is not None:
            self.ended = self._eof_at <= now
        return self._chunks(data)

    def _chunks(self, data: bytes) -> list[bytes]:
        chunks, start = [], 0
        for size in self._chance.sizes(len(data)):
            chunks.append(data[start : start + size])
            start += size
        return chunks

    def _due(self, now: float) -> float:
        self._last_due = max(self._last_due, now + self._lag_s + self._chance.latency_s())
        return self._last_due
