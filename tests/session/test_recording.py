"""What a store is told of a session, and in which order."""

from __future__ import annotations

import pytest

from tests.session.naive_store import (
    DIGEST,
    SUBPROTOCOL,
    NaiveStore,
    answer,
    assert_same,
    begun,
    new_session,
    restored,
    send,
)
from wsframe.session import Gap, Identity, Ledger, Outbox, Session, Verdict
from wsframe.session import changes as happened

ADA = Identity(subject="ada")


def test_a_session_that_begins_tells_what_it_did_before() -> None:
    store = NaiveStore()
    session = new_session(ADA)
    session.enter("b")
    session.enter("a")
    send(session, b"written before there was something to keep")
    session.outbox.hold(b"held")
    session.begin(secret_digest=DIGEST, subprotocol=SUBPROTOCOL)
    session.record(store.record)
    assert store.told == [
        happened.Opened("s1", 1, DIGEST, SUBPROTOCOL, ADA),
        happened.Forgotten("s1", 1, 1),
        happened.Sent("s1", 1, 2, b"held"),
        happened.Joined("s1", 1, "a"),
        happened.Joined("s1", 1, "b"),
    ]
    assert_same(store, session)


def test_a_life_is_told_in_order() -> None:
    store = NaiveStore()
    session = begun(store)
    session.identify(ADA)
    session.identify(ADA)
    session.enter("lobby")
    assert session.accept("1", "one") is Verdict.NEW
    assert session.accept("1", "one") is Verdict.RUNNING
    send(session, b"part")
    answer(session, "1", b"answer", remember=True)
    assert session.accept("1", "one") is Verdict.ANSWERED
    assert session.acknowledge(1)
    assert not session.acknowledge(9)
    session.detach(5.0, 1_005.0)
    session.resume(2)
    session.leave("lobby")
    session.end()
    session.end()
    assert store.told[1:] == [
        happened.Identified("s1", 1, ADA),
        happened.Joined("s1", 1, "lobby"),
        happened.Accepted("s1", 1, "1"),
        happened.Sent("s1", 1, 1, b"part"),
        happened.Answered("s1", 1, "1", 2, b"answer", True),
        happened.Forgotten("s1", 1, 1),
        happened.Detached("s1", 1, 1_005.0),
        happened.Attached("s1", 1),
        happened.Forgotten("s1", 1, 2),
        happened.Left("s1", 1, "lobby"),
        happened.Ended("s1", 1),
    ]


def test_an_answer_that_frees_its_id_is_told_and_not_remembered() -> None:
    store = NaiveStore()
    session = begun(store)
    session.accept("1", "one")
    answer(session, "1", b"try again", remember=False)
    assert store.told[-1] == happened.Answered("s1", 1, "1", 1, b"try again", False)
    assert session.accept("1", "one") is Verdict.NEW
    answer(session, "1", b"answer", remember=True)
    assert store.answers == {"1": (2, b"answer")}


def test_what_goes_by_age_is_told() -> None:
    store = NaiveStore()
    session = begun(store)
    session.accept("1", "one")
    answer(session, "1", b"answer", remember=True)
    told = len(store.told)
    session.age(10.0, 5.0)
    session.age(15.0, 5.0)
    assert store.told[told:] == [
        happened.AnswersForgotten("s1", 1, 1),
        happened.Forgotten("s1", 1, 1),
    ]


def test_a_session_that_is_over_tells_nothing_more() -> None:
    store = NaiveStore()
    session = begun(store)
    session.end()
    told = len(store.told)
    session.accept("1", "one")
    session.enter("lobby")
    session.identify(ADA)
    session.acknowledge(0)
    session.age(1.0, 1.0)
    assert len(store.told) == told


def test_a_message_too_large_to_be_kept_is_told_and_forgotten() -> None:
    store = NaiveStore()
    session = begun(store)
    frame = b"x" * (session.outbox.max_bytes + 1)
    send(session, frame)
    assert store.told[1:] == [happened.Sent("s1", 1, 1, frame), happened.Forgotten("s1", 1, 1)]


