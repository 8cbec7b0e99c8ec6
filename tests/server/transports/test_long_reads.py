"""A long read is taken in slices, so that others have their turn in between."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conformance.peer import TEXT, close_frame, frame
from tests.server.transports.fake_link import (
    UPGRADE,
    Context,
    FakeLink,
    accept,
    connected,
    decide_later,
    opened,
)
from wsframe.server.intake import SLICE_BYTES
from wsframe.server.link import Phase

NUMBERS = [str(number) for number in range(20_000)]
LONG_READ = b"".join(frame(TEXT, number.encode()) for number in NUMBERS)
TURNS = len(LONG_READ) // SLICE_BYTES


@pytest.fixture
def context() -> Context:
    return Context()


def turns(context: Context) -> int:
    """Let everything happen; returns in how many turns of the loop it did."""
    count = 0
    while context.soon:
        context.turn()
        count += 1
    return count


def test_a_long_read_is_taken_in_order_and_in_several_turns(context: Context) -> None:
    link = opened(context)
    link.take(LONG_READ)
    first = len(context.heard)
    assert 0 < first <= SLICE_BYTES // 7
    context.turn()
    assert first < len(context.heard) <= 2 * SLICE_BYTES // 7
    assert not link.reading
    assert turns(context) == TURNS - 1
    assert context.heard == NUMBERS
    assert link.reading


def test_a_short_read_is_taken_at_once(context: Context) -> None:
    link = opened(context)
    short = LONG_READ[:SLICE_BYTES]
    link.take(short)
    assert context.soon == []
    assert link.reading


def test_what_comes_meanwhile_waits_behind_it(context: Context) -> None:
    link = opened(context)
    link.take(LONG_READ)
    link.take(frame(TEXT, b"more"))
    context.turn()
    link.take(frame(TEXT, b"last"))
    turns(context)
    assert context.heard == [*NUMBERS, "more", "last"]


def test_the_end_of_the_input_comes_behind_it(context: Context) -> None:
    link = opened(context)
    link.take(LONG_READ)
    link.input_ended()
    assert link.phase is Phase.OPEN
    turns(context)
    assert context.heard == NUMBERS
    assert link.calls == ["close"]
    link.stream_lost()
    assert context.closed == [(1006, "")]


def test_a_close_at_its_end_is_answered(context: Context) -> None:
    link = opened(context)
    link.take(LONG_READ + close_frame(1000))
    turns(context)
    assert len(context.heard) == len(NUMBERS)
    assert link.calls == ["close"]
    link.stream_lost()
    assert context.closed == [(1000, "")]


def test_who_pauses_reading_gets_nothing_until_it_resumes(context: Context) -> None:
    link = opened(context)
    link.take(LONG_READ)
    link.pause_reading()
    heard = len(context.heard)
    assert turns(context) == 1
    assert len(context.heard) == heard
    link.resume_reading()
    link.pause_reading()
    link.resume_reading()
    assert not link.reading
    assert turns(context) == TURNS
    assert context.heard == NUMBERS
    assert link.reading


def test_a_pause_and_a_resumption_within_a_turn_do_not_hurry_it(context: Context) -> None:
    link = opened(context)
    link.take(LONG_READ)
    for _ in range(5):
        link.pause_reading()
        link.resume_reading()
    assert len(context.soon) == 1


def test_who_pauses_in_the_last_slice_stays_paused(context: Context) -> None:
    def pause_at_the_end(link: FakeLink, payload: Any) -> None:
        if payload == NUMBERS[-1]:
            link.pause_reading()

    context.on_message = pause_at_the_end
    link = opened(context)
    link.take(LONG_READ)
    turns(context)
    assert not link.reading
    link.resume_reading()
    assert link.reading


def test_frames_behind_the_handshake_are_sliced_too(context: Context) -> None:
    context.on_request = decide_later
    link = connected(context)
    link.take(UPGRADE + LONG_READ)
    link.input_ended()
    assert context.heard == []
    accept(link, link.request)
    assert len(context.heard) <= SLICE_BYTES // 7
    turns(context)
    assert context.heard == NUMBERS
    assert link.calls == ["close"]


def test_what_is_left_is_dropped_with_the_stream(context: Context) -> None:
    link = opened(context)
    link.take(LONG_READ)
    heard = len(context.heard)
    link.stream_lost()
    turns(context)
    assert len(context.heard) == heard
    assert context.closed == [(1006, "")]


def test_a_stream_that_is_lost_in_a_slice_takes_nothing_more(context: Context) -> None:
    def lose(link: FakeLink, payload: Any) -> None:
        if payload == "5000":
            link.stream_lost()

    context.on_message = lose
    link = opened(context)
    link.take(LONG_READ)
    turns(context)
    assert context.heard[-1] == "5000"
    assert not link.reading


def test_after_a_failure_the_rest_is_dropped_and_reading_goes_on(context: Context) -> None:
    link = opened(context)
    link.take(frame(TEXT, b"unmasked", mask=None) + LONG_READ)
    assert link.calls == ["eof"]
    turns(context)
    assert context.heard == []
    assert link.reading  # only who reads sees that the peer is gone
    link.take(LONG_READ)
    assert context.soon == []


def test_34_a_fault_above_in_a_later_slice_costs_one_connection(
    context: Context, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_link: FakeLink, payload: Any) -> None:
        if payload == "5000":
            raise RuntimeError("ours")

    context.on_message = fail
    link = opened(context)
    link.take(LONG_READ)
    turns(context)
    assert link.calls[-1] == "abort"
    assert "the connection from 192.0.2.7 failed" in caplog.text
