"""What a store is told is the session, at every moment; and a session can go on from it."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from tests.session.naive_store import (
    NaiveStore,
    answer,
    assert_same,
    begun,
    restored,
    send,
)
from wsframe.session import ANONYMOUS, Identity, Session, State

IDENTITIES = (ANONYMOUS, Identity(subject="ada"), Identity(subject="bob"))

Step = tuple[str, int]
steps_of_an_owner = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("send", "send", "accept", "accept", "answer", "answer", "free", "take"),
                *("acknowledge", "enter", "leave", "identify", "detach", "resume", "age"),
            ]
        ),
        st.integers(0, 15),
    ),
    max_size=40,
)


def act(session: Session[str], step: Step, now: float) -> object:
    """One step; what the client would see of it is returned."""
    action, n = step
    running = list(session.ledger.running)
    match action:
        case "send":
            send(session, b"s" * n)
        case "accept":
            return session.accept(f"m{n}", "entry")
        case "answer" if running:
            answer(session, running[n % len(running)], b"a" * n, remember=True)
        case "free" if running:
            answer(session, running[n % len(running)], b"f" * n, remember=False)
        case "take" if session.attached:
            return session.outbox.take()
        case "acknowledge":
            return session.acknowledge(max(0, session.outbox.cursor + 1 - n))
        case "enter":
            session.enter(f"room {n % 3}")
        case "leave":
            session.leave(f"room {n % 3}")
        case "identify":
            session.identify(IDENTITIES[n % 3])
        case "detach" if session.attached:
            session.detach(now + 60, now + 60)
        case "resume":
            return session.resume(max(0, session.outbox.cursor - n))
        case "age":
            session.age(now, 10.0)
    return None


@given(steps_of_an_owner)
def test_what_the_store_was_told_is_the_session_at_every_moment(steps: list[Step]) -> None:
    store = NaiveStore()
    session = begun(store)
    for now, step in enumerate(steps):
        act(session, step, now)
        assert_same(store, session)
    session.end()
    assert_same(store, session)


@given(steps_of_an_owner, steps_of_an_owner, st.integers(0, 8))
def test_a_session_made_of_what_the_store_has_goes_on_like_the_one_that_was_lost(
    before: list[Step], after: list[Step], missed: int
) -> None:
    store = NaiveStore()
    lost = begun(store)
    for now, step in enumerate(before):
        act(lost, step, now)
    for message_id in list(lost.ledger.running):
        answer(lost, message_id, b"interrupted", remember=False)
    received = max(0, lost.outbox.cursor - missed)

    other_store = NaiveStore()
    for change in store.told:
        other_store.record(change)
    here = restored(other_store, received)
    assert here.state is State.ATTACHED
    if lost.attached:
        lost.detach(100.0, 100.0)
    assert lost.resume(received) == here.resume(received)
    told, other_told = len(store.told), len(other_store.told)
    for now, step in enumerate(step for step in after if step[0] != "age"):
        assert act(here, step, now) == act(lost, step, now)
        assert_same(other_store, here)
    assert here.outbox.take() == lost.outbox.take()
    assert here.rooms == lost.rooms
    assert other_store.told[other_told:] == [
        msgspec.structs.replace(change, epoch=2) for change in store.told[told:]
    ]


@given(steps_of_an_owner, steps_of_an_owner, st.integers(1, 5))
def test_where_the_client_has_received_more_than_the_store_has_counting_goes_on_behind_it(
    before: list[Step], after: list[Step], further: int
) -> None:
    store = NaiveStore()
    lost = begun(store)
    for now, step in enumerate(before):
        act(lost, step, now)
    for message_id in list(lost.ledger.running):
        answer(lost, message_id, b"interrupted", remember=False)
    received = lost.outbox.count + further

    session = restored(store, received)
    assert session.resume(received) is None
    assert_same(store, session)
    assert session.outbox.take() == []
    send(session, b"next")
    assert store.frames == {received + 1: b"next"}
    for now, step in enumerate(after):
        act(session, step, now)
        assert_same(store, session)
