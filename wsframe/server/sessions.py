"""The sessions of a node: who is connected, who may come back, and who is over.

A session that has begun outlives its connection by ``resume_window_s``. Sessions without a
connection are kept in the order in which they were left, which is the order in which they expire;
over ``max_detached_sessions`` the oldest ends early.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..session import Identity, Ledger, Outbox, Outcome, Session, State
from .accepted import Accepted
from .connection import FINISHED
from .watching import watch

if TYPE_CHECKING:
    from ..config import Config
    from .node import Node
    from .watching import Choose

log = logging.getLogger("wsframe.server")

AGED_AT_A_TIME = 500
"""Sessions looked at in one sweep for what they need not keep any longer."""


class Sessions:
    """Every session that lives on this node.

    Args:
        config: the settings.
        ended: called with each session that has ended.
        expired: called with each that has ended later than its connection.

    Attributes:
        by_id: all of them, by id, with and without connection.
        watchers: are asked for each new session whether they want to watch it.
    """

    __slots__ = (
        "_ageing",
        "_config",
        "_detached",
        "_ended",
        "_expired",
        "_keep_s",
        "by_id",
        "watchers",
    )

    def __init__(
        self,
        config: Config,
        *,
        ended: Callable[[Session[Accepted]], None],
        expired: Callable[[Session[Accepted]], None],
    ) -> None:
        self._config = config
        self._ended = ended
        self._expired = expired
        self.by_id: dict[str, Session[Accepted]] = {}
        self.watchers: list[Choose] = []
        self._detached: dict[str, Session[Accepted]] = {}  # the one that was left first, first
        self._ageing: list[Session[Accepted]] = []
        # A message may have been lost before anybody noticed that the connection is dead.
        self._keep_s = (
            config.resume_window_s + config.heartbeat_interval_s + config.heartbeat_timeout_s
        )

    @property
    def detached(self) -> int:
        """How many have no connection."""
        return len(self._detached)

    def make(self, session_id: str, identity: Identity) -> Session[Accepted]:
        """A new session, which :meth:`add` makes one of this node's."""
        config = self._config
        session: Session[Accepted] = Session(
            session_id,
            ledger=Ledger(
                max_in_flight=config.max_in_flight,
                max_messages=config.ledger_messages,
                max_bytes=config.ledger_bytes,
            ),
            outbox=Outbox(max_messages=config.outbox_messages, max_bytes=config.outbox_bytes),
            identity=identity,
        )
        if self.watchers:
            watch(session, self.watchers)
        return session

    def add(self, session: Session[Accepted]) -> None:
        """It lives on this node."""
        self.by_id[session.id] = session

    def left(self, session: Session[Accepted], code: int, node: Node) -> bool:
        """The connection of a session is gone, with a close code: keep it, or end it.

        Returns:
            True: it is kept.
        """
        if session.state is not State.ATTACHED or code == FINISHED:
            self.end(session)
            return False
        self.keep(session, node)
        return True

    def keep(self, session: Session[Accepted], node: Node) -> None:
        """Keep a session without a connection for ``resume_window_s``."""
        window_s = self._config.resume_window_s
        session.detach(node.now() + window_s, node.unix_now() + window_s)
        self._detached[session.id] = session
        if len(self._detached) > self._config.max_detached_sessions:
            oldest = next(iter(self._detached.values()))
            log.warning("session %s ended early: max_detached_sessions", oldest.id)
            self.expire(oldest)

    def returned(self, session: Session[Accepted]) -> None:
        """A session has a connection again."""
        self._detached.pop(session.id, None)

    def forget(self, session: Session[Accepted]) -> None:
        """A session is over."""
        self._detached.pop(session.id, None)
        if self.by_id.get(session.id) is session:
            del self.by_id[session.id]
        session.end()

    def end(self, session: Session[Accepted]) -> None:
        """A session is over: forget it, and stop what runs for it."""
        self.forget(session)
        for accepted in list(session.ledger.running.values()):
            accepted.stop(Outcome.CANCELLED)
        self._ended(session)

    def expire(self, session: Session[Accepted]) -> None:
        """A session without a connection is over: end it, and tell whom it concerns."""
        self.end(session)
        self._expired(session)

    def end_all(self) -> None:
        """The node ends, and keeps nothing."""
        for session in list(self.by_id.values()):
            self.expire(session)

    def check(self, now: float) -> None:
        """End what was not resumed in time, and let sessions forget what is too old."""
        while self._detached:
            oldest = next(iter(self._detached.values()))
            if oldest.expires_at is None or oldest.expires_at > now:
                break
            log.info("session %s was not resumed in time", oldest.id)
            self.expire(oldest)
        self._age(now)

    def _age(self, now: float) -> None:
        if not self._ageing:
            self._ageing = list(self.by_id.values())
        for _ in range(min(AGED_AT_A_TIME, len(self._ageing))):
            session = self._ageing.pop()
            if session.state is State.ATTACHED:
                session.age(now, self._keep_s)
