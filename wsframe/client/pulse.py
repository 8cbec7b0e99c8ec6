"""When a client pings a silent server, and when it gives it up.

The rules are those of :class:`~wsframe.protocol.heartbeat.Heartbeat`, with one addition: while the
client itself does not read, because the application is slow, nothing can be concluded from silence.
Then it pings all the same, so that the server does not conclude anything either.
"""

from __future__ import annotations

from ..protocol.heartbeat import Beat, Heartbeat


class Pulse:
    """The heartbeat of one connection.

    Args:
        interval_s: a server that was silent for so long is pinged; 0: no heartbeat.
        timeout_s: a pinged server that stays silent for so long is gone.
        now: seconds of a clock that never goes backwards, here and below.
    """

    __slots__ = ("_heartbeat", "_interval_s", "_timeout_s", "due_at")

    def __init__(self, interval_s: float, timeout_s: float, now: float) -> None:
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._heartbeat = Heartbeat(interval_s, timeout_s, now)
        self.due_at = now + interval_s if interval_s > 0 else None
        """When to call :meth:`check` at the latest; None: never."""

    def heard(self, now: float) -> None:
        """The server sent something."""
        self._heartbeat.received(now)
        if self.due_at is not None:
            self.due_at = now + self._interval_s

    def check(self, now: float, *, reading: bool) -> Beat:
        """What is due; the caller sends the ping that :attr:`Beat.PING` asks for.

        Args:
            now: the time.
            reading: does the client read what the server sends?
        """
        if self.due_at is None or now < self.due_at:
            return Beat.QUIET
        if not reading:
            self.heard(now)
            return Beat.PING
        beat = self._heartbeat.check(now)
        self.due_at = now + self._timeout_s
        return beat
