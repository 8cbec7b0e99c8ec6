"""The outbox: a session's messages to its client, numbered and in order.

It is the send queue and the replay buffer in one: a bounded queue with a cursor.

::

    numbers   1 … first-1   first … cursor      cursor+1 … count
              forgotten     written, but not    not written yet
                            acknowledged

Numbers are implicit (they are not on the wire): the client counts what it receives. Messages
without a number (``transient`` ones and a few built-in types) only stand in the queue while the
connection is not writable, and leave it when they are written.

With ``keep`` off nothing is kept for replay: what is written is forgotten at once. With
``released`` set, nothing behind that number is written before it is released: so a message can
wait until a store has it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import NamedTuple


class Gap(NamedTuple):
    """Messages that are lost: the first number and the last."""

    first: int
    last: int


class Outbox:
    """Frames of one session on their way to the client.

    Args:
        max_messages: frames kept or waiting, at most.
        max_bytes: their size, at most.
        keep: keep written frames until they are acknowledged, for replay.
    """

    __slots__ = (
        "_frames",
        "_size",
        "_unnumbered",
        "_unnumbered_size",
        "count",
        "cursor",
        "first",
        "keep",
        "max_bytes",
        "max_messages",
        "released",
    )

    def __init__(self, *, max_messages: int, max_bytes: int, keep: bool = False) -> None:
        self.max_messages = max_messages
        self.max_bytes = max_bytes
        self.keep = keep
        self.count = 0
        """The number of the newest message."""
        self.cursor = 0
        """The number of the newest message that was written to a connection."""
        self.first = 1
        """The number of the oldest message still here; ``count + 1`` when there is none."""
        self.released: int | None = None
        """The number of the newest message that may be written; None: every one."""
        self._frames: deque[bytes] | None = None  # numbers first … count; made when first needed
        self._size = 0
        self._unnumbered: deque[tuple[int, bytes]] | None = None  # (stands after number, frame)
        self._unnumbered_size = 0

    def __len__(self) -> int:
        return self.count + 1 - self.first + (len(self._unnumbered) if self._unnumbered else 0)

    @property
    def size(self) -> int:
        """Bytes of all frames that are here."""
        return self._size + self._unnumbered_size

    @property
    def due(self) -> int:
        """The number of the newest message that may be written now."""
        released = self.released
        return self.count if released is None or released > self.count else released

    @property
    def waiting(self) -> bool:
        """Is anything here that was not written yet?"""
        return self.cursor < self.count or bool(self._unnumbered)

    @property
    def overflowed(self) -> bool:
        """Did a message go that was never written? The client has a gap, or must be dropped."""
        return self.first > self.cursor + 1

    @property
    def crowded(self) -> bool:
        """Is half of the room taken by messages that were not written yet?

        Whoever can wait should, before something is lost.
        """
        if 2 * self.unwritten >= self.max_messages:
            return True
        return 2 * self.size >= self.max_bytes and 2 * self._unwritten_size() >= self.max_bytes

    @property
    def unwritten(self) -> int:
        """How many messages here were not written yet?"""
        numbered = self.count - max(self.cursor, self.first - 1)
        return numbered + (len(self._unnumbered) if self._unnumbered else 0)

    def _unwritten_size(self) -> int:
        newest_first = islice(reversed(self._frames or ()), self.count - self.cursor)
        return sum(map(len, newest_first)) + self._unnumbered_size

    def here(self) -> Iterator[tuple[int, bytes]]:
        """Number and frame of every numbered message that is here, in order."""
        return enumerate(self._frames or (), self.first)

    # Messages come

    def written(self, frame: bytes) -> None:
        """Number a frame that is being written right now; nothing may be waiting before it."""
        number = self.count = self.cursor = self.count + 1
        if not self.keep:
            self.first = number + 1
            return
        frames = self._frames
        if frames is None:
            frames = self._frames = deque()
        frames.append(frame)
        size = self._size = self._size + len(frame)
        if size > self.max_bytes or len(frames) > self.max_messages:
            self._shrink(self.max_messages, self.max_bytes)

    def hold(self, frame: bytes) -> None:
        """Number a frame that cannot be written yet."""
        self.count += 1
        self._append(frame)

    def replace_newest(self, frame: bytes) -> None:
        """Put ``frame`` in the place of the newest message, which must not be written yet."""
        frames = self._frames
        assert frames, "the newest message is here"
        assert self.cursor < self.count, "the newest message is not written yet"
        self._size += len(frame) - len(frames[-1])
        frames[-1] = frame
        self._shrink(self.max_messages, self.max_bytes)

    def hold_unnumbered(self, frame: bytes) -> bool:
        """Queue a frame without a number until it can be written.

        Returns:
            False when there is no room for it: it is dropped.
        """
        if len(self) >= self.max_messages or self.size + len(frame) > self.max_bytes:
            room_bytes = self.max_bytes - len(frame)
            if self.unwritten >= self.max_messages or self._unwritten_size() > room_bytes:
                return False  # and nothing was forgotten for it in vain
            self._shrink(self.max_messages - 1, room_bytes)
        if self._unnumbered is None:
            self._unnumbered = deque()
        self._unnumbered.append((self.count, frame))
        self._unnumbered_size += len(frame)
        return True

    def _append(self, frame: bytes) -> None:
        frames = self._frames
        if frames is None:
            frames = self._frames = deque()
        frames.append(frame)
        size = self._size = self._size + len(frame)
        if len(frames) > self.max_messages or size > self.max_bytes or self._unnumbered:
            self._shrink(self.max_messages, self.max_bytes)

    def _shrink(self, max_messages: int, max_bytes: int) -> None:
        """Forget the oldest numbered messages until everything here is within these bounds."""
        frames, size = self._frames, self._size
        if self._unnumbered:
            max_messages -= len(self._unnumbered)
            max_bytes -= self._unnumbered_size
        while frames and (len(frames) > max_messages or size > max_bytes):
            size -= len(frames.popleft())
            self.first += 1
        self._size = size

    # Messages go

    def take(self) -> list[bytes]:
        """Everything that waits and may be written, in order; it counts as written."""
        frames, upto = self._frames, self.due
        start = max(self.cursor + 1, self.first)
        numbered: list[bytes] = []
        if frames is not None and self.cursor < upto:
            # From the newest on: what is kept for replay may be much more than what waits.
            numbered = list(islice(reversed(frames), self.count - upto, self.count + 1 - start))
            numbered.reverse()
            self.cursor = upto
            if not self.keep:
                self.forget(upto)
        return self._merge(numbered, start) if self._unnumbered else numbered

    def _merge(self, numbered: list[bytes], start: int) -> list[bytes]:
        """Put those without a number into their places; ``numbered`` begins at ``start``."""
        unnumbered = self._unnumbered
        assert unnumbered is not None
        merged: list[bytes] = []
        done = 0
        while unnumbered and unnumbered[0][0] <= self.cursor:
            after, frame = unnumbered.popleft()
            self._unnumbered_size -= len(frame)
            upto = max(after - start + 1, done)
            merged += numbered[done:upto]
            merged.append(frame)
            done = upto
        return merged + numbered[done:]

    def acknowledge(self, number: int) -> bool:
        """Forget everything up to ``number``, which the client has processed.

        Returns:
            False when the client acknowledges what was never written to it; nothing changes.
        """
        if number > self.cursor:
            return False
        self.forget(number)
        return True

    def forget(self, number: int) -> None:
        """Let go of messages up to ``number``, as far as they were written."""
        frames, first, size = self._frames, self.first, self._size
        number = min(number, self.cursor)
        while frames and first <= number:
            size -= len(frames.popleft())
            first += 1
        self.first, self._size = first, size

    # The connection goes, another one comes

    def drop_unnumbered(self) -> None:
        """The connection is gone, and with it what was meant for this moment only."""
        self._unnumbered = None
        self._unnumbered_size = 0

    def rewind(self, number: int) -> Gap | None:
        """Go on behind ``number``, the newest message that the client has received.

        Returns:
            What the client has missed and is not here any more; None: nothing.

        Raises:
            ValueError: it was never written to a connection.
        """
        if number > self.cursor:
            raise ValueError(f"message {number} was never written")
        self.forget(number)
        self.cursor = max(number, self.first - 1)
        return Gap(number + 1, self.cursor) if self.cursor > number else None

    def restore(self, *, forgotten: int, frames: Iterable[bytes], received: int) -> None:
        """Take over what a store has kept; the outbox must be new.

        Args:
            forgotten: messages up to this number are not among ``frames``.
            frames: all others.
            received: the newest message that the client has received. It may be one that the store
                never had, if it was sent before it was stored: counting goes on behind it.
        """
        assert self.count == 0, "the outbox is new"
        self.count = self.cursor = forgotten
        self.first = forgotten + 1
        for frame in frames:
            self.hold(frame)
        if received > self.count:
            self.cursor = self.count
            self.forget(self.count)
            self.count = received
            self.first = received + 1
        self.cursor = max(received, self.cursor)
