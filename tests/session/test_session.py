"""A session: what it may become, and that its owner is told when it may not."""

from __future__ import annotations

import re
from itertools import product

import msgspec
import pytest

from wsframe.session import ANONYMOUS, Gap, Identity, Ledger, Outbox, Session, State, Verdict
from wsframe.session import session as session_module
from wsframe.session.session import _TRANSITIONS, Step

ADA = Identity(subject="ada", scopes=frozenset({"chat"}))


def make_session(name: str = "s1", *, state: State = State.FLEETING) -> Session[str]:
    session: Session[str] = Session(
        name,
        ledger=Ledger(max_in_flight=3, max_messages=4, max_bytes=100),
        outbox=Outbox(max_messages=4, max_bytes=100),
    )
    if state in (State.ATTACHED, State.DETACHED):
        session.begin(secret_digest=b"digest", subprotocol="wsframe.v1.json")
    if state is State.DETACHED:
        session.detach(100.0, 1_000.0)
    if state is State.ENDED:
        session.end()
    return session


# What it is


def test_a_new_session_is_fleeting_empty_and_anonymous() -> None:
    session = make_session()
    assert (session.id, session.state, session.rooms) == ("s1", State.FLEETING, set())
    assert session.identity is ANONYMOUS
    assert session.identity.anonymous
    assert not session.inbox
    assert not session.outbox.keep


def test_sessions_do_not_share_their_rooms() -> None:
    one, two = make_session("a"), make_session("b")
    one.enter("lobby")
    assert two.rooms == set()


def test_it_shows_its_id_its_state_and_whose_it_is_but_no_secret() -> None:
    session = make_session(state=State.ATTACHED)
    session.identify(ADA)
    assert repr(session) == "<Session s1 attached ada>"


def test_an_identity_cannot_be_changed() -> None:
    assert not ADA.anonymous
    with pytest.raises(AttributeError):
        ADA.subject = "eve"  # type: ignore[misc]
    assert msgspec.structs.replace(ADA, subject="bob").scopes == {"chat"}


@pytest.mark.parametrize(
    ("state", "attached", "resumable"),
    [
        (State.FLEETING, True, False),
        (State.ATTACHED, True, True),
        (State.DETACHED, False, True),
        (State.ENDED, False, False),
    ],
)
def test_a_client_reads_what_is_sent_or_may_come_back_for_it(
    state: State, attached: bool, resumable: bool
) -> None:
    session = make_session(state=state)
    assert (session.state, session.attached, session.resumable) == (state, attached, resumable)


# What it may become


def take(session: Session[str], step: Step) -> None:
    match step:
        case Step.BEGIN:
            session.begin(secret_digest=b"digest", subprotocol="wsframe.v1.json")
        case Step.DETACH:
            session.detach(100.0, 1_000.0)
        case Step.RESUME:
            session.resume(0)
        case Step.END:
            session.end()


@pytest.mark.parametrize(("state", "step"), list(_TRANSITIONS), ids=str)
def test_a_step_that_the_table_has_is_taken(state: State, step: Step) -> None:
    session = make_session(state=state)
    take(session, step)
    assert session.state is _TRANSITIONS[state, step]


@pytest.mark.parametrize(
    ("state", "step"),
    [
        each
        for each in product(State, Step)
        if each not in _TRANSITIONS and each != (State.ENDED, Step.END)
    ],
    ids=str,
)
def test_a_step_that_the_table_has_not_is_refused_and_changes_nothing(
    state: State, step: Step
) -> None:
    session = make_session(state=state)
    session.outbox.keep = True
    session.outbox.written(b"a")
    session.outbox.hold(b"b")
    with pytest.raises(RuntimeError, match=f"that is {state.value} cannot {step.value}"):
        take(session, step)
    assert session.state is state
    assert (session.outbox.count, session.outbox.cursor, session.outbox.first) == (2, 1, 1)


