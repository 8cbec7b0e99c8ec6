"""Decisions about endings, and growing random pauses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsframe.client.reconnect import (
    MAX_TOLD_S,
    Backoff,
    Verdict,
    final_error,
    judge,
    seconds,
)
from wsframe.errors import ConnectionClosed, ProtocolError, RequestError, RequestRefused

CHANCE = st.floats(0, 1, exclude_max=True)


@given(st.floats(0, 10), st.floats(10, 100), st.lists(CHANCE, min_size=1, max_size=30))
def test_a_pause_is_within_a_limit_that_doubles_up_to_the_cap(
    base_s: float, cap_s: float, chances: list[float]
) -> None:
    drawn = iter(chances)
    backoff = Backoff(base_s, cap_s, lambda: next(drawn))
    for number, chance in enumerate(chances):
        delay = backoff.delay()
        assert delay == pytest.approx(chance * min(base_s * 2**number, cap_s))
        assert 0 <= delay <= cap_s


def test_what_was_asked_for_is_kept_and_a_pause_comes_on_top() -> None:
    backoff = Backoff(1, 8, lambda: 0.5)
    assert [backoff.delay(10), backoff.delay(0), backoff.delay()] == [10.5, 1, 2]
    backoff.reset()
    assert backoff.delay() == 0.5


def test_a_late_pause_is_in_the_upper_half() -> None:
    for chance in (0.0, 0.999):
        backoff = Backoff(1, 8, lambda chance=chance: chance)
        assert 4 <= backoff.late_delay() < 8


@pytest.mark.parametrize(("base_s", "cap_s"), [(-1, 1), (2, 1)])
def test_limits_that_make_no_sense_are_refused(base_s: float, cap_s: float) -> None:
    with pytest.raises(ValueError, match="back-off"):
        Backoff(base_s, cap_s, lambda: 0)


@given(st.one_of(st.none(), st.integers(), st.floats(allow_nan=False)))
def test_no_server_keeps_a_client_away_for_ever(milliseconds: float | None) -> None:
    told = seconds(milliseconds)
    assert told is None if milliseconds is None else 0 <= told <= MAX_TOLD_S  # type: ignore[operator]


def test_retry_after_has_a_limit_too() -> None:
    refused = RequestRefused(503, "x", "x", headers=[("retry-after", "999999999")])
    assert judge(refused).after_s == MAX_TOLD_S
    assert judge(RequestRefused(503, "x", "x", headers=[("retry-after", "soon")])).after_s is None


@given(st.one_of(st.none(), st.integers(1000, 4999)))
def test_every_close_code_has_a_verdict_and_what_is_final_a_hint(code: int | None) -> None:
    ending = ConnectionClosed(code, "because")
    verdict, hint, _ = judge(ending)
    if verdict in {Verdict.GIVE_UP, Verdict.NEW_TOKEN}:
        error = final_error(ending, hint)
        assert hint
        assert (error.close_code, str(code) in str(error)) == (code, True)


@given(st.integers(200, 599))
def test_every_status_has_a_verdict_and_what_is_final_a_hint(status: int) -> None:
    ending = RequestRefused(status, f"http_{status}", "no")
    verdict, hint, _ = judge(ending)
    if verdict in {Verdict.GIVE_UP, Verdict.NEW_TOKEN}:
        assert hint
        assert final_error(ending, hint).status == status
    else:
        assert status >= 500 or status in {408, 425, 429}


def test_a_broken_network_and_a_broken_protocol_are_worth_another_try() -> None:
    for ending in (OSError("no route"), ProtocolError(1002, "nonsense")):
        assert judge(ending).verdict is Verdict.RETRY
        assert "no" in str(final_error(ending, "hint"))


def test_an_error_in_answer_to_init_is_judged_by_its_code() -> None:
    def verdict(code: str, *, retryable: bool = False) -> Verdict:
        return judge(RequestError(code, "x", retryable=retryable)).verdict

    assert verdict("unauthenticated") is Verdict.NEW_TOKEN
    assert verdict("forbidden") is Verdict.GIVE_UP
    assert verdict("shop.closed") is Verdict.GIVE_UP
    assert verdict("draining", retryable=True) is Verdict.RETRY


def test_what_a_server_says_cannot_break_a_log() -> None:
    ending = ConnectionClosed(4403, "a\nERROR forged\x1b[31m")
    assert "\n" not in str(final_error(ending, "hint"))
    error = RequestError("x.y", "\r\n" * 10_000)
    assert len(str(final_error(error, "hint"))) < 300
