"""The outbox against a model that is slow and plain: one list, searched from end to end.

Also against what it is for: a client that counts, on connections that break, receives every number
once and in order, or is told which ones are lost.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from wsframe.session import Gap, Ledger, Outbox, Session

MAX_MESSAGES = 6
MAX_BYTES = 40
sizes = st.integers(0, 12) | st.just(MAX_BYTES + 1)


@dataclass
class Message:
    """What the model knows of a message; one without a number stands after number ``after``."""

    number: int | None
    after: int
    frame: bytes


class OutboxAgainstModel(RuleBasedStateMachine):
    """``here`` is what is here, in order; a number up to ``cursor`` is written."""

    def __init__(self) -> None:
        super().__init__()
        self.here: list[Message] = []
        self.count = 0
        self.cursor = 0
        self.lost: set[int] = set()  # evicted before they were written
        self.frames = 0

    @initialize(keep=st.booleans(), releases=st.booleans())
    def start(self, keep: bool, releases: bool) -> None:
        self.outbox = Outbox(max_messages=MAX_MESSAGES, max_bytes=MAX_BYTES, keep=keep)
        self.released = self.outbox.released = 0 if releases else None

    # What the model makes of things

    def unwritten(self) -> list[Message]:
        return [each for each in self.here if each.number is None or each.number > self.cursor]

    def numbered(self) -> list[tuple[int, bytes]]:
        return [(each.number, each.frame) for each in self.here if each.number is not None]

    def due(self) -> int:
        return self.count if self.released is None else min(self.released, self.count)

    def evict(self, messages: int, size: int) -> None:
        while self.numbered() and (len(self.here) > messages or size_of(self.here) > size):
            oldest = next(each for each in self.here if each.number is not None)
            self.here.remove(oldest)
            assert oldest.number is not None
            if oldest.number > self.cursor:
                self.lost.add(oldest.number)

    def let_go(self, upto: int) -> None:
        upto = min(upto, self.cursor)
        self.here = [each for each in self.here if each.number is None or each.number > upto]

    def frame(self, size: int) -> bytes:
        self.frames += 1
        return b"%d" % self.frames + bytes(max(0, size - len(b"%d" % self.frames)))

    # Messages come

    @precondition(lambda self: not self.unwritten() and not self.lost and self.due() == self.count)
    @rule(size=sizes)
    def written(self, size: int) -> None:
        if self.released is not None:
            self.released = self.outbox.released = self.count + 1
        frame = self.frame(size)
        self.outbox.written(frame)
        self.count = self.cursor = self.count + 1
        if self.outbox.keep:
            self.here.append(Message(self.count, self.count, frame))
            self.evict(MAX_MESSAGES, MAX_BYTES)

    @rule(size=sizes)
    def hold(self, size: int) -> None:
        frame = self.frame(size)
        self.outbox.hold(frame)
        self.count += 1
        self.here.append(Message(self.count, self.count, frame))
        self.evict(MAX_MESSAGES, MAX_BYTES)

    @rule(size=sizes)
    def hold_unnumbered(self, size: int) -> None:
        frame = self.frame(size)
        waiting = self.unwritten()
        room = len(waiting) < MAX_MESSAGES and size_of(waiting) + len(frame) <= MAX_BYTES
        assert self.outbox.hold_unnumbered(frame) is room
        if room:
            self.evict(MAX_MESSAGES - 1, MAX_BYTES - len(frame))
            self.here.append(Message(None, self.count, frame))

    @precondition(lambda self: self.numbered() and self.numbered()[-1][0] > self.cursor)
    @rule(size=sizes)
    def replace_newest(self, size: int) -> None:
        frame = self.frame(size)
        self.outbox.replace_newest(frame)
        newest = next(each for each in reversed(self.here) if each.number is not None)
        newest.frame = frame
        self.evict(MAX_MESSAGES, MAX_BYTES)

    # Messages go

    @rule()
    def take(self) -> None:
        self.cursor, before = max(self.cursor, self.due()), self.cursor
        expected = [
            each
            for each in self.here
            if (each.after if each.number is None else each.number) <= self.cursor
            and (each.number is None or each.number > before)
        ]
        assert self.outbox.take() == [each.frame for each in expected]
        self.here = [each for each in self.here if each.number is not None or each not in expected]
        if not self.outbox.keep:
            self.let_go(self.cursor)

    @rule(distance=st.integers(-8, 2))
    def acknowledge(self, distance: int) -> None:
        number = max(0, self.cursor + distance)
        assert self.outbox.acknowledge(number) is (number <= self.cursor)
        if number <= self.cursor:
            self.let_go(number)

    @rule(distance=st.integers(-8, 2))
    def forget(self, distance: int) -> None:
        self.outbox.forget(self.cursor + distance)
        self.let_go(self.cursor + distance)

    # Connections go and come

    @rule(further=st.integers(0, 4))
    @precondition(lambda self: self.released is not None)
    def release(self, further: int) -> None:
        assert self.released is not None
        self.released = self.outbox.released = self.released + further

    @rule()
    def begin(self) -> None:
        self.outbox.keep = True

    @rule()
    def drop_unnumbered(self) -> None:
        self.outbox.drop_unnumbered()
        self.here = [each for each in self.here if each.number is not None]

    @precondition(lambda self: self.outbox.keep)
    @rule(distance=st.integers(-8, 0))
    def rewind(self, distance: int) -> None:
        received = max(0, self.cursor + distance)
        self.let_go(received)
        here = {number for number, _ in self.numbered()}
        missing = sorted(set(range(received + 1, self.count + 1)) - here)
        gap = Gap(missing[0], missing[-1]) if missing else None
        assert self.outbox.rewind(received) == gap
        self.cursor = max([received, *missing])
        assert missing == list(range(received + 1, self.cursor + 1))

    @rule(further=st.integers(1, 3))
    def rewind_to_what_was_never_written(self, further: int) -> None:
        with pytest.raises(ValueError, match="was never written"):
            self.outbox.rewind(self.cursor + further)

    # What holds at every moment

    @invariant()
    def it_is_as_the_model(self) -> None:
        outbox, waiting = self.outbox, self.unwritten()
        self.lost = {number for number in self.lost if number > self.cursor}
        assert (outbox.count, outbox.cursor, outbox.due) == (self.count, self.cursor, self.due())
        assert list(outbox.here()) == self.numbered()
        assert outbox.first == (self.numbered()[0][0] if self.numbered() else self.count + 1)
        assert (len(outbox), outbox.size) == (len(self.here), size_of(self.here))
        assert len(outbox) <= MAX_MESSAGES
        assert outbox.size <= MAX_BYTES
        assert outbox.waiting is (bool(waiting) or self.cursor < self.count)
        assert outbox.overflowed is bool(self.lost)
        half_taken = 2 * len(waiting) >= MAX_MESSAGES or 2 * size_of(waiting) >= MAX_BYTES
        assert outbox.crowded is half_taken


def size_of(messages: list[Message]) -> int:
    return sum(len(each.frame) for each in messages)


TestOutboxAgainstModel = OutboxAgainstModel.TestCase


@dataclass
class Client:
    """Counts what it receives; the frame says what the count should be."""

    count: int = 0
    received: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)

    def receive(self, frame: bytes) -> None:
        if not frame.startswith(b"transient"):
            self.count += 1
            assert int(frame) == self.count
            self.received.append(self.count)


class ClientThatCounts(RuleBasedStateMachine):
    """A session and its client; what is on the wire as the connection breaks is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.session: Session[str] = Session(
            "s1",
            ledger=Ledger(max_in_flight=1, max_messages=1, max_bytes=1),
            outbox=Outbox(max_messages=MAX_MESSAGES, max_bytes=MAX_BYTES),
        )
        self.session.begin(secret_digest=b"digest", subprotocol="wsframe.v1.json")
        self.client = Client()
        self.wire: list[bytes] = []
        self.writable = True
        self.now = 0.0

    @rule(size=st.integers(2, 12), times=st.integers(1, 4))
    def the_server_sends(self, size: int, times: int) -> None:
        outbox = self.session.outbox
        for _ in range(times):
            frame = b"%0*d" % (size, outbox.count + 1)
            if self.session.attached and self.writable and not outbox.waiting:
                outbox.written(frame)
                self.wire.append(frame)
            else:
                outbox.hold(frame)
        if self.session.attached and outbox.overflowed:
            self.the_connection_breaks()

    @precondition(lambda self: self.session.attached)
    @rule()
    def the_server_sends_something_transient(self) -> None:
        outbox = self.session.outbox
        if self.writable and not outbox.waiting:
            self.wire.append(b"transient")
        elif not outbox.hold_unnumbered(b"transient"):
            self.the_connection_breaks()

    @rule()
    def the_connection_is_slow(self) -> None:
        self.writable = False

    @rule()
    def the_connection_is_fast_again(self) -> None:
        self.writable = True
        if self.session.attached:
            self.wire += self.session.outbox.take()

    @rule(frames=st.integers(1, 8))
    def the_client_reads(self, frames: int) -> None:
        for frame in self.wire[:frames]:
            self.client.receive(frame)
        del self.wire[:frames]

    @precondition(lambda self: self.session.attached)
    @rule(lag=st.integers(0, 3))
    def the_client_acknowledges(self, lag: int) -> None:
        assert self.session.acknowledge(max(0, self.client.count - lag))

    @rule(seconds=st.integers(0, 5))
    def time_goes_by(self, seconds: int) -> None:
        self.now += seconds
        self.session.age(self.now, 7.0)

    @precondition(lambda self: self.session.attached)
    @rule()
    def the_connection_breaks(self) -> None:
        self.wire.clear()
        self.session.detach(self.now + 60, self.now + 60)

    @rule()
    def the_client_comes_back(self) -> None:
        self.wire.clear()  # also where its old connection still stood
        gap = self.session.resume(self.client.count)
        if gap is not None:
            assert gap.first == self.client.count + 1
            self.client.lost += range(gap.first, gap.last + 1)
            self.client.count = gap.last
        self.writable = True
        self.wire += self.session.outbox.take()

    @invariant()
    def it_has_received_every_number_once_and_in_order_or_knows_that_it_is_lost(self) -> None:
        client = self.client
        assert client.received == sorted(client.received)
        assert sorted(client.received + client.lost) == list(range(1, client.count + 1))

    def teardown(self) -> None:
        self.the_client_comes_back()
        self.the_client_reads(len(self.wire))
        assert self.client.count == self.session.outbox.count


TestClientThatCounts = ClientThatCounts.TestCase
