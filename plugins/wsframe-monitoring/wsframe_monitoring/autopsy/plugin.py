"""The part of the plugin that records: which sessions, since when, and what it answers."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable
from typing import Any, Final

from wsframe import App, SessionWatch, loop_clock

from .endpoint import Endpoint
from .records import Conversation, Record
from .ring import Ring
from .settings import AutopsySettings
from .story import Clock, duration, summarize, tell

MAX_TOLD: Final = 5
"""So many messages of one id are told in full, the newest."""
MAX_LISTED: Final = 200
"""So many messages of a session are listed, the newest."""


class Autopsy:
    """Records what becomes of messages, and tells it to those who may ask.

    Args:
        settings: ``[plugins.monitoring.autopsy]``.
    """

    def __init__(self, settings: AutopsySettings) -> None:
        self.settings = settings
        self.ring = self._make_ring()
        self._now: Callable[[], float] = time.monotonic
        self._epoch = 0.0
        self._began_at = 0.0
        self._resume_window_s = 0.0
        self._records = False

    def _make_ring(self) -> Ring:
        return Ring(max_messages=self.settings.max_messages, max_bytes=self.settings.max_bytes)

    def setup(self, app: App) -> None:
        """Add what records and what answers; nothing of both, if nothing is to be recorded.

        Raises:
            ConfigError: somebody else answers ``path``.
            PluginError: ``token_file`` cannot be read, or there is no token in it.
        """
        if not self.settings.one_in:
            return
        self._resume_window_s = app.config.resume_window_s
        app.watch_sessions(self.choose)
        if self.settings.path:
            app.http_route(self.settings.path)(Endpoint(self.settings, self.look_up).answer)

    def started(self) -> None:
        """Take the clock of the event loop, and begin."""
        self._now = loop_clock()
        self._epoch = time.time() - self._now()
        self._began_at = self._now()
        self.ring = self._make_ring()
        self._records = True

    def stopping(self) -> None:
        """Record nothing more, and forget everything."""
        self._records = False
        self.ring.close()

    def choose(self, session: Any) -> SessionWatch | None:
        """Record a session, or not: one in so many, and the same ones on every node."""
        one_in = self.settings.one_in
        if not self._records or (one_in > 1 and zlib.crc32(session.id.encode()) % one_in):
            return None
        return Conversation(session, self.ring, self._now)

    # What it knows

    def look_up(self, any_id: str, session_id: str | None = None) -> dict[str, Any]:
        """Tell what is known of the messages of an id, or list those of a session or connection.

        Args:
            any_id: of a message, a session or a connection.
            session_id: tell only of messages in this session.
        """
        clock = Clock(self._now(), self._epoch, self._resume_window_s)
        report: dict[str, Any] = {"id": any_id, "messages": [], "more": 0, "recording": self.state}
        found = self.ring.find(any_id, session_id)
        if found:
            report["messages"] = [tell(record, clock) for record in found[-MAX_TOLD:]]
            report["more"] = max(0, len(found) - MAX_TOLD)
            return report
        listed = self.ring.find_all(any_id)
        if listed:
            report["listed"] = [summarize(record, clock) for record in listed[-MAX_LISTED:]]
            report["more"] = max(0, len(listed) - MAX_LISTED)
            return report
        report["why"] = self._why_unknown()
        return report

    @property
    def state(self) -> dict[str, Any]:
        """What is recorded, and since when."""
        oldest = self.ring.oldest
        return {
            "oneIn": self.settings.one_in,
            "beganAt": self._epoch + self._began_at,
            "messages": len(self.ring),
            "forgotten": self.ring.forgotten,
            "oldestAt": None if oldest is None else self._epoch + oldest.accepted_at,
            "bytes": self.ring.bytes,
        }

    def _why_unknown(self) -> str:
        one_in, oldest = self.settings.one_in, self.ring.oldest
        reasons = []
        if one_in > 1:
            reasons.append(f"only one session in {one_in} is recorded, and it may not be one")
        if self.ring.forgotten and oldest is not None:
            held = "message" if len(self.ring) == 1 else f"{len(self.ring)} messages"
            reasons.append(
                f"the ring holds the last {held}, since {_ago(self._now(), oldest)} ago; "
                f"{self.ring.forgotten} older ones were forgotten"
            )
        if not reasons:
            return (
                "it has never arrived at this process, which has recorded every message since it "
                f"began {duration(self._now() - self._began_at)} ago; look at the other nodes, if "
                "there are any"
            )
        began = duration(self._now() - self._began_at)
        return f"{'; '.join(reasons)}; recording began {began} ago"


def _ago(now: float, record: Record) -> str:
    return duration(now - record.accepted_at)
