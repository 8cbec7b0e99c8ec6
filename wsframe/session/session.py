"""A session: the conversation that outlives its connections.

It holds the state and makes the decisions; whoever owns it does the I/O.

=============  ========  ==================================================================
state          step      becomes
=============  ========  ==================================================================
*fleeting*     begin     *attached*: the client has sent ``init`` and may resume it
*attached*     detach    *detached*: the connection is gone, the handlers go on
*attached*     resume    *attached*: a newer connection has taken it over
*detached*     resume    *attached*: the client is back
all of these   end       *ended*: nothing of it is kept
=============  ========  ==================================================================

A fleeting session lives as long as its connection. What happens to the others is recorded where
there is a store to keep it (see :mod:`wsframe.session.recording`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Final, Generic, TypeVar

from .identity import ANONYMOUS, Identity
from .ledger import Ledger, Verdict
from .outbox import Gap, Outbox
from .recording import Record, Recorder
from .watching import SessionWatch, Watched

Entry = TypeVar("Entry")

MARKS: Final = 8
"""How often a session notes, in the time that it keeps something, how far it has come."""


class State(Enum):
    """What a session is."""

    FLEETING = "fleeting"
    ATTACHED = "attached"
    DETACHED = "detached"
    ENDED = "ended"


class Step(Enum):
    """What takes a session from one state to the next."""

    BEGIN = "begin"
    DETACH = "detach"
    RESUME = "resume"
    END = "end"


_TRANSITIONS: Final = {
    (State.FLEETING, Step.BEGIN): State.ATTACHED,
    (State.ATTACHED, Step.DETACH): State.DETACHED,
    (State.ATTACHED, Step.RESUME): State.ATTACHED,
    (State.DETACHED, Step.RESUME): State.ATTACHED,
    (State.FLEETING, Step.END): State.ENDED,
    (State.ATTACHED, Step.END): State.ENDED,
    (State.DETACHED, Step.END): State.ENDED,
}


class Session(Generic[Entry]):
    """The state of one conversation.

    Args:
        session_id: may be shown to others.
        ledger: accepted messages.
        outbox: messages on their way to the client.
        identity: who it belongs to.
    """

    __slots__ = (
        "_marks",
        "_store",
        "attempt",
        "connection",
        "expires_at",
        "id",
        "identity",
        "inbox",
        "ledger",
        "outbox",
        "recorder",
        "rooms",
        "secret_digest",
        "serving",
        "state",
        "subprotocol",
        "turn",
        "watched",
    )

    def __init__(
        self,
        session_id: str,
        *,
        ledger: Ledger[Entry],
        outbox: Outbox,
        identity: Identity = ANONYMOUS,
    ) -> None:
        self.id = session_id
        self.state = State.FLEETING
        self.secret_digest = b""
        """SHA-256 of what proves its ownership; made when it begins."""
        self.subprotocol: str | None = None
        """How its frames are encoded, once it has begun."""
        self.identity = identity
        self.ledger = ledger
        self.outbox = outbox
        self.rooms: set[str] = set()
        self.inbox: deque[Entry] | None = None
        """Accepted messages that wait for their turn; made with the first one."""
        self.serving = False
        """A worker serves its inbox."""
        self.turn = 0
        """Counts the workers that were stuck and lost it to another."""
        self.connection: Any = None
        """Who speaks for it: its newest connection, also after that is gone.

        None when both are over, and whom it concerns has been told.
        """
        self.expires_at: float | None = None
        """When it ends unless it is resumed, by the owner's clock; None: it is attached."""
        self.attempt = 0
        """The client's number of the attempt that resumed it last: an earlier one is too late."""
        self._store: Recorder | None = None  # tells a store of every change, if it is stored
        self.watched: Watched | None = None
        """Tells those who watch it; None: nobody does."""
        self.recorder: Recorder | Watched | None = None
        """Is told of what is accepted, sent and answered; None: nobody wants to know."""
        self._marks: deque[tuple[float, int, int]] | None = None  # (time, numbers, answers)

    def __repr__(self) -> str:
        return f"<Session {self.id} {self.state.value} {self.identity.subject}>"

    @property
    def attached(self) -> bool:
        """Is a client there to read what is sent?"""
        return self.state is State.ATTACHED or self.state is State.FLEETING

    @property
    def resumable(self) -> bool:
        """Does it outlive its connection?"""
        return self.state is State.ATTACHED or self.state is State.DETACHED

    def _step(self, step: Step) -> None:
        self.state = self._after(step)

    def _after(self, step: Step) -> State:
        try:
            return _TRANSITIONS[self.state, step]
        except KeyError:
            raise RuntimeError(
                f"a session that is {self.state.value} cannot {step.value}"
            ) from None

    # Its life

    def begin(self, *, secret_digest: bytes, subprotocol: str) -> None:
        """The client has sent ``init``: from now on the session outlives its connections.

        Args:
            secret_digest: SHA-256 of the secret that the client is given.
            subprotocol: of its connection, and of every later one.
        """
        self._step(Step.BEGIN)
        self.secret_digest = secret_digest
        self.subprotocol = subprotocol
        self.outbox.keep = True

    def record(self, record: Record) -> None:
        """Tell ``record`` of every change from now on, beginning with what it is."""
        self._store = Recorder(self, record)
        self._follow()
        self._store.opened()

    def watch(self, watches: Sequence[SessionWatch]) -> None:
        """Tell ``watches`` what happens, from now on."""
        self.watched = Watched(self, watches)
        self._follow()

    def unrecord(self) -> None:
        """Tell the store nothing more."""
        self._store = None
        self._follow()

    def _follow(self) -> None:
        if self.watched is None:
            self.recorder = self._store
        else:
            self.watched.store = self._store
            self.recorder = self.watched

    def restore(
        self,
        record: Record,
        *,
        epoch: int,
        forgotten: int,
        frames: Iterable[bytes],
        answers: Iterable[tuple[str, int, bytes]],
        received: int,
    ) -> None:
        """Become what a store has kept of a session that has begun; :meth:`detach` comes next.

        Args:
            record: told of every change from now on.
            epoch: of the claim under which they happen.
            forgotten: messages up to this number are not among ``frames``.
            frames: all others, in order.
            answers: remembered final answers: message id, number, frame, in the order of numbers.
            received: the newest message that the client has received, as it says.

        Raises:
            RuntimeError: it has not begun.
        """
        if self.state is not State.ATTACHED:
            raise RuntimeError(f"a session that is {self.state.value} cannot be restored")
        self.outbox.restore(forgotten=forgotten, frames=frames, received=received)
        numbers = []
        for message_id, number, frame in answers:
            self.ledger.remember(message_id, frame)
            numbers.append(number)
        self._store = Recorder(self, record, epoch=epoch, first=forgotten + 1, answers=numbers)
        self._follow()
        self._store.forgotten()

    def detach(self, expires_at: float, unix_expires_at: float) -> None:
        """Its connection is gone; handlers go on.

        Args:
            expires_at: when it ends unless it is resumed, by the owner's clock.
            unix_expires_at: the same in seconds since the epoch, for the store.
        """
        self._step(Step.DETACH)
        self.expires_at = expires_at
        self.outbox.drop_unnumbered()
        if self._store is not None:
            self._store.detached(unix_expires_at)

    def resume(self, received: int) -> Gap | None:
        """A client is back, or on a newer connection.

        Args:
            received: the number of the newest message it has received.

        Returns:
            The messages that are lost; None: every one it has missed is here.

        Raises:
            ValueError: it has received more than was sent; nothing has changed.
        """
        state = self._after(Step.RESUME)
        gap = self.outbox.rewind(received)
        self.state = state
        if self._marks is not None:
            # What is about to be written again is as young as that.
            cursor = self.outbox.cursor
            self._marks = deque(
                (time, min(number, cursor), answers) for time, number, answers in self._marks
            )
        self.expires_at = None
        self.outbox.drop_unnumbered()
        if self._store is not None:
            self._store.attached()
        return gap

    def end(self) -> None:
        """It is over; ending it again does nothing."""
        if self.state is not State.ENDED:
            self._step(Step.END)
            self.expires_at = None
            store = self._store
            self.unrecord()
            if store is not None:
                store.ended()
            if self.watched is not None:
                self.watched.tell("ended")

    # What is accepted and sent

    def accept(self, message_id: str, entry: Entry) -> Verdict:
        """Enter a client's message into the ledger; see :meth:`Ledger.admit`."""
        verdict = self.ledger.admit(message_id, entry)
        if self.recorder is not None:
            if verdict is Verdict.NEW:
                self.recorder.accepted(message_id)
            elif self.watched is not None:
                self.watched.repeated(message_id, verdict)
        return verdict

    def acknowledge(self, number: int) -> bool:
        """The client has processed messages up to ``number``; see :meth:`Outbox.acknowledge`."""
        acknowledged = self.outbox.acknowledge(number)
        if self.recorder is not None:
            self.recorder.acknowledged()
            if self.watched is not None and acknowledged:
                self.watched.tell("acknowledged", number)
        return acknowledged

    def identify(self, identity: Identity) -> None:
        """It belongs to ``identity`` from now on."""
        if identity != self.identity:
            self.identity = identity
            if self._store is not None:
                self._store.identified(identity)

    def enter(self, room: str) -> None:
        """Note that it is in a room."""
        self.rooms.add(room)
        if self._store is not None:
            self._store.joined(room)

    def leave(self, room: str) -> None:
        """Note that it is in a room no more."""
        self.rooms.discard(room)
        if self._store is not None:
            self._store.left(room)

    # Age

    def age(self, now: float, keep_s: float) -> None:
        """Forget messages that were written, and answers, ``keep_s`` ago or earlier.

        To be called every now and then: a thing counts from the first note of it, which a session
        makes at most :data:`MARKS` times in ``keep_s``. What was written again counts anew.

        Args:
            now: seconds, by the owner's clock.
            keep_s: how long they are kept at least; 0: not at all.
        """
        marks = self._marks
        if marks is None:
            marks = self._marks = deque()
        found = (self.outbox.cursor, self.ledger.forgotten + self.ledger.remembered)
        if not marks or (marks[-1][1:] != found and now - marks[-1][0] >= keep_s / MARKS):
            marks.append((now, *found))
        while marks and marks[0][0] <= now - keep_s:
            _, number, answers = marks.popleft()
            self.outbox.forget(number)
            self.ledger.forget(answers)
        if self._store is not None:
            self._store.forgotten()
