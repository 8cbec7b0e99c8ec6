"""Watching a session: what became of its messages, step by step, for whoever must explain it later.

A session that nobody watches pays nothing: what tells a watch stands where a store is told already
(see :mod:`wsframe.session.recording`), or off the path of a message that finds nobody in its way.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from .ledger import Outcome, Verdict
from .outbox import Gap

if TYPE_CHECKING:
    from ..messages import Message
    from .recording import Recorder
    from .session import Session

log = logging.getLogger("wsframe.hooks")


class Handling(Protocol):
    """A message on its way to its answer, to be read only, now or later.

    Times are in seconds, by the clock of the event loop (``anyio.current_time()``).
    """

    id: str
    """Its id; the server's own where the client gave none."""
    message: Message[Any]
    connection: Any
    """The :class:`wsframe.Connection` that it came by; that may be gone."""
    started_at: float | None
    """When its turn came: gates and handler follow. None: it waits behind other messages."""
    parts: int
    """Parts sent so far."""
    outcome: Outcome | None
    """How it ended, once it has."""


class SessionWatch:
    """Is told what happens to one session, at once and in order.

    Derive from it and override what you want to know; here, nothing is done. The methods run on the
    path of the messages, so they must be quick, wait for nothing, and send nothing. One that raises
    is logged, and the watch is told nothing more.

    Numbers are those of the wire protocol: a place among all that the session sends.
    """

    def accepted(self, handling: Handling) -> None:
        """A message was accepted, ``init``, ``join`` and ``leave`` included."""

    def repeated(self, message_id: str, number: int | None) -> None:
        """A message came again: its answer is given once more, under another number.

        None as ``number``: it is running still, and its answer comes when it is there.
        """

    def gating(self, message_id: str, plugin: str) -> None:
        """A plugin's ``message_received`` is about to be called; :meth:`gated` follows."""

    def gated(self, message_id: str, plugin: str, elapsed_s: float, refusal: str | None) -> None:
        """A plugin's ``message_received`` let a message pass, or refused it with an error code.

        ``refusal`` is ``close`` where it closes the connection, and ``stopped`` where it has
        waited until the message was out of time, or cancelled.
        """

    def part_sent(self, message_id: str, number: int) -> None:
        """A part of an answer was sent, or merged into the message ``number``."""

    def failed(self, message_id: str | None, code: str, error: str | None) -> None:
        """An error of this code is about to be the answer, also where nothing was accepted.

        ``error`` names the type of an exception that nobody expected. None as ``message_id``: the
        client gave none, or it could not be read.
        """

    def answered(self, message_id: str, number: int, size: int) -> None:
        """The final answer was decided, of ``size`` bytes; :meth:`written` says when it leaves.

        Not for ``init``, whose answer has no number. The message may be one of an earlier process.
        The number is 0 where the session is over: the answer goes nowhere.
        """

    def written(self, number: int) -> None:
        """All messages up to ``number`` were handed to a connection."""

    def acknowledged(self, number: int) -> None:
        """The client has processed all messages up to ``number``."""

    def dropped(self, connection_id: str, code: int) -> None:
        """Its connection is gone, with this close code."""

    def resumed(self, connection_id: str, received: int, gap: Gap | None) -> None:
        """It goes on over another connection.

        Args:
            connection_id: the new one.
            received: the newest message that the client has; all later ones are written again.
            gap: what is lost of them; None: nothing.
        """

    def ended(self) -> None:
        """It is over; what its client has not received, it never will."""


class Watched:
    """Tells the watches of one session, and a store if there is one.

    Args:
        session: whose.
        watches: who wants to know.
    """

    __slots__ = ("_session", "_watches", "store")

    def __init__(self, session: Session[Any], watches: Sequence[SessionWatch]) -> None:
        self._session = session
        self._watches = list(watches)
        self.store: Recorder | None = None

    # Where a store is told too

    def accepted(self, message_id: str) -> None:
        """See :meth:`SessionWatch.accepted`."""
        if self.store is not None:
            self.store.accepted(message_id)
        self.tell("accepted", self._session.ledger.running[message_id])

    def sent(self, frame: bytes) -> None:
        """``frame`` is the newest message in the outbox."""
        if self.store is not None:
            self.store.sent(frame)

        outbox = self._session.outbox
        if outbox.cursor == outbox.count and not self._is_over:
            self.tell("written", outbox.cursor)

    def answered(self, message_id: str, frame: bytes, *, remember: bool) -> None:
        """``frame``, the newest message in the outbox, is the final answer of a message."""
        if self.store is not None:
            self.store.answered(message_id, frame, remember=remember)
        outbox = self._session.outbox
        if self._is_over:
            self.tell("answered", message_id, 0, len(frame))
            return
        self.tell("answered", message_id, outbox.count, len(frame))
        if outbox.cursor == outbox.count:
            self.tell("written", outbox.cursor)

    @property
    def _is_over(self) -> bool:
        return not (self._session.attached or self._session.resumable)

    def acknowledged(self) -> None:
        """Messages may have left the outbox."""
        if self.store is not None:
            self.store.acknowledged()

    # Where only a watch is told

    def repeated(self, message_id: str, verdict: Verdict) -> None:
        """A message came whose id is not new, or for which there is no room."""
        if verdict is not Verdict.FULL:
            count = self._session.outbox.count
            number = count + 1 if verdict is Verdict.ANSWERED else None
            self.tell("repeated", message_id, number)

    def tell(self, method: str, *arguments: Any) -> None:
        """Call this method of every watch."""
        for watch in self._watches:
            try:
                getattr(watch, method)(*arguments)
            except KeyboardInterrupt:
                raise
            except BaseException:
                log.exception(
                    "%s.%s failed; it watches session %s no more",
                    type(watch).__name__,
                    method,
                    self._session.id,
                )
                self._watches = [each for each in self._watches if each is not watch]