def test_ending_it_again_does_nothing() -> None:
    session = make_session(state=State.ENDED)
    session.end()
    assert session.state is State.ENDED


def documented_transitions() -> dict[tuple[State, Step], State]:
    assert session_module.__doc__ is not None
    rows = re.findall(
        r"^(\*\w+\*|all of these) +(\w+) +\*(\w+)\*", session_module.__doc__, re.MULTILINE
    )
    assert rows
    table: dict[tuple[State, Step], State] = {}
    for start, step, end in rows:
        if start == "all of these":
            starts = {State(name.strip("*")) for name, _, _ in rows if name.startswith("*")}
        else:
            starts = {State(start.strip("*"))}
        for each in starts:
            assert (each, Step(step)) not in table
            table[each, Step(step)] = State(end)
    return table


def test_the_table_in_the_documentation_is_the_one_that_holds() -> None:
    assert documented_transitions() == _TRANSITIONS


# What the steps do


def test_from_its_beginning_on_what_is_written_is_kept() -> None:
    session = make_session()
    session.outbox.written(b"before")
    session.begin(secret_digest=b"digest", subprotocol="wsframe.v1.json")
    session.outbox.written(b"after")
    assert (session.secret_digest, session.subprotocol) == (b"digest", "wsframe.v1.json")
    assert list(session.outbox.here()) == [(2, b"after")]


def test_without_a_connection_it_ends_some_day_unless_it_is_resumed() -> None:
    session = make_session(state=State.ATTACHED)
    assert session.expires_at is None
    session.detach(100.0, 1_000.0)
    assert session.expires_at == 100.0
    session.resume(0)
    assert session.expires_at is None
    session.detach(200.0, 2_000.0)
    session.end()
    assert session.expires_at is None


@pytest.mark.parametrize("state", [State.ATTACHED, State.DETACHED])
def test_what_was_meant_for_the_moment_does_not_outlive_the_connection(state: State) -> None:
    session = make_session(state=State.ATTACHED)
    session.outbox.hold_unnumbered(b"pong")
    if state is State.DETACHED:
        session.detach(100.0, 1_000.0)
        assert not session.outbox.waiting
    session.resume(0)
    assert session.outbox.take() == []


def test_a_client_that_is_back_gets_what_it_missed() -> None:
    session = make_session(state=State.ATTACHED)
    session.outbox.written(b"a")
    session.outbox.written(b"b")
    session.detach(100.0, 1_000.0)
    session.outbox.hold(b"c")
    assert session.resume(1) is None
    assert session.outbox.take() == [b"b", b"c"]


def test_a_client_that_is_back_is_told_what_is_lost() -> None:
    session = make_session(state=State.DETACHED)
    for frame in (b"a", b"b", b"c", b"d", b"e", b"f"):
        session.outbox.hold(frame)
    assert session.resume(0) == Gap(1, 2)
    assert session.outbox.take() == [b"c", b"d", b"e", b"f"]


def test_a_client_that_has_received_what_was_never_sent_is_refused() -> None:
    session = make_session(state=State.DETACHED)
    session.outbox.hold(b"a")
    with pytest.raises(ValueError, match="message 1 was never written"):
        session.resume(1)
    assert session.state is State.DETACHED
    assert session.expires_at == 100.0


def test_without_a_store_everything_works_and_nothing_is_recorded() -> None:
    session = make_session(state=State.ATTACHED)
    assert session.accept("1", "one") is Verdict.NEW
    assert session.accept("1", "one") is Verdict.RUNNING
    session.enter("lobby")
    session.leave("lobby")
    session.leave("lobby")
    session.identify(ADA)
    session.identify(ADA)
    session.outbox.written(b"a")
    assert session.acknowledge(1)
    assert not session.acknowledge(2)
    session.detach(100.0, 1_000.0)
    session.resume(1)
    session.end()
    assert (session.identity, session.rooms, session.recorder) == (ADA, set(), None)
