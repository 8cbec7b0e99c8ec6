"""What time does to connections: tokens expire, and clients that never sent one are not waited for.

One sweep looks at whoever is due, in the order of time; a connection that is not due costs nothing.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Iterator
from itertools import count

from wsframe import Connection

from .config import Config
from .revocations import Revocations

log = logging.getLogger("wsframe.plugins.auth")

UNAUTHENTICATED = 4401
SPARE = 64
"""Entries that may be out of date before they are looked for."""

Warn = Callable[[Connection, float], None]
"""Tell a client that its token expires in so many seconds."""


class Watched:
    """A connection and when to look at it next."""

    __slots__ = ("connection", "deadline", "due", "warned_of")

    def __init__(self, connection: Connection, deadline: float) -> None:
        self.connection = connection
        self.deadline = deadline
        """Until when its client must have authenticated."""
        self.due: float | None = None
        self.warned_of: float | None = None
        """The end of the token that its client was warned of."""


class Watch:
    """Closes connections whose time is over.

    Args:
        config: the settings.
        revocations: what was revoked.
        warn: called once for each token that is about to expire.
    """

    def __init__(self, config: Config, revocations: Revocations, warn: Warn) -> None:
        self._config = config
        self._revocations = revocations
        self._warn = warn
        self._watched: dict[str, Watched] = {}
        self._due: list[tuple[float, int, Watched]] = []
        self._order = count()
        self._seen_version = 0

    def __len__(self) -> int:
        return len(self._watched)

    def add(self, connection: Connection, now: float) -> None:
        """Watch a connection from now on.

        Args:
            now: seconds since the epoch, by a clock that does not jump; so everywhere here.
        """
        watched = Watched(connection, now + self._config.init_timeout_s)
        self._watched[connection.id] = watched
        self._look(watched, now)

    def remove(self, connection: Connection) -> None:
        """It has ended."""
        watched = self._watched.pop(connection.id, None)
        if watched is not None:
            watched.due = None

    def look(self, connection: Connection, now: float) -> None:
        """Look at a connection again, because its identity has changed."""
        watched = self._watched.get(connection.id)
        if watched is None:
            self.add(connection, now)
        else:
            self._look(watched, now)

    def sweep(self, now: float) -> None:
        """Look at whoever is due, and at everybody after something was revoked."""
        version = self._revocations.version
        if version != self._seen_version:
            self._seen_version = version
            for watched in list(self._watched.values()):
                self._contained(watched, now)
        for watched in self._take_due(now):
            self._contained(watched, now)

    def _take_due(self, now: float) -> Iterator[Watched]:
        while self._due and self._due[0][0] <= now:
            due, _, watched = heapq.heappop(self._due)
            if watched.due == due:  # otherwise it was moved, or is gone
                yield watched

    def _contained(self, watched: Watched, now: float) -> None:
        """One connection's failure must not keep the others open."""
        try:
            self._look(watched, now)
        except Exception:
            log.exception("connection %s could not be looked at", watched.connection.id)
            self._schedule(watched, now + 1.0)

    def _look(self, watched: Watched, now: float) -> None:
        connection, config = watched.connection, self._config
        identity = connection.identity
        if identity.anonymous:
            if config.policy != "required":
                watched.due = None
            elif now < watched.deadline:
                self._schedule(watched, watched.deadline)
            else:
                self._close(watched, now, "not authenticated in time")
        elif self._revocations.cover(identity):
            self._close(watched, now, "the token was revoked")
        elif identity.expires_at is None:
            watched.due = None
        else:
            self._look_at_expiry(watched, now, identity.expires_at)

    def _look_at_expiry(self, watched: Watched, now: float, expires_at: float) -> None:
        left_s, config = expires_at - now, self._config
        if left_s > config.warn_before_s:
            self._schedule(watched, expires_at - config.warn_before_s)
        elif left_s > -config.grace_s:
            if watched.warned_of != expires_at and left_s > 0:
                watched.warned_of = expires_at
                self._warn(watched.connection, left_s)
            self._schedule(watched, expires_at + config.grace_s)
        else:
            self._close(watched, now, "the token has expired")

    def _close(self, watched: Watched, now: float, reason: str) -> None:
        connection = watched.connection
        self._schedule(watched, now + 1.0)  # until it is gone: it may get a newer connection
        if connection.open:
            log.info("connection %s closed (4401): %s", connection.id, reason)
            connection.close(UNAUTHENTICATED, reason)

    def _schedule(self, watched: Watched, due: float) -> None:
        if watched.connection.id in self._watched and watched.due != due:
            watched.due = due
            heapq.heappush(self._due, (due, next(self._order), watched))
            if len(self._due) > 2 * len(self._watched) + SPARE:
                self._tidy()

    def _tidy(self) -> None:
        """Drop what was moved or is gone: a client may renew its token as often as it likes."""
        current = {entry[2]: entry for entry in self._due if entry[2].due == entry[0]}
        self._due = list(current.values())
        heapq.heapify(self._due)
