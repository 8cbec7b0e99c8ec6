"""What is noted: a :class:`Record` for each message, a :class:`Conversation` for each session.

Times are seconds by one clock, the event loop's. A record has a place for each thing that can
happen to a message, rather than a list of what did: so its size is known, whatever happens.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from wsframe import Handling, SessionWatch

if TYPE_CHECKING:
    from .ring import Ring

MAX_EVENTS: Final = 64
"""Events of a session that are remembered: who loses his connection more often has one problem."""
MAX_REPEATS: Final = 16
"""How often a message came again; more is only counted."""


class Gate(NamedTuple):
    """A plugin has looked at a message."""

    at: float
    plugin: str
    elapsed_s: float
    refusal: str | None
    """The error code; None: it let the message pass."""


class Repeat(NamedTuple):
    """A message came again."""

    at: float
    number: int | None
    """Of the answer that was given once more; None: it was running still."""


class Event(NamedTuple):
    """What happened to a session."""

    at: float
    kind: str
    """``dropped``, ``resumed``, ``refused`` or ``ended``."""
    connection_id: str = ""
    code: int | str = 0
    """The close code, or the error code."""
    received: int = 0
    """The newest message that the client has, as it says."""
    gap: tuple[int, int] | None = None
    """What was lost."""


class Record:
    """What became of one message."""

    __slots__ = (
        "accepted_at",
        "acknowledged_at",
        "answered_at",
        "bytes",
        "confirmed_by_resuming",
        "connection_id",
        "conversation",
        "error",
        "failed",
        "first_part_at",
        "gate_at_work",
        "gates",
        "handling",
        "id",
        "is_accepted",
        "last_part_at",
        "lost_at",
        "number",
        "outcome",
        "parts",
        "repeated",
        "repeats",
        "rewrites",
        "rewritten_at",
        "size",
        "started_at",
        "type",
        "written_at",
    )

    def __init__(self, message_id: str, conversation: Conversation, at: float) -> None:
        self.id = message_id
        self.conversation = conversation
        self.type: str | None = None
        """None: it was refused before it was read, or comes from an earlier process."""
        self.connection_id: str | None = None
        """By which it came."""
        self.is_accepted = False
        self.accepted_at = at
        self.started_at: float | None = None
        """When its turn had come."""
        self.gate_at_work: tuple[float, str] | None = None
        """Since when, and whose."""
        self.gates: list[Gate] | None = None
        self.parts = 0
        self.first_part_at: float | None = None
        self.last_part_at: float | None = None
        self.failed: str | None = None
        """The code of the error that it was answered with."""
        self.error: str | None = None
        """The type of an exception that nobody expected."""
        self.outcome: str | None = None
        self.answered_at: float | None = None
        self.number: int | None = None
        """Of its answer; 0: the session was over."""
        self.size = 0
        """Of its answer, in bytes."""
        self.written_at: float | None = None
        self.rewritten_at: float | None = None
        self.rewrites = 0
        self.acknowledged_at: float | None = None
        self.confirmed_by_resuming = False
        """The client did not acknowledge the answer, but said that it had it when it came back."""
        self.lost_at: float | None = None
        """When a client came back for it that was told that it is gone."""
        self.repeats: list[Repeat] | None = None
        self.repeated = 0
        self.handling: Handling | None = None
        """The message itself, as long as the server has it too."""
        self.bytes = 0
        """What it takes of the ring."""

    @property
    def is_kept(self) -> bool:
        """Does the ring have it still?"""
        return self.bytes > 0

    @property
    def numbers(self) -> list[int]:
        """The numbers under which its answer was sent."""
        again = [repeat.number for repeat in self.repeats or () if repeat.number is not None]
        return again if self.number is None else [self.number, *again]


class Conversation(SessionWatch):
    """Notes what happens in one session.

    Args:
        session: which one.
        ring: remembers what is noted.
        now: the clock.
    """

    __slots__ = (
        "_init_id",
        "_now",
        "_ring",
        "_running",
        "_session",
        "_unacknowledged",
        "_unwritten",
        "attached",
        "events",
        "events_forgotten",
        "is_over",
        "kept",
        "resumable",
        "session_id",
        "subject",
    )

    def __init__(self, session: Any, ring: Ring, now: Callable[[], float]) -> None:
        self._session = session
        self._ring = ring
        self._now = now
        self.session_id: str = session.id
        self.subject: str | None = None
        """Whose it is; looked up with each message, since ``init`` may have told."""
        self.attached = True
        """Somebody is connected."""
        self.resumable = False
        """It has begun with ``init``: its client may come back, and says what it has received."""
        self.is_over = False
        self.events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self.events_forgotten = 0
        self.kept = 0
        """How many of its messages the ring has."""
        self._init_id: str | None = None
        self._running: dict[str, Record] = {}
        self._unwritten: dict[int, Record] = {}
        """By number, in order: answers that have not left yet."""
        self._unacknowledged: dict[int, Record] = {}
        """Likewise, those that the client has not confirmed."""

    # Its messages

    def accepted(self, handling: Handling) -> None:
        """Begin a record."""
        message_type = handling.message.type
        if message_type == "init":
            self._init_id = handling.id
            self.resumable = True
            return
        record = Record(handling.id, self, self._now())
        record.is_accepted = True
        record.type = message_type
        record.connection_id = handling.connection.id
        record.handling = handling
        self._look_up_subject()
        self._running[handling.id] = record
        self._ring.add(record)

    def repeated(self, message_id: str, number: int | None) -> None:
        """Note that a message came again."""
        record = self._running.get(message_id) or self._ring.newest(message_id, self)
        if record is None:
            return
        record.repeated += 1
        if record.repeats is None:
            record.repeats = []
        if len(record.repeats) < MAX_REPEATS:
            record.repeats.append(Repeat(self._now(), number))
            if number is not None:
                self._unwritten[number] = self._unacknowledged[number] = record
            self._ring.grow(record)

    def gating(self, message_id: str, plugin: str) -> None:
        """Note whom a message waits for."""
        record = self._running.get(message_id)
        if record is not None:
            record.gate_at_work = self._now(), plugin

    def gated(self, message_id: str, plugin: str, elapsed_s: float, refusal: str | None) -> None:
        """Note what a plugin said."""
        record = self._running.get(message_id)
        if record is not None:
            record.gate_at_work = None
            if record.gates is None:
                record.gates = []
            record.gates.append(Gate(self._now(), plugin, elapsed_s, refusal))
            self._ring.grow(record)

    def part_sent(self, message_id: str, number: int) -> None:  # noqa: ARG002 - the hook's own
        """Count a part."""
        record = self._running.get(message_id)
        if record is not None:
            record.parts += 1
            record.last_part_at = self._now()
            if record.first_part_at is None:
                record.first_part_at = record.last_part_at

    def failed(self, message_id: str | None, code: str, error: str | None) -> None:
        """Note why there will be an error; where nothing was accepted, that is all there is."""
        if message_id is None or message_id == self._init_id:
            self._note(Event(self._now(), "refused", code=code))
            return
        record = self._running.get(message_id)
        if record is not None:
            record.failed, record.error = code, error
            return
        record = Record(message_id, self, self._now())
        record.failed = code
        self._look_up_subject()
        self._ring.add(record)

    def answered(self, message_id: str, number: int, size: int) -> None:
        """Note the answer."""
        now = self._now()
        record = self._running.pop(message_id, None)
        if record is None:  # its handler was interrupted with an earlier process
            record = Record(message_id, self, now)
            record.is_accepted = True
            record.failed = "interrupted"
            record.outcome = "interrupted"
            self._ring.add(record)
        handling, record.handling = record.handling, None
        if handling is not None:
            record.started_at = handling.started_at
            record.outcome = None if handling.outcome is None else handling.outcome.value
        if record.outcome == "replied":  # another message of the same id was refused meanwhile
            record.failed = record.error = None
        record.answered_at = now
        record.number = number
        record.size = size
        if number and record.is_kept:
            self._unwritten[number] = self._unacknowledged[number] = record

    # Its answers

    def written(self, number: int) -> None:
        """Note that answers have left."""
        for each, record in _up_to(self._unwritten, number):
            if each != record.number:  # it came again, and its note says so
                continue
            if record.written_at is None:
                record.written_at = self._now()
            else:
                record.rewritten_at = self._now()
                record.rewrites += 1

    def acknowledged(self, number: int) -> None:
        """Note that answers have arrived."""
        for _, record in _up_to(self._unacknowledged, number):
            if record.acknowledged_at is None:
                record.acknowledged_at = self._now()

    # Its connections

    def dropped(self, connection_id: str, code: int) -> None:
        """Note that nobody is connected."""
        self.attached = False
        self._note(Event(self._now(), "dropped", connection_id, code))

    def resumed(self, connection_id: str, received: int, gap: Any) -> None:
        """Note that somebody is back; what he has not received is written again."""
        now = self._now()
        self.attached = True
        lost = None if gap is None else (gap.first, gap.last)
        self._note(Event(now, "resumed", connection_id, 0, received, lost))
        for _, record in _up_to(self._unacknowledged, received):
            if record.acknowledged_at is None:
                record.acknowledged_at = now
                record.confirmed_by_resuming = True
        if lost is not None:
            for _, record in _up_to(self._unacknowledged, lost[1]):
                record.lost_at = now
        self._unwritten = dict(self._unacknowledged)

    def ended(self) -> None:
        """Note that it is over."""
        self.attached = False
        self.is_over = True
        self._look_up_subject()
        self._session = None  # the ring must not keep what the server lets go
        self._note(Event(self._now(), "ended"))
        self._unwritten.clear()
        self._unacknowledged.clear()

    def _look_up_subject(self) -> None:
        if self._session is not None:
            self.subject = self._session.identity.subject

    def _note(self, event: Event) -> None:
        if len(self.events) == MAX_EVENTS:
            self.events_forgotten += 1
        self.events.append(event)
        self._ring.resize(self)

    @property
    def at_work(self) -> Record | None:
        """The message whose turn it has been for longest; those behind it wait for it."""
        for record in self._running.values():
            if record.handling is not None and record.handling.started_at is not None:
                return record
        return None

    def forget(self, record: Record) -> None:
        """The ring has no room for a record of this session any more."""
        for number in record.numbers:
            self._unwritten.pop(number, None)
            self._unacknowledged.pop(number, None)


def _up_to(waiting: dict[int, Record], number: int) -> list[tuple[int, Record]]:
    """Take out what stands under ``number`` or a lower one, the lowest first."""
    if len(waiting) == 1:  # as usual
        ((only, record),) = waiting.items()
        if only > number:
            return []
        waiting.clear()
        return [(only, record)]
    taken = []
    for each in waiting:
        if each > number:
            break
        taken.append(each)
    return [(each, waiting.pop(each)) for each in taken]
