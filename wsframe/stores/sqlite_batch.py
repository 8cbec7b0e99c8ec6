"""What a batch of changes comes to, before it is written.

Changes of different sessions do not touch each other, and what a session's changes do is summed up
here, in order. So what begins and ends within a batch is never written: a message that was accepted
and answered was not running, and one that was sent and acknowledged was not in the outbox.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from ..session import Identity
from ..session.changes import (
    Accepted,
    Answered,
    AnswersForgotten,
    Attached,
    Change,
    Detached,
    Ended,
    Forgotten,
    Identified,
    Joined,
    Left,
    Opened,
    Sent,
)


class Head(NamedTuple):
    """What the store knows of a session before the batch."""

    key: int
    epoch: int
    sent: int
    forgotten: int
    answers_forgotten: int


_ABSENT: Final = Head(0, 0, 0, 0, 0)
"""No claim has the epoch 0."""


class Sum:
    """One session, and all that becomes of it."""

    __slots__ = (
        "accepted",
        "answered",
        "answers_forgotten",
        "before",
        "count",
        "ended",
        "epoch",
        "forgotten",
        "identity",
        "lasting",
        "messages",
        "opened",
        "rooms",
    )

    def __init__(self, before: Head | None) -> None:
        self.ended: list[int] = []
        """Keys of the session, once it has ended: everything under them goes."""
        self._begin(before or _ABSENT)

    def _begin(self, before: Head) -> None:
        self.before = before
        self.opened: Opened | None = None
        self.epoch = before.epoch
        self.count = before.sent
        self.forgotten = before.forgotten
        self.answers_forgotten = before.answers_forgotten
        self.identity: Identity | None = None
        self.lasting: Attached | Detached | None = None
        self.messages: list[tuple[int, str | None, bytes]] = []
        self.accepted: dict[str, None] = {}
        self.answered: list[str] = []
        self.rooms: dict[str, bool] = {}

    def open(self, change: Opened) -> None:
        """It begins."""
        self.opened = change
        self.epoch = change.epoch

    def end(self, _change: Ended) -> None:
        """It is over; what was to be written of it is not."""
        if self.before.key:
            self.ended.append(self.before.key)
        self._begin(_ABSENT)

    def accept(self, change: Accepted) -> None:
        """A message runs."""
        self.accepted[change.message_id] = None

    def answer(self, change: Answered) -> None:
        """A message is answered, and runs no more."""
        message_id = change.message_id
        if message_id in self.accepted:
            del self.accepted[message_id]
        else:
            self.answered.append(message_id)
        self.count = change.number
        self.messages.append((change.number, message_id if change.remember else None, change.frame))

    def send(self, change: Sent) -> None:
        """A message is in the outbox."""
        self.count = change.number
        self.messages.append((change.number, None, change.frame))

    def forget(self, change: Forgotten) -> None:
        """Messages leave the outbox."""
        self.forgotten = max(self.forgotten, change.number)

    def forget_answers(self, change: AnswersForgotten) -> None:
        """Answers leave the ledger."""
        self.answers_forgotten = max(self.answers_forgotten, change.number)

    def identify(self, change: Identified) -> None:
        """It belongs to somebody else."""
        self.identity = change.identity

    def last(self, change: Attached | Detached) -> None:
        """It lasts until then, or, attached, for as long as it is so."""
        self.lasting = change

    def join(self, change: Joined) -> None:
        """It enters a room."""
        self.rooms[change.room] = True

    def leave(self, change: Left) -> None:
        """It leaves a room."""
        self.rooms[change.room] = False

    def kept(self) -> Sequence[tuple[int, str | None, bytes]]:
        """New messages that still serve the outbox or the ledger at the end of the batch."""
        forgotten, answers_forgotten = self.forgotten, self.answers_forgotten
        messages = self.messages
        if not messages or messages[0][0] > forgotten:
            return messages
        return [
            message
            for message in messages
            if message[0] > forgotten or (message[1] is not None and message[0] > answers_forgotten)
        ]


_STEPS: Final[dict[type[Change], Callable[[Sum, Any], None]]] = {
    Accepted: Sum.accept,
    Answered: Sum.answer,
    AnswersForgotten: Sum.forget_answers,
    Attached: Sum.last,
    Detached: Sum.last,
    Ended: Sum.end,
    Forgotten: Sum.forget,
    Identified: Sum.identify,
    Joined: Sum.join,
    Left: Sum.leave,
    Sent: Sum.send,
}


def sum_up(
    changes: Sequence[Change], head: Callable[[str], Head | None]
) -> tuple[dict[str, Sum], frozenset[str]]:
    """Sum up a batch.

    Args:
        changes: in order.
        head: asks the store for a session.

    Returns:
        The sums by session id; the ids of which a change may not be written.
    """
    sums: dict[str, Sum] = {}
    fenced: set[str] = set()
    for change in changes:
        session_id = change.session_id
        found = sums.get(session_id)
        if found is None:
            found = sums[session_id] = Sum(head(session_id))
        kind = type(change)
        if kind is Opened and not found.epoch:
            found.open(change)  # type: ignore[arg-type]
        elif kind is not Opened and found.epoch == change.epoch:
            _STEPS[kind](found, change)
        elif kind is not Ended or found.epoch:
            fenced.add(session_id)
    return sums, frozenset(fenced)


encode_identity: Final = msgspec.msgpack.Encoder().encode
decode_identity: Final = msgspec.msgpack.Decoder(Identity).decode
