"""The ledger: every message is admitted once and settled once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsframe.session import Ledger, Verdict


def make_ledger(
    *, max_in_flight: int = 3, max_messages: int = 4, max_bytes: int = 100
) -> Ledger[str]:
    return Ledger(max_in_flight=max_in_flight, max_messages=max_messages, max_bytes=max_bytes)


def test_an_unknown_id_is_new_and_then_running() -> None:
    ledger = make_ledger()
    assert ledger.admit("1", "one") is Verdict.NEW
    assert ledger.admit("1", "again") is Verdict.RUNNING
    assert ledger.running == {"1": "one"}


def test_an_answered_id_gives_its_answer_again() -> None:
    ledger = make_ledger()
    ledger.admit("1", "one")
    assert ledger.settle("1", b"answer")
    assert ledger.admit("1", "again") is Verdict.ANSWERED
    assert ledger.answered("1")
    assert ledger.answer("1") == b"answer"


def test_a_message_is_settled_once() -> None:
    ledger = make_ledger()
    ledger.admit("1", "one")
    assert ledger.settle("1", b"first")
    assert not ledger.settle("1", b"second")
    assert ledger.answer("1") == b"first"


def test_settling_what_was_never_admitted_changes_nothing() -> None:
    ledger = make_ledger()
    assert not ledger.settle("1", b"answer")
    assert ledger.remembered == 0


def test_an_answer_that_frees_the_id_lets_it_be_new_again() -> None:
    ledger = make_ledger()
    ledger.admit("1", "one")
    assert ledger.settle("1", None)
    assert not ledger.answered("1")
    assert ledger.admit("1", "again") is Verdict.NEW


def test_no_more_than_max_in_flight_messages_run() -> None:
    ledger = make_ledger(max_in_flight=2)
    ledger.admit("1", "one")
    ledger.admit("2", "two")
    assert ledger.admit("3", "three") is Verdict.FULL
    ledger.settle("1", b"")
    assert ledger.admit("3", "three") is Verdict.NEW


def test_the_oldest_answers_are_forgotten_over_the_number() -> None:
    ledger = make_ledger(max_messages=2)
    for message_id in "123":
        ledger.admit(message_id, message_id)
        ledger.settle(message_id, b"x")
    assert not ledger.answered("1")
    assert ledger.answered("2")
    assert ledger.remembered == 2


def test_the_oldest_answers_are_forgotten_over_the_size() -> None:
    ledger = make_ledger(max_bytes=10)
    ledger.remember("1", b"x" * 6)
    ledger.remember("2", b"x" * 6)
    assert not ledger.answered("1")
    assert ledger.remembered_bytes == 6


def test_an_answer_over_the_size_is_remembered_until_the_next() -> None:
    ledger = make_ledger(max_bytes=10)
    ledger.remember("1", b"x" * 60)
    assert ledger.answered("1")
    ledger.remember("2", b"x")
    assert not ledger.answered("1")
    assert ledger.remembered_bytes == 1


def test_an_answer_that_is_remembered_twice_counts_once() -> None:
    ledger = make_ledger()
    ledger.remember("1", b"x" * 60)
    ledger.remember("1", b"x" * 50)
    assert ledger.answer("1") == b"x" * 50
    assert (ledger.remembered, ledger.remembered_bytes) == (1, 50)


def test_answers_are_forgotten_up_to_a_number_of_all_there_ever_were() -> None:
    ledger = make_ledger(max_messages=2)
    ledger.forget(3)
    for message_id in "123":
        ledger.remember(message_id, b"x")
    assert ledger.forgotten == 1
    ledger.forget(1)
    assert ledger.remembered == 2
    ledger.forget(2)
    assert not ledger.answered("2")
    assert ledger.answered("3")
    assert (ledger.forgotten, ledger.remembered_bytes) == (2, 1)


def test_with_no_room_for_answers_none_is_remembered() -> None:
    ledger = make_ledger(max_messages=0)
    ledger.admit("1", "one")
    assert ledger.settle("1", b"answer")
    assert (ledger.remembered, ledger.remembered_bytes) == (0, 0)
    assert ledger.admit("1", "again") is Verdict.NEW


def test_a_message_of_which_nothing_is_kept_is_settled_once_too() -> None:
    ledger: Ledger[None] = Ledger(max_in_flight=1, max_messages=1, max_bytes=10)
    ledger.admit("1", None)
    assert ledger.settle("1", b"answer")
    assert not ledger.settle("1", b"answer")
    assert ledger.answered("1")


def test_asking_for_an_answer_nobody_gave_is_a_key_error() -> None:
    ledger = make_ledger()
    with pytest.raises(KeyError):
        ledger.answer("1")
    ledger.remember("2", b"")
    with pytest.raises(KeyError):
        ledger.answer("1")


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 3), st.integers(0, 40))))
def test_bounds_hold_and_every_admission_is_settled_at_most_once(
    steps: list[tuple[str, int, int]],
) -> None:
    ledger = make_ledger()
    open_admissions: set[str] = set()
    for message_id, action, size in steps:
        if action < 2:
            verdict = ledger.admit(message_id, message_id)
            if verdict is Verdict.NEW:
                assert message_id not in open_admissions
                open_admissions.add(message_id)
        else:
            answer = b"x" * size if action == 2 else None
            assert ledger.settle(message_id, answer) is (message_id in open_admissions)
            open_admissions.discard(message_id)
        assert set(ledger.running) == open_admissions
        assert len(ledger.running) <= ledger.max_in_flight
        assert ledger.remembered <= ledger.max_messages
        assert ledger.remembered_bytes <= ledger.max_bytes or ledger.remembered == 1
