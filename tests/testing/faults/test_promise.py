"""Was the promise kept? The checker finds every way in which it can be broken."""

from __future__ import annotations

import pytest

from wsframe.testing.faults import EventLog, Promise, Witness


def broken(witness: Witness) -> list[str]:
    return [text.removeprefix("a: ") for text in witness.broken()]


@pytest.fixture
def witness() -> Witness:
    return Promise().witness("a")


def test_answers_parts_and_pushes_in_order_keep_the_promise() -> None:
    promise = Promise(seed=1)
    alice, bob = promise.witness("alice"), promise.witness("bob")
    alice.sent("1", parts=2)
    alice.sent("1", parts=2)  # again, on another connection
    alice.part("1", 1)
    alice.part("1", 2)
    alice.answered("1")
    bob.sent("1")
    bob.told("1", "the session is over")
    bob.pushed(1)
    bob.pushed(2)
    bob.expects(2)
    promise.check()
    assert promise.witness("alice") is alice
    assert alice.asked == 1


def test_silence_is_found(witness: Witness) -> None:
    witness.sent("7", what="text")
    assert broken(witness) == ["'7' (text) was not answered"]


def test_a_client_that_gives_up_by_itself_breaks_the_promise(witness: Witness) -> None:
    witness.sent("7")
    witness.given_up("7", "4409")
    assert broken(witness) == ["'7' was not answered: 4409"]


def test_a_second_answer_is_found(witness: Witness) -> None:
    witness.sent("7")
    witness.answered("7")
    witness.answered("7", "timeout")
    assert broken(witness) == ["'7' was answered 2 times: answered, timeout"]


def test_an_answer_to_what_was_given_up_is_found(witness: Witness) -> None:
    witness.sent("7")
    witness.told("7", "gone")
    witness.answered("7")
    assert broken(witness) == ["'7' was answered (answered) and given up (gone)"]


def test_an_answer_to_nothing_is_found(witness: Witness) -> None:
    witness.answered("8")
    witness.part("8", 1)
    witness.told("8", "a gap")
    assert broken(witness) == [
        "a got a final answer to '8', which it never sent",
        "a got part 1 to '8', which it never sent",
        "a got word of a gap to '8', which it never sent",
    ]


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([1, 3], "parts lost: 2"),
        ([1, 2], "parts lost: 3"),
        ([1, 2, 2, 3], "parts came twice: 2"),
        ([1, 3, 2], "parts out of order: 1, 3, 2"),
        ([1, 2, 3, 4], "parts that were never sent: 4"),
        ([0, 1, 2, 3], "parts that were never sent: 0"),
    ],
)
def test_parts_are_numbered_without_a_fault(witness: Witness, parts: list[int], text: str) -> None:
    witness.sent("7", parts=3)
    for number in parts:
        witness.part("7", number)
    witness.answered("7")
    assert broken(witness) == [f"'7' {text}"]


def test_a_handler_that_was_stopped_has_not_sent_all_parts(witness: Witness) -> None:
    witness.sent("7", parts=3)
    witness.part("7", 1)
    witness.answered("7", "interrupted", whole=False)
    assert broken(witness) == []


def test_pushed_messages_are_lost_doubled_or_exchanged(witness: Witness) -> None:
    for number in (1, 2, 2, 4):
        witness.pushed(number)
    for number in (2, 1):
        witness.pushed(number, source="news")
    witness.expects(3, source="sports")
    assert broken(witness) == [
        "pushed messages lost: 3",
        "pushed messages came twice: 2",
        "messages pushed by news out of order: 2, 1",
        "messages pushed by sports lost: 1, 2, 3",
    ]


def test_what_the_client_was_told_is_lost_is_not_missed(witness: Witness) -> None:
    witness.sent("7", parts=3)
    witness.part("7", 3)
    witness.answered("7")
    witness.pushed(2)
    witness.pushed(2)
    witness.gap()
    assert broken(witness) == ["pushed messages came twice: 2"]


def test_long_lists_are_shortened(witness: Witness) -> None:
    witness.expects(30)
    shown = ", ".join(map(str, range(1, 21)))
    assert broken(witness) == [f"pushed messages lost: {shown} … (30)"]


def test_the_failure_says_how_to_see_it_again_and_what_happened_last() -> None:
    log = EventLog()
    for number in range(70):
        log.add(number / 2, f"event {number}")
    promise = Promise(seed=13, log=log, reproduce="pytest --seed=13")
    promise.witness("a").sent("7")
    with pytest.raises(AssertionError) as raised:
        promise.check()
    text = str(raised.value)
    assert "a: '7' was not answered" in text
    assert (
        "seed 13\nto see it again: pytest --seed=13\nlast events:\n(10 earlier or minor events)"
        in text
    )
    assert text.endswith("    34.500 s  event 69")


def test_the_failure_says_no_more_than_is_known() -> None:
    promise = Promise()
    promise.witness("a").sent("7")
    with pytest.raises(AssertionError) as raised:
        promise.check()
    assert str(raised.value).splitlines()[1:] == ["  - a: '7' was not answered"]


def test_the_log_keeps_its_last_events() -> None:
    log = EventLog(limit=2)
    assert log.tail() == ""
    for number in range(3):
        log.add(number, f"event {number}")
    assert log.lines == ["     1.000 s  event 1", "     2.000 s  event 2"]
    assert log.tail() == "(1 earlier or minor events)\n" + "\n".join(log.lines)


def test_minor_events_are_kept_but_not_shown() -> None:
    log = EventLog()
    log.add(0, "event")
    log.add(0, "detail", minor=True)
    assert log.lines == ["     0.000 s  event", "     0.000 s  detail"]
    assert log.tail() == "(1 earlier or minor events)\n     0.000 s  event"


def test_a_closed_log_stays_as_it_is() -> None:
    log = EventLog()
    log.add(0, "event")
    log.close()
    log.add(1, "tidying up")
    assert log.tail() == "     0.000 s  event"
