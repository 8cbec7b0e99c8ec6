"""What a record tells: a verdict for one glance, and a time line for the second.

Everything is plain data with the names of the JSON that the endpoint answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from .records import Conversation, Event, Record

NOTICEABLE_S: Final = 0.0005
"""A wait shorter than this is none."""


_BEFORE_THE_HANDLER: Final = frozenset(
    {"unknown_type", "invalid_content", "forbidden", "unauthenticated"}
)
"""Errors that a message gets, as a rule, without its handler being started."""
_ORDER: Final = (
    "received", "interrupted", "turn", "gate", "handler", "part", "answered", "dropped",
    "kept", "resumed", "repeated", "sent", "replayed", "lost", "acknowledged", "refused", "ended",
)  # fmt: skip
"""What comes first of steps at the same time: some clocks count milliseconds only."""


class Step(NamedTuple):
    """One line of the time line."""

    at: float
    """By the clock of the records."""
    name: str
    text: str
    details: dict[str, Any]


class Clock(NamedTuple):
    """How the clock of the records becomes the time of people."""

    now: float
    epoch: float
    """Seconds since 1970 when the clock was at 0."""
    resume_window_s: float
    """How long a session waits for its client."""


def tell(record: Record, clock: Clock) -> dict[str, Any]:
    """Everything that is known of a message."""
    conversation = record.conversation
    state, verdict = judge(record, clock)
    began = record.accepted_at
    return {
        "id": record.id,
        "type": record.type,
        "session": conversation.session_id,
        "subject": conversation.subject,
        "connection": record.connection_id,
        "receivedAt": clock.epoch + began,
        "state": state,
        "verdict": verdict,
        "steps": [
            {"atS": round(step.at - began, 6), "step": step.name, "text": step.text, **step.details}
            for step in sorted(_steps(record), key=lambda step: (step.at, _ORDER.index(step.name)))
        ],
        "eventsForgotten": conversation.events_forgotten,
    }


def summarize(record: Record, clock: Clock) -> dict[str, Any]:
    """The same in one line."""
    state, verdict = judge(record, clock)
    return {
        "id": record.id,
        "type": record.type,
        "receivedAt": clock.epoch + record.accepted_at,
        "state": state,
        "verdict": verdict,
    }


# The verdict


def judge(record: Record, clock: Clock) -> tuple[str, str]:
    """What became of a message: a word for machines, a sentence for people."""
    if not record.is_accepted:
        return "refused", f"Not accepted: it was answered with the error {record.failed!r} at once."
    if record.answered_at is None:
        return _judge_unanswered(record, clock)
    answer = "Answered" if record.failed is None else f"Answered with the error {record.failed!r}"
    if record.failed is not None and record.gates and record.gates[-1].refusal is not None:
        answer += f" (refused by plugin {record.gates[-1].plugin!r})"
    elif record.error is not None:
        answer += f" (unexpected {record.error}, see the log)"
    if not record.number:
        return "undeliverable", f"{answer}, but the session was over by then: it went nowhere."
    if record.acknowledged_at is not None:
        return "acknowledged", f"{answer}, and the client has it{_since(record)}."
    if record.lost_at is not None:
        return "lost", (
            f"{answer}, but when the client came back the answer was no longer kept (outbox "
            "limits); the client was told of the gap."
        )
    return _judge_unacknowledged(record, clock, answer)


def _judge_unanswered(record: Record, clock: Clock) -> tuple[str, str]:
    conversation = record.conversation
    waited_s = clock.now - record.accepted_at
    away = "" if conversation.attached else " Nobody is connected, either."
    handling = record.handling
    started_at = None if handling is None else handling.started_at
    if started_at is None:
        return "waiting", (
            f"No answer yet: for {duration(waited_s)} it has waited for its turn, behind "
            f"{_ahead(conversation, clock)}.{away}"
        )
    if record.gate_at_work is not None:
        return "gated", (
            f"No answer yet: {_at_work(record, started_at, clock)}, which has not said yet whether "
            f"it passes.{away}"
        )
    return "running", f"No answer yet: {_at_work(record, started_at, clock)}.{away}"


def _at_work(record: Record, started_at: float, clock: Clock) -> str:
    if record.gate_at_work is not None:
        since, plugin = record.gate_at_work
        return f"for {duration(clock.now - since)} it has been at the gate of plugin {plugin!r}"
    if record.gates:
        started_at = record.gates[-1].at
    parts = f", and has sent {_parts(record)}" if record.parts else ""
    return f"its handler has been at work for {duration(clock.now - started_at)}{parts}"


def _ahead(conversation: Conversation, clock: Clock) -> str:
    other = conversation.at_work
    if other is None or other.handling is None or other.handling.started_at is None:
        return "other messages of its session"
    return f"{other.id}: {_at_work(other, other.handling.started_at, clock)}"


def _judge_unacknowledged(record: Record, clock: Clock, answer: str) -> tuple[str, str]:
    conversation = record.conversation
    written = record.written_at is not None
    if conversation.is_over:
        how = "it was written, but never acknowledged" if written else "it was never written"
        return "over", f"{answer}; {how}, and {_ending(conversation)}."
    if not conversation.attached:
        dropped = _last(conversation, "dropped")
        until = ""
        if dropped is not None:
            left_s = dropped.at + clock.resume_window_s - clock.now
            until = f" for {duration(clock.now - dropped.at)}; it waits {duration(left_s)} more"
        before = "" if not written else " (it was written before that, perhaps in vain)"
        return "kept", f"{answer}, but nobody is connected{until}{before}."
    if not written:
        return "held", (
            f"{answer}, but the answer has not left for "
            f"{duration(clock.now - (record.answered_at or clock.now))}: "
            "the client reads too slowly, or the store has not confirmed it."
        )
    last = record.rewritten_at or record.written_at or clock.now
    if not conversation.resumable:
        return "written", (
            f"{answer} and written {duration(clock.now - last)} ago; the client began without "
            "'init', so nothing says whether it arrived."
        )
    return "written", (
        f"{answer} and written {duration(clock.now - last)} ago{_again(record)}; "
        "the client has not acknowledged it yet."
    )


def _since(record: Record) -> str:
    """Why the client has its answer so late, if it does."""
    assert record.answered_at is not None, "it is acknowledged"
    assert record.acknowledged_at is not None, "the caller has looked"
    late = duration(record.acknowledged_at - record.answered_at)
    if record.rewrites:
        return f", {late} late: its connection was gone{_again(record)}"
    if record.confirmed_by_resuming:
        return " (it said so when it came back)"
    if record.written_at is None or record.written_at - record.answered_at < NOTICEABLE_S:
        return ""
    away = any(
        event.kind == "resumed" and record.answered_at <= event.at <= record.written_at
        for event in record.conversation.events
    )
    return f", {late} late: {'nobody was connected' if away else 'it was held up on its way'}"


def _again(record: Record) -> str:
    return " and it was sent again" if record.rewrites else ""


def _ending(conversation: Conversation) -> str:
    dropped = _last(conversation, "dropped")
    if dropped is None:
        return "the session is over"
    if dropped.code == 1000:
        return "the client has closed its session (1000)"
    return f"the session ended because nobody came back (connection closed with {dropped.code})"


def _last(conversation: Conversation, kind: str) -> Event | None:
    for event in reversed(conversation.events):
        if event.kind == kind:
            return event
    return None


# The time line


def _steps(record: Record) -> Iterator[Step]:
    by = f" by connection {record.connection_id}" if record.connection_id else ""
    if not record.is_accepted:
        text = f"refused before it was accepted: {record.failed}"
        yield Step(record.accepted_at, "refused", text, {"code": record.failed})
        return
    if record.type is None:
        yield Step(record.accepted_at, "interrupted", "found interrupted after a restart", {})
    else:
        yield Step(record.accepted_at, "received", f"received{by}", {})
    yield from _handling(record)
    yield from _answer(record)
    for repeat in record.repeats or ():
        what = "is being handled"
        if repeat.number is not None:
            what = f"got the same answer, as no. {repeat.number}"
        yield Step(repeat.at, "repeated", f"came again: {what}", {"number": repeat.number})
    until = record.acknowledged_at
    for event in record.conversation.events:
        if event.at >= record.accepted_at and (until is None or event.at <= until):
            yield _event(event)


def _handling(record: Record) -> Iterator[Step]:
    started_at = record.started_at
    if started_at is None and record.handling is not None:
        started_at = record.handling.started_at
    if started_at is None:
        return
    waited_s = started_at - record.accepted_at
    if waited_s >= NOTICEABLE_S:
        text = f"its turn came, after {duration(waited_s)} behind other messages"
        yield Step(started_at, "turn", text, {"waitedS": round(waited_s, 6)})
    for gate in record.gates or ():
        verdict = "passed" if gate.refusal is None else f"refused: {gate.refusal}"
        yield Step(
            gate.at,
            "gate",
            f"gate of plugin {gate.plugin!r} {verdict} ({duration(gate.elapsed_s)})",
            {"plugin": gate.plugin, "elapsedS": round(gate.elapsed_s, 6), "refusal": gate.refusal},
        )
    refused = record.gates is not None and record.gates[-1].refusal is not None
    refused |= record.failed in _BEFORE_THE_HANDLER or record.gate_at_work is not None
    if not refused:
        started_at = record.gates[-1].at if record.gates else started_at
        yield Step(started_at, "handler", "handler started", {})
    if record.first_part_at is not None:
        yield Step(record.first_part_at, "part", "first part sent", {})
    if record.last_part_at is not None and record.parts > 1:
        text = f"last part sent, of {record.parts}"
        yield Step(record.last_part_at, "part", text, {"parts": record.parts})


def _answer(record: Record) -> Iterator[Step]:
    if record.answered_at is None:
        return
    kind = "reply" if record.outcome == "replied" else record.outcome or "?"
    if record.failed is not None:
        kind = f"error {record.failed}"
        if record.error is not None:
            kind += f", unexpected {record.error}"
    details = {
        "number": record.number or None,
        "outcome": record.outcome,
        "code": record.failed,
        "bytes": record.size,
    }
    at_once = record.written_at is not None and record.written_at - record.answered_at < (
        NOTICEABLE_S
    )
    if not record.number:
        text = f"answer ({kind}) goes nowhere: the session is over"
    elif at_once:
        text = f"answer sent as no. {record.number} ({kind}, {record.size} bytes)"
    else:
        text = f"answer kept as no. {record.number} ({kind}, {record.size} bytes)"
    name = "answered" if at_once else "kept"
    yield Step(record.answered_at, name, text, details)
    if record.written_at is not None and not at_once:
        yield Step(record.written_at, "sent", "answer sent", {})
    if record.rewritten_at is not None:
        times = "" if record.rewrites == 1 else f" ({record.rewrites} times so far)"
        details = {"times": record.rewrites}
        yield Step(record.rewritten_at, "replayed", f"answer replayed{times}", details)
    if record.lost_at is not None:
        yield Step(record.lost_at, "lost", "answer no longer kept: the client has a gap", {})
    if record.acknowledged_at is not None:
        how = " by resuming behind it" if record.confirmed_by_resuming else ""
        yield Step(record.acknowledged_at, "acknowledged", f"acknowledged{how}", {})


def _event(event: Event) -> Step:
    if event.kind == "dropped":
        text = f"connection {event.connection_id} closed ({event.code})"
        return Step(event.at, "dropped", text, {"code": event.code})
    if event.kind == "resumed":
        text = f"session resumed by connection {event.connection_id}, behind no. {event.received}"
        if event.gap is not None:
            text += f"; no. {event.gap[0]} to {event.gap[1]} are lost"
        return Step(event.at, "resumed", text, {"received": event.received})
    if event.kind == "refused":
        return Step(event.at, "refused", f"something else was refused: {event.code}", {})
    return Step(event.at, "ended", "session ended", {})


def _parts(record: Record) -> str:
    return "1 part" if record.parts == 1 else f"{record.parts} parts"


def duration(seconds: float) -> str:
    """A time as people say it: ``0.1 ms``, ``12 ms``, ``3.2 s``, ``4 min``, ``2.5 h``."""
    seconds = max(0.0, seconds)
    if seconds < 0.01:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
