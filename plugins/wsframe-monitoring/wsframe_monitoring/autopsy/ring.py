"""The ring: what is remembered, within a number and a size; the oldest goes first."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from .records import Conversation, Record

RECORD_BYTES: Final = 900
"""What a record takes, with its place in the ring, without gates, repetitions and its texts."""
GROWTH_BYTES: Final = 250
"""What one more gate or repetition takes."""
CONVERSATION_BYTES: Final = 2_000
"""What a session takes of which messages are remembered."""
EVENT_BYTES: Final = 250
"""What one event of it takes."""


class Ring:
    """Remembers messages.

    Args:
        max_messages: so many, at most.
        max_bytes: about so much memory, at most; a single message may always stay.
    """

    def __init__(self, *, max_messages: int, max_bytes: int) -> None:
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.bytes = 0
        """What is taken, by a cautious estimate."""
        self.forgotten = 0
        """How many messages had to go."""
        self._is_closed = False
        self._records: deque[Record] = deque()
        self._by_id: dict[str, list[Record]] = {}

    def __len__(self) -> int:
        return len(self._records)

    @property
    def oldest(self) -> Record | None:
        """The message that goes next."""
        return self._records[0] if self._records else None

    # Putting in

    def add(self, record: Record) -> None:
        """Remember a message, unless the ring is closed."""
        if self._is_closed:
            return
        conversation = record.conversation
        if conversation.kept == 0:
            self.bytes += _size_of(conversation)
        conversation.kept += 1
        record.bytes = RECORD_BYTES + 4 * len(record.id) + len(record.type or "")
        self.bytes += record.bytes
        self._records.append(record)
        self._by_id.setdefault(record.id, []).append(record)
        self._make_room()

    def grow(self, record: Record) -> None:
        """A message that may be remembered has grown by a gate or a repetition."""
        if record.is_kept:
            record.bytes += GROWTH_BYTES
            self.bytes += GROWTH_BYTES
            self._make_room()

    def resize(self, conversation: Conversation) -> None:
        """An event was noted in a session."""
        forgets = conversation.events_forgotten > 0
        if conversation.kept and not forgets:
            self.bytes += EVENT_BYTES
            self._make_room()

    def close(self) -> None:
        """Forget everything, and remember nothing more."""
        self._is_closed = True
        while self._records:
            self._drop_oldest()

    def _make_room(self) -> None:
        while len(self._records) > self.max_messages or (
            self.bytes > self.max_bytes and len(self._records) > 1
        ):
            self._drop_oldest()
            self.forgotten += 1

    def _drop_oldest(self) -> None:
        record = self._records.popleft()
        same = self._by_id[record.id]
        same.remove(record)
        if not same:
            del self._by_id[record.id]
        self.bytes -= record.bytes
        record.bytes = 0
        conversation = record.conversation
        conversation.forget(record)
        conversation.kept -= 1
        if conversation.kept == 0:
            self.bytes -= _size_of(conversation)

    # Looking up

    def newest(self, message_id: str, conversation: Conversation) -> Record | None:
        """The newest message of this id in a session."""
        for record in reversed(self._by_id.get(message_id, ())):
            if record.conversation is conversation:
                return record
        return None

    def find(self, any_id: str, session_id: str | None = None) -> list[Record]:
        """The messages of this id, in a session or in any, oldest first."""
        return [
            record
            for record in self._by_id.get(any_id, ())
            if session_id is None or record.conversation.session_id == session_id
        ]

    def find_all(self, session_or_connection_id: str) -> list[Record]:
        """The messages of a session, or that came by a connection, oldest first."""
        return [
            record
            for record in self._records
            if session_or_connection_id in (record.conversation.session_id, record.connection_id)
        ]


def _size_of(conversation: Conversation) -> int:
    return CONVERSATION_BYTES + EVENT_BYTES * len(conversation.events)
