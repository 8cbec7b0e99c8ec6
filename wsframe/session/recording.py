"""Telling a store what happens to a session: one :class:`Recorder` for each that is stored.

It turns what the session does into changes, in order, and keeps no copy of anything: only where
the store's outbox and answers begin, so that what is forgotten here is forgotten there too. What
the client has acknowledged is forgotten there at once. What only made room for the next message
goes in portions, since a full outbox would forget one with each: the store has up to an eighth more
than the session. Whoever reads it back makes room again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from . import changes
from .identity import Identity

if TYPE_CHECKING:
    from .session import Session

Record = Callable[[changes.Change], None]

PORTIONS: Final = 8
"""What made room is forgotten in portions of so many parts of what is kept."""


class Recorder:
    """Records the changes of one session.

    Args:
        session: whose.
        record: called with each change.
        epoch: of the claim under which they happen.
        first: the number of the oldest message that the store has, or would have.
        answers: the numbers of the remembered answers, in order.
    """

    __slots__ = ("_answers", "_epoch", "_first", "_id", "_record", "_session")

    def __init__(
        self,
        session: Session[Any],
        record: Record,
        *,
        epoch: int = 1,
        first: int = 1,
        answers: Iterable[int] = (),
    ) -> None:
        self._session = session
        self._record = record
        self._id = session.id
        self._epoch = epoch
        self._first = first
        self._answers = deque(answers)

    def opened(self) -> None:
        """The session has begun; what it did before is recorded now."""
        session = self._session
        assert session.subprotocol is not None, "a session that has begun has one"
        self._record(
            changes.Opened(
                self._id,
                self._epoch,
                session.secret_digest,
                session.subprotocol,
                _storable(session.identity),
            )
        )
        self.forgotten()
        for number, frame in session.outbox.here():
            self._record(changes.Sent(self._id, self._epoch, number, frame))
        for room in sorted(session.rooms):
            self.joined(room)

    def identified(self, identity: Identity) -> None:
        """It belongs to ``identity``."""
        self._record(changes.Identified(self._id, self._epoch, _storable(identity)))

    def detached(self, expires_at: float) -> None:
        """It has no connection, and ends at ``expires_at`` (seconds since the epoch)."""
        self.forgotten()
        self._record(changes.Detached(self._id, self._epoch, expires_at))

    def attached(self) -> None:
        """It has a connection again."""
        self._record(changes.Attached(self._id, self._epoch))
        self.forgotten()

    def ended(self) -> None:
        """It is over."""
        self._record(changes.Ended(self._id, self._epoch))

    def joined(self, room: str) -> None:
        """It is in a room."""
        self._record(changes.Joined(self._id, self._epoch, room))

    def left(self, room: str) -> None:
        """It is in a room no more."""
        self._record(changes.Left(self._id, self._epoch, room))

    def accepted(self, message_id: str) -> None:
        """A message was accepted."""
        self._record(changes.Accepted(self._id, self._epoch, message_id))

    def sent(self, frame: bytes) -> None:
        """``frame`` is the newest message in the outbox."""
        outbox = self._session.outbox
        self._record(changes.Sent(self._id, self._epoch, outbox.count, frame))
        first = outbox.first
        if (first - self._first) * PORTIONS > outbox.count - first:
            self.acknowledged()

    def answered(self, message_id: str, frame: bytes, *, remember: bool) -> None:
        """``frame``, the newest message in the outbox, is the final answer of a message."""
        outbox = self._session.outbox
        number = outbox.count
        self._record(changes.Answered(self._id, self._epoch, message_id, number, frame, remember))
        first = outbox.first
        if (first - self._first) * PORTIONS > number - first:
            self.acknowledged()
        if remember:
            self._answers.append(number)
            kept = self._session.ledger.remembered
            if (len(self._answers) - kept) * PORTIONS > kept:
                self._answers_forgotten()

    def acknowledged(self) -> None:
        """Messages may have left the outbox."""
        first = self._session.outbox.first
        if first > self._first:
            self._first = first
            self._record(changes.Forgotten(self._id, self._epoch, first - 1))

    def _answers_forgotten(self) -> None:
        answers = self._answers
        late = len(answers) - self._session.ledger.remembered
        if late > 0:
            for _ in range(late - 1):
                answers.popleft()
            self._record(changes.AnswersForgotten(self._id, self._epoch, answers.popleft()))

    def forgotten(self) -> None:
        """Messages may have left the outbox, and answers the ledger."""
        self._answers_forgotten()
        self.acknowledged()


def _storable(identity: Identity) -> Identity:
    """``identity`` with claims that can be encoded; what cannot be becomes its text."""
    claims = msgspec.to_builtins(
        identity.claims, builtin_types=(bytes,), str_keys=True, enc_hook=str
    )
    return msgspec.structs.replace(identity, claims=claims)
