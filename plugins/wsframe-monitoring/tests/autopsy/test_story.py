"""What is told of a message: the verdict, and the time line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from wsframe_monitoring.autopsy.story import duration

from wsframe import Outcome
from wsframe.session import Gap

Make = Callable[..., Any]


def test_an_answer_that_was_replayed_after_the_connection_was_gone(recorded: Make) -> None:
    scene = recorded()
    handling = scene.accept("m")
    scene.after(0.12)
    scene.answer(handling, 17)
    scene.after(0.01).dropped("c1", 1006)
    scene.after(4.07).resumed("c2", 16, None)
    scene.conversation().written(17)
    scene.after(0.1).acknowledged(17)
    assert scene.steps("m") == [
        "+0 received by connection c1",
        "+0 handler started",
        "+0.12 answer sent as no. 17 (reply, 120 bytes)",
        "+0.13 connection c1 closed (1006)",
        "+4.2 session resumed by connection c2, behind no. 16",
        "+4.2 answer replayed",
        "+4.3 acknowledged",
    ]
    assert scene.verdict("m") == (
        "Answered, and the client has it, 4.2 s late: its connection was gone and it was sent "
        "again."
    )


def test_an_answer_that_the_client_had_before_it_came_back(recorded: Make) -> None:
    scene = recorded()
    scene.answer(scene.accept("m"), 1)
    scene.after(1).dropped("c1", 1006)
    scene.after(1).resumed("c2", 1, None)
    scene.conversation().written(1)
    assert scene.steps("m")[-1] == "+2 acknowledged by resuming behind it"
    assert scene.state("m") == "acknowledged"
    assert scene.verdict("m") == ("Answered, and the client has it (it said so when it came back).")


def test_an_answer_that_came_while_nobody_was_connected(recorded: Make) -> None:
    scene = recorded()
    handling = scene.accept("m")
    scene.after(1).dropped("c1", 1006)
    scene.after(4)
    scene.answer(handling, 3, written=False)
    scene.after(10)
    assert scene.verdict("m") == (
        "Answered, but nobody is connected for 14.0 s; it waits 46.0 s more."
    )
    scene.conversation().resumed("c2", 2, None)
    scene.conversation().written(3)
    scene.after(1).acknowledged(3)
    assert scene.steps("m")[2:] == [
        "+1 connection c1 closed (1006)",
        "+5 answer kept as no. 3 (reply, 120 bytes)",
        "+15 session resumed by connection c2, behind no. 2",
        "+15 answer sent",
        "+16 acknowledged",
    ]
    assert scene.verdict("m") == (
        "Answered, and the client has it, 11.0 s late: nobody was connected."
    )


def test_an_answer_that_was_no_longer_kept(recorded: Make) -> None:
    scene = recorded()
    scene.answer(scene.accept("m"), 2)
    scene.answer(scene.accept("n"), 3)
    scene.after(1).dropped("c1", 1006)
    scene.after(1).resumed("c2", 1, Gap(2, 2))
    scene.conversation().written(3)
    scene.after(1).acknowledged(3)
    assert scene.state("m") == "lost"
    assert "no longer kept (outbox limits)" in scene.verdict("m")
    assert scene.steps("m")[-2:] == [
        "+2 session resumed by connection c2, behind no. 1; no. 2 to 2 are lost",
        "+2 answer no longer kept: the client has a gap",
    ]
    assert scene.state("n") == "acknowledged"


@pytest.mark.parametrize(
    ("code", "ending"),
    [
        (1006, "the session ended because nobody came back (connection closed with 1006)"),
        (1000, "the client has closed its session (1000)"),
    ],
)
def test_an_answer_whose_session_has_ended(recorded: Make, code: int, ending: str) -> None:
    scene = recorded()
    scene.answer(scene.accept("m"), 1)
    scene.after(1).dropped("c1", code)
    scene.after(60).ended()
    assert scene.verdict("m") == f"Answered; it was written, but never acknowledged, and {ending}."
    assert scene.steps("m")[-1] == "+61 session ended"


def test_an_answer_that_nobody_could_get(recorded: Make) -> None:
    scene = recorded()
    handling = scene.accept("m")
    conversation = scene.after(1)
    conversation.dropped("c1", 1000)
    conversation.ended()
    conversation.failed("m", "cancelled", None)
    handling.outcome = Outcome.CANCELLED
    conversation.answered("m", 0, 90)
    assert scene.verdict("m") == (
        "Answered with the error 'cancelled', but the session was over by then: it went nowhere."
    )
    assert "answer (error cancelled) goes nowhere: the session is over" in scene.steps("m")[-2]


def test_an_answer_that_ended_a_session_by_its_connection_alone(recorded: Make) -> None:
    scene = recorded()
    scene.answer(scene.accept("m"), 1, written=False)
    scene.conversation().ended()
    assert scene.verdict("m") == "Answered; it was never written, and the session is over."


def test_an_answer_that_a_slow_client_holds_up(recorded: Make) -> None:
    scene = recorded()
    scene.answer(scene.accept("m"), 1, written=False)
    scene.after(3)
    assert scene.verdict("m") == (
        "Answered, but the answer has not left for 3.0 s: the client reads too slowly, or the "
        "store has not confirmed it."
    )
    scene.conversation().written(1)
    assert scene.steps("m")[-1] == "+3 answer sent"
    scene.conversation().acknowledged(1)
    assert scene.verdict("m") == (
        "Answered, and the client has it, 3.0 s late: it was held up on its way."
    )


def test_an_answer_that_is_not_acknowledged_yet(recorded: Make) -> None:
    scene = recorded()
    scene.answer(scene.accept("m"), 1)
    scene.after(2)
    assert scene.verdict("m") == (
        "Answered and written 2.0 s ago; the client has not acknowledged it yet."
    )
    scene.conversation().dropped("c1", 1006)
    assert "(it was written before that, perhaps in vain)" in scene.verdict("m")
    scene.conversation().resumed("c2", 0, None)
    scene.conversation().written(1)
    assert scene.verdict("m") == (
        "Answered and written 0.0 ms ago and it was sent again; "
        "the client has not acknowledged it yet."
    )


def test_an_answer_to_a_client_without_init(recorded: Make) -> None:
    scene = recorded(begun=False)
    scene.answer(scene.accept("m"), 1)
    assert "the client began without 'init'" in scene.verdict("m")


def test_a_message_that_waits_for_its_turn(recorded: Make) -> None:
    scene = recorded()
    scene.accept("slow")
    handling = scene.accept("m", started_at=None)
    scene.after(5)
    assert scene.verdict("m") == (
        "No answer yet: for 5.0 s it has waited for its turn, behind slow: its handler has been at "
        "work for 5.0 s."
    )
    handling.started_at = scene.now
    assert scene.steps("m")[1:] == ["+5 its turn came, after 5.0 s behind other messages",
                                    "+5 handler started"]  # fmt: skip


def test_a_message_that_waits_while_nothing_is_at_work(recorded: Make) -> None:
    scene = recorded()
    scene.accept("m", started_at=None)
    scene.after(1).dropped("c1", 1006)
    assert scene.verdict("m") == (
        "No answer yet: for 1.0 s it has waited for its turn, behind other messages of its "
        "session. Nobody is connected, either."
    )


def test_a_message_that_is_at_a_gate(recorded: Make) -> None:
    scene = recorded()
    scene.accept("m")
    scene.conversation().gating("m", "ratelimit")
    scene.after(3)
    assert scene.state("m") == "gated"
    assert scene.verdict("m") == (
        "No answer yet: for 3.0 s it has been at the gate of plugin 'ratelimit', which has not "
        "said yet whether it passes."
    )
    assert scene.steps("m") == ["+0 received by connection c1"]


def test_a_message_that_is_being_handled(recorded: Make) -> None:
    scene = recorded()
    scene.accept("m")
    scene.after(1).gating("m", "auth")
    scene.after(1).gated("m", "auth", 1.0, None)
    scene.after(1).part_sent("m", 1)
    scene.after(1).part_sent("m", 2)
    assert scene.verdict("m") == (
        "No answer yet: its handler has been at work for 2.0 s, and has sent 2 parts."
    )
    assert scene.steps("m")[1:] == [
        "+2 gate of plugin 'auth' passed (1.0 s)",
        "+2 handler started",
        "+3 first part sent",
        "+4 last part sent, of 2",
    ]


def test_a_message_that_a_gate_refused(recorded: Make) -> None:
    scene = recorded()
    handling = scene.accept("m")
    conversation = scene.conversation()
    conversation.gated("m", "auth", 0.000_1, None)
    conversation.gated("m", "ratelimit", 0.000_2, "rate_limited")
    conversation.failed("m", "rate_limited", None)
    scene.answer(handling, 1, outcome=Outcome.FAILED)
    conversation.acknowledged(1)
    assert scene.verdict("m") == (
        "Answered with the error 'rate_limited' (refused by plugin 'ratelimit'), and the client "
        "has it."
    )
    assert scene.steps("m")[1:4] == [
        "+0 gate of plugin 'auth' passed (0.1 ms)",
        "+0 gate of plugin 'ratelimit' refused: rate_limited (0.2 ms)",
        "+0 answer sent as no. 1 (error rate_limited, 120 bytes)",
    ]


def test_a_message_whose_handler_failed(recorded: Make) -> None:
    scene = recorded()
    handling = scene.accept("m")
    scene.conversation().failed("m", "handler_failed", "KeyError")
    scene.answer(handling, 1, outcome=Outcome.FAILED)
    assert scene.verdict("m").startswith(
        "Answered with the error 'handler_failed' (unexpected KeyError, see the log)"
    )
    assert scene.steps("m")[2] == (
        "+0 answer sent as no. 1 (error handler_failed, unexpected KeyError, 120 bytes)"
    )


def test_a_refused_message_of_the_same_id_is_not_mistaken_for_it(recorded: Make) -> None:
    scene = recorded()
    handling = scene.accept("m")
    scene.conversation().failed("m", "wrong_session", None)
    scene.answer(handling, 2)
    assert scene.verdict("m").startswith("Answered and written")


def test_a_message_of_a_type_that_nobody_handles_starts_no_handler(recorded: Make) -> None:
    scene = recorded()
    handling = scene.accept("m")
    scene.conversation().failed("m", "unknown_type", None)
    scene.answer(handling, 1, outcome=Outcome.FAILED)
    assert "handler started" not in " ".join(scene.steps("m"))


def test_a_message_that_was_not_accepted(recorded: Make) -> None:
    scene = recorded()
    scene.conversation().failed("m", "too_many_in_flight", None)
    assert scene.state("m") == "refused"
    assert scene.verdict("m") == (
        "Not accepted: it was answered with the error 'too_many_in_flight' at once."
    )
    assert scene.steps("m") == ["+0 refused before it was accepted: too_many_in_flight"]


def test_a_message_of_an_earlier_process(recorded: Make) -> None:
    scene = recorded()
    scene.conversation().answered("m", 4, 80)
    scene.after(2).written(4)
    assert scene.steps("m") == [
        "+0 found interrupted after a restart",
        "+0 answer kept as no. 4 (error interrupted, 80 bytes)",
        "+2 answer sent",
    ]


def test_a_message_that_came_again(recorded: Make) -> None:
    scene = recorded()
    handling = scene.accept("m")
    scene.after(1).repeated("m", None)
    scene.after(1)
    scene.answer(handling, 1)
    scene.after(1).repeated("m", 2)
    scene.conversation().written(2)
    scene.after(1).acknowledged(2)
    assert scene.steps("m")[2:] == [
        "+1 came again: is being handled",
        "+2 answer sent as no. 1 (reply, 120 bytes)",
        "+3 came again: got the same answer, as no. 2",
        "+4 acknowledged",
    ]


def test_an_answer_that_was_replayed_more_than_once(recorded: Make) -> None:
    scene = recorded()
    scene.answer(scene.accept("m"), 1)
    for number in range(2):
        scene.after(1).dropped("c1", 1006)
        scene.after(1).resumed(f"c{number + 2}", 0, None)
        scene.conversation().written(1)
    assert scene.steps("m")[-1] == "+4 answer replayed (2 times so far)"


def test_a_refused_init_and_what_could_not_be_read_are_events_of_the_session(
    recorded: Make,
) -> None:
    scene = recorded()
    scene.accept("m")
    scene.after(1).failed(None, "invalid_json", None)
    scene.conversation().failed("i", "forbidden", None)
    assert scene.steps("m")[-2:] == [
        "+1 something else was refused: invalid_json",
        "+1 something else was refused: forbidden",
    ]
    assert scene.ring.find("i") == []


def test_the_content_of_a_message_is_nowhere(recorded: Make) -> None:
    scene = recorded()
    scene.answer(scene.accept("m"), 1)
    assert "a secret" not in repr(scene.told("m"))
    (record,) = scene.ring.find("m")
    assert record.handling is None


def test_a_session_that_is_over_is_not_kept(recorded: Make) -> None:
    scene = recorded()
    scene.accept("m")
    scene.conversation().ended()
    assert scene.conversation()._session is None
    scene.conversation().failed("n", "cancelled", None)
    assert scene.told("n")["subject"] == "ann"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0.0 ms"), (0.000_12, "0.1 ms"), (0.012, "12 ms"), (3.21, "3.2 s"), (240, "4 min"),
     (9_000, "2.5 h")],
)  # fmt: skip
def test_a_duration_is_told_as_people_say_it(seconds: float, text: str) -> None:
    assert duration(seconds) == text
