"""When a silent peer is pinged, and when it is given up: a pure state machine.

::

    QUIET ──interval_s without a byte──▶ PING (once) ──timeout_s without a byte──▶ DEAD
      ▲                                    │
      └───────────── anything received ────┘

Any bytes count as a sign of life, not pongs alone: a peer that sends a large message may be unable
to answer a ping in the middle of it.
"""

from __future__ import annotations

from enum import Enum


class Beat(Enum):
    """What to do now."""

    QUIET = "quiet"
    """Nothing."""
    PING = "ping"
    """Send a ping."""
    DEAD = "dead"
    """Drop the peer."""


class Heartbeat:
    """The heartbeat of one connection.

    Args:
        interval_s: a peer that was silent for so long is pinged; 0 switches the heartbeat off.
        timeout_s: a pinged peer that stays silent for so long is dead.
        now: seconds of a clock that never goes backwards, here and below.
    """

    __slots__ = ("_heard_at", "_interval_s", "_pinged_at", "_timeout_s")

    def __init__(self, interval_s: float, timeout_s: float, now: float) -> None:
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._heard_at = now
        self._pinged_at: float | None = None

    def received(self, now: float) -> None:
        """The peer sent something."""
        self._heard_at = now
        self._pinged_at = None

    def check(self, now: float) -> Beat:
        """What is due; the caller sends the ping that :attr:`Beat.PING` asks for."""
        if self._interval_s <= 0:
            return Beat.QUIET
        if self._pinged_at is not None:
            return Beat.DEAD if now - self._pinged_at >= self._timeout_s else Beat.QUIET
        if now - self._heard_at >= self._interval_s:
            self._pinged_at = now
            return Beat.PING
        return Beat.QUIET