def test_what_went_for_a_frame_without_a_number_is_told_with_the_next_change() -> None:
    store = NaiveStore()
    session = begun(store)
    for _ in range(session.outbox.max_messages):
        send(session, b"x")
    assert session.outbox.hold_unnumbered(b"pong")
    assert session.outbox.first == 2
    assert store.forgotten == 0
    session.acknowledge(0)
    assert_same(store, session)


def test_an_answer_that_the_store_never_had_takes_none_of_its_answers_along() -> None:
    store = NaiveStore()
    session = new_session()
    session.accept("init", "before there was something to record")
    session.begin(secret_digest=DIGEST, subprotocol=SUBPROTOCOL)
    session.record(store.record)
    session.ledger.settle("init", b"without a number")
    for message_id in ("1", "2", "3", "4"):
        session.accept(message_id, "entry")
        answer(session, message_id, b"a", remember=True)
    assert not session.ledger.answered("init")
    assert set(store.answers) == {"1", "2", "3", "4"}
    session.accept("5", "entry")
    answer(session, "5", b"a", remember=True)
    assert set(store.answers) == {"2", "3", "4", "5"}


def test_a_node_with_smaller_limits_forgets_what_it_cannot_keep() -> None:
    store = NaiveStore()
    first = begun(store)
    for message_id in ("1", "2", "3"):
        first.accept(message_id, "entry")
        answer(first, message_id, b"a", remember=True)
    session: Session[str] = Session(
        "s1",
        ledger=Ledger(max_in_flight=3, max_messages=2, max_bytes=50),
        outbox=Outbox(max_messages=1, max_bytes=60),
    )
    session.begin(secret_digest=DIGEST, subprotocol=SUBPROTOCOL)
    session.restore(
        store.record,
        epoch=2,
        forgotten=0,
        frames=store.frames.values(),
        answers=store.answers_in_order(),
        received=0,
    )
    assert session.resume(0) == Gap(1, 2)
    assert_same(store, session)
    assert (set(store.answers), store.frames) == ({"2", "3"}, {3: b"a"})


def test_a_client_that_has_received_less_than_the_store_has_forgotten_is_told() -> None:
    store = NaiveStore()
    first = begun(store)
    for frame in (b"a", b"b", b"c"):
        send(first, frame)
    first.acknowledge(2)
    session = restored(store, received=1)
    assert session.resume(1) == Gap(2, 2)
    assert session.outbox.take() == [b"c"]


def test_only_a_session_that_has_begun_can_be_restored() -> None:
    store = NaiveStore()
    with pytest.raises(RuntimeError, match="fleeting cannot be restored"):
        new_session().restore(store.record, epoch=2, forgotten=0, frames=(), answers=(), received=0)


def test_what_makes_room_is_forgotten_in_portions() -> None:
    store = NaiveStore()
    session: Session[str] = Session(
        "s1",
        ledger=Ledger(max_in_flight=3, max_messages=80, max_bytes=10_000),
        outbox=Outbox(max_messages=160, max_bytes=10_000),
    )
    session.begin(secret_digest=DIGEST, subprotocol=SUBPROTOCOL)
    session.record(store.record)
    most_frames = most_answers = 0
    for number in range(1_000):
        session.accept(f"m{number}", "entry")
        answer(session, f"m{number}", b"a", remember=True)
        most_frames = max(most_frames, len(store.frames))
        most_answers = max(most_answers, len(store.answers))
    kinds = [type(each) for each in store.told]
    assert (most_frames, most_answers) == (160 * 9 / 8 - 1, 80 * 9 / 8)
    assert kinds.count(happened.Forgotten) <= 1_000 / (160 / 8)
    assert kinds.count(happened.AnswersForgotten) <= 1_000 / (80 / 8)
    session.detach(5.0, 1_005.0)
    assert_same(store, session)
