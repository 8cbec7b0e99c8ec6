"""The ledger: which messages of a session were accepted, and what became of them.

It is where "exactly one final answer" is decided. A message is admitted once, and settled once:

=============  ==========================  ======================================
state of id    ``admit`` says              ``settle`` does
=============  ==========================  ======================================
unknown        NEW, becomes *running*      nothing, returns False
running        RUNNING                     *answered* (or unknown, if retryable)
answered       ANSWERED, with the answer   nothing, returns False
=============  ==========================  ======================================

An id that is neither running nor answered while ``max_in_flight`` messages are running is refused
with FULL. Answers are remembered up to a number and a size; the oldest go first. Running messages
are never forgotten.
"""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final, Generic, TypeVar

Entry = TypeVar("Entry")


class Verdict(Enum):
    """What the ledger says of an arriving message id."""

    NEW = "new"
    RUNNING = "running"
    ANSWERED = "answered"
    FULL = "full"


_NEW: Final = Verdict.NEW  # in Python 3.11 an enum is slow to find its members


class Outcome(Enum):
    """How a message ended."""

    REPLIED = "replied"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class Ledger(Generic[Entry]):
    """Accepted message ids of one session.

    Args:
        max_in_flight: running messages, at most.
        max_messages: answered ids remembered, at most.
        max_bytes: bytes of the answers remembered, at most. An answer larger than this is
            remembered only until the next one.
    """

    __slots__ = (
        "_answers",
        "_bytes",
        "_oldest_first",
        "forgotten",
        "max_bytes",
        "max_in_flight",
        "max_messages",
        "running",
    )

    _oldest_first: deque[str]
    """The ids of the answers, made with them; an OrderedDict would be both, and slower."""

    def __init__(self, *, max_in_flight: int, max_messages: int, max_bytes: int) -> None:
        self.max_in_flight = max_in_flight
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.running: dict[str, Entry] = {}
        """Messages accepted and not yet finally answered, oldest first."""
        self._answers: dict[str, bytes] | None = None  # made with the first answer
        self._bytes = 0
        self.forgotten = 0
        """How many answers were forgotten so far."""

    def admit(self, message_id: str, entry: Entry) -> Verdict:
        """Enter a message; ``entry`` is what :attr:`running` shall keep of it."""
        running = self.running
        if message_id in running:
            return Verdict.RUNNING
        if self._answers is not None and message_id in self._answers:
            return Verdict.ANSWERED
        if len(running) >= self.max_in_flight:
            return Verdict.FULL
        running[message_id] = entry
        return _NEW

    def answer(self, message_id: str) -> bytes:
        """The remembered final answer, as a frame.

        Raises:
            KeyError: no answer of this id is remembered.
        """
        if self._answers is None:
            raise KeyError(message_id)
        return self._answers[message_id]

    def settle(self, message_id: str, answer: bytes | None) -> bool:
        """End a running message.

        Args:
            message_id: the id that was admitted.
            answer: the final answer as a frame, or None to free the id (a retryable outcome, or an
                id the client does not know).

        Returns:
            True for the one call that ends the message, False for every later one: its answer must
            not be sent.
        """
        try:
            del self.running[message_id]
        except KeyError:
            return False
        if answer is None:
            return True
        answers = self._answers
        if answers is None:
            answers = self._begin_to_remember()
        answers[message_id] = answer  # an id that was running is not among them
        self._oldest_first.append(message_id)
        size = self._bytes = self._bytes + len(answer)
        if len(answers) > self.max_messages or size > self.max_bytes:
            self._make_room(answers)
        return True

    def remember(self, message_id: str, answer: bytes) -> None:
        """Keep a final answer; the oldest ones make room for it."""
        answers = self._answers
        if answers is None:
            answers = self._begin_to_remember()
        if message_id not in answers:
            self._oldest_first.append(message_id)
        self._bytes += len(answer) - len(answers.get(message_id, b""))
        answers[message_id] = answer
        self._make_room(answers)

    def _begin_to_remember(self) -> dict[str, bytes]:
        self._oldest_first = deque()
        answers: dict[str, bytes] = {}
        self._answers = answers
        return answers

    def _make_room(self, answers: dict[str, bytes]) -> None:
        number, size = len(answers), self._bytes
        while number > self.max_messages or (size > self.max_bytes and number > 1):
            size -= len(answers.pop(self._oldest_first.popleft()))
            self.forgotten += 1
            number -= 1
        self._bytes = size

    def forget(self, number: int) -> None:
        """Forget the oldest answers, until ``number`` of all that were remembered are forgotten."""
        answers = self._answers
        while answers and self.forgotten < number:
            self._bytes -= len(answers.pop(self._oldest_first.popleft()))
            self.forgotten += 1

    def answered(self, message_id: str) -> bool:
        """Is the final answer of this id remembered?"""
        return self._answers is not None and message_id in self._answers

    @property
    def remembered(self) -> int:
        """How many answers are remembered."""
        return len(self._answers) if self._answers is not None else 0

    @property
    def remembered_bytes(self) -> int:
        """Bytes of the answers that are remembered."""
        return self._bytes
