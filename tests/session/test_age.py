"""Age: a session forgets what was written, and its answers, after a time; never what waits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wsframe.session import Gap, Ledger, Outbox, Session


def make_session(*, max_messages: int = 100) -> Session[str]:
    session: Session[str] = Session(
        "s1",
        ledger=Ledger(max_in_flight=3, max_messages=max_messages, max_bytes=1_000),
        outbox=Outbox(max_messages=max_messages, max_bytes=1_000),
    )
    session.begin(secret_digest=b"digest", subprotocol="wsframe.v1.json")
    return session


def test_what_was_written_goes_after_the_time_and_not_before() -> None:
    session = make_session()
    session.outbox.written(b"a")
    session.age(10.0, 5.0)
    session.age(14.5, 5.0)
    assert list(session.outbox.here()) == [(1, b"a")]
    session.age(15.0, 5.0)
    assert list(session.outbox.here()) == []


def test_each_message_has_its_own_age() -> None:
    session = make_session()
    session.outbox.written(b"a")
    session.age(10.0, 5.0)
    session.outbox.written(b"b")
    session.age(11.0, 5.0)
    session.age(15.0, 5.0)
    assert list(session.outbox.here()) == [(2, b"b")]
    session.age(16.0, 5.0)
    assert list(session.outbox.here()) == []


def test_what_waits_never_goes_by_age() -> None:
    session = make_session()
    session.outbox.written(b"a")
    session.outbox.hold(b"b")
    for now in range(10, 100):
        session.age(now, 5.0)
    assert list(session.outbox.here()) == [(2, b"b")]
    assert session.outbox.take() == [b"b"]
    session.age(100.0, 5.0)
    assert list(session.outbox.here()) == [(2, b"b")]
    session.age(105.0, 5.0)
    assert list(session.outbox.here()) == []


def test_what_was_written_to_a_connection_that_broke_waits_again() -> None:
    session = make_session()
    for frame in (b"a", b"b", b"c"):
        session.outbox.written(frame)
    session.age(10.0, 5.0)
    session.detach(130.0, 130.0)
    session.resume(1)
    session.age(15.0, 5.0)
    assert list(session.outbox.here()) == [(2, b"b"), (3, b"c")]


def test_what_is_written_again_is_kept_as_long_as_if_it_were_new() -> None:
    session = make_session()
    for frame in (b"a", b"b", b"c"):
        session.outbox.written(frame)
    session.age(10.0, 5.0)
    session.detach(14.0, 14.0)
    session.resume(1)
    assert session.outbox.take() == [b"b", b"c"]
    session.age(14.0, 5.0)
    session.age(18.0, 5.0)
    session.detach(23.0, 23.0)
    assert session.resume(1) is None
    assert session.outbox.take() == [b"b", b"c"]


def test_a_client_that_comes_too_late_is_told_what_went_by_age() -> None:
    session = make_session()
    session.outbox.written(b"a")
    session.outbox.written(b"b")
    session.age(10.0, 5.0)
    session.age(15.0, 5.0)
    assert session.resume(1) == Gap(2, 2)


def test_answers_go_after_the_same_time_and_not_before() -> None:
    session = make_session()
    session.ledger.remember("1", b"a")
    session.age(10.0, 5.0)
    session.ledger.remember("2", b"b")
    session.age(14.5, 5.0)
    assert session.ledger.answered("1")
    session.age(15.0, 5.0)
    assert not session.ledger.answered("1")
    assert session.ledger.answered("2")
    session.age(19.5, 5.0)
    assert not session.ledger.answered("2")


def test_answers_that_went_for_their_number_do_not_take_younger_ones_with_them() -> None:
    session = make_session(max_messages=2)
    session.ledger.remember("1", b"a")
    session.ledger.remember("2", b"b")
    session.age(10.0, 5.0)
    session.ledger.remember("3", b"c")
    session.age(15.0, 5.0)
    assert not session.ledger.answered("2")
    assert session.ledger.answered("3")
    session.age(20.0, 5.0)
    assert not session.ledger.answered("3")


def test_a_message_that_runs_never_goes_by_age() -> None:
    session = make_session()
    session.accept("1", "one")
    session.age(10.0, 5.0)
    session.age(100.0, 5.0)
    assert session.ledger.running == {"1": "one"}


def test_with_no_time_at_all_everything_goes_at_once() -> None:
    session = make_session()
    session.outbox.written(b"a")
    session.ledger.remember("1", b"a")
    session.age(10.0, 0.0)
    assert (len(session.outbox), session.ledger.remembered) == (0, 0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["write", "hold", "take", "answer", "resume", "age", "age"]),
            st.integers(0, 4),
        ),
        max_size=60,
    )
)
def test_nothing_goes_early_and_nothing_stays_longer_than_from_the_call_that_found_it(
    steps: list[tuple[str, int]],
) -> None:
    session, now, keep_s = make_session(), 0, 7
    outbox, answers = session.outbox, 0
    since: dict[int | str, int] = {}  # when a number was written last, or an id answered
    found: dict[int | str, int] = {}  # when it was there for the first time as time was called
    for action, amount in steps:
        if action == "write" and not outbox.waiting:
            outbox.written(b"x")
            since[outbox.count] = now
        elif action == "hold":
            outbox.hold(b"x")
        elif action == "take":
            since |= dict.fromkeys(range(outbox.cursor + 1, outbox.count + 1), now)
            outbox.take()
        elif action == "answer":
            answers += 1
            session.ledger.remember(f"m{answers}", b"x")
            since[f"m{answers}"] = now
        elif action == "resume":
            assert session.resume(max(outbox.cursor - amount, outbox.first - 1)) is None
            since = {thing: at for thing, at in since.items() if isinstance(thing, str)}
            found = {thing: at for thing, at in found.items() if isinstance(thing, str)}
        elif action == "age":
            session.age(now, keep_s)
            found = dict.fromkeys(since, now) | found
            here = {number for number, _ in outbox.here()}
            assert here >= set(range(outbox.cursor + 1, outbox.count + 1))
            for thing, at in since.items():
                stays = thing in here if isinstance(thing, int) else session.ledger.answered(thing)
                assert stays or now - at >= keep_s
                assert not stays or now - found[thing] < keep_s
        now += amount
