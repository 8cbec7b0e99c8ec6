"""A store of one session that is as plain as can be, and what an owner of sessions does with it."""

from __future__ import annotations

from dataclasses import dataclass, field

from wsframe.session import ANONYMOUS, Identity, Ledger, Outbox, Session
from wsframe.session import changes as happened
from wsframe.session.changes import Change

DIGEST, SUBPROTOCOL = b"digest", "wsframe.v1.json"


@dataclass
class NaiveStore:
    """Keeps one session in the plainest way, and everything it was told."""

    told: list[Change] = field(default_factory=list)
    open: bool = False
    attached: bool = True
    identity: Identity = ANONYMOUS
    secret_digest: bytes = b""
    subprotocol: str = ""
    forgotten: int = 0
    frames: dict[int, bytes] = field(default_factory=dict)
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    running: list[str] = field(default_factory=list)
    rooms: set[str] = field(default_factory=set)

    def record(self, change: Change) -> None:
        assert change.session_id == "s1"
        assert self.open != isinstance(change, happened.Opened)
        self.told.append(change)
        match change:
            case happened.Opened():
                self.open = True
                self.identity = change.identity
                self.secret_digest = change.secret_digest
                self.subprotocol = change.subprotocol
            case happened.Identified():
                self.identity = change.identity
            case happened.Accepted():
                assert change.message_id not in self.running
                self.running.append(change.message_id)
            case happened.Sent():
                self.put(change.number, change.frame)
            case happened.Answered():
                self.put(change.number, change.frame)
                self.running.remove(change.message_id)
                if change.remember:
                    assert change.message_id not in self.answers
                    self.answers[change.message_id] = (change.number, change.frame)
            case happened.Forgotten():
                assert change.number > self.forgotten
                self.forgotten = change.number
                self.frames = {n: each for n, each in self.frames.items() if n > change.number}
            case happened.AnswersForgotten():
                kept = {key: each for key, each in self.answers.items() if each[0] > change.number}
                assert len(kept) < len(self.answers)
                self.answers = kept
            case happened.Joined():
                self.rooms.add(change.room)
            case happened.Left():
                self.rooms.discard(change.room)
            case happened.Detached():
                self.attached = False
            case happened.Attached():
                self.attached = True
            case happened.Ended():
                self.open = False

    def answers_in_order(self) -> list[tuple[str, int, bytes]]:
        return [(key, number, frame) for key, (number, frame) in self.answers.items()]

    def put(self, number: int, frame: bytes) -> None:
        assert number == max([self.forgotten, *self.frames]) + 1, "numbers come without gaps"
        self.frames[number] = frame


def assert_same(store: NaiveStore, session: Session[str]) -> None:
    assert store.open is session.resumable
    if store.open:
        ledger = session.ledger
        assert store.attached is session.attached
        assert store.identity == session.identity
        assert (store.secret_digest, store.subprotocol) == (DIGEST, SUBPROTOCOL)
        assert store.forgotten == session.outbox.first - 1
        assert store.frames == dict(session.outbox.here())
        assert store.running == list(ledger.running)
        assert store.rooms == session.rooms
        assert len(store.answers) == ledger.remembered
        for message_id, (_, frame) in store.answers.items():
            assert ledger.answer(message_id) == frame


def new_session(identity: Identity = ANONYMOUS) -> Session[str]:
    return Session(
        "s1",
        ledger=Ledger(max_in_flight=3, max_messages=4, max_bytes=50),
        outbox=Outbox(max_messages=6, max_bytes=60),
        identity=identity,
    )


def begun(store: NaiveStore) -> Session[str]:
    session = new_session()
    session.begin(secret_digest=DIGEST, subprotocol=SUBPROTOCOL)
    session.record(store.record)
    return session


def restored(store: NaiveStore, received: int) -> Session[str]:
    """A session that another node makes of what the store has."""
    session = new_session(store.identity)
    session.begin(secret_digest=store.secret_digest, subprotocol=store.subprotocol)
    session.rooms |= store.rooms
    session.restore(
        store.record,
        epoch=store.told[-1].epoch + 1,
        forgotten=store.forgotten,
        frames=store.frames.values(),
        answers=store.answers_in_order(),
        received=received,
    )
    return session


# What a session's owner does


def put(session: Session[str], frame: bytes) -> None:
    if session.attached and not session.outbox.waiting:
        session.outbox.written(frame)
    else:
        session.outbox.hold(frame)


def send(session: Session[str], frame: bytes) -> None:
    put(session, frame)
    if session.recorder is not None:
        session.recorder.sent(frame)


def answer(session: Session[str], message_id: str, frame: bytes, *, remember: bool) -> None:
    assert session.ledger.settle(message_id, frame if remember else None)
    put(session, frame)
    if session.recorder is not None:
        session.recorder.answered(message_id, frame, remember=remember)
