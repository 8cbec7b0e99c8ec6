"""Timestamps and message ids."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsframe.messages import MessageIds, Timestamps


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (0.001, "1970-01-01T00:00:00.001Z"),
        (0.999, "1970-01-01T00:00:00.999Z"),
        (1, "1970-01-01T00:00:01.000Z"),
        (59.999, "1970-01-01T00:00:59.999Z"),
        (60, "1970-01-01T00:01:00.000Z"),
        (86_399.999, "1970-01-01T23:59:59.999Z"),
        (86_400, "1970-01-02T00:00:00.000Z"),
        (951_782_400, "2000-02-29T00:00:00.000Z"),
        (951_868_799.999, "2000-02-29T23:59:59.999Z"),
        (951_868_800, "2000-03-01T00:00:00.000Z"),
        (1_483_228_799.999, "2016-12-31T23:59:59.999Z"),  # a leap second followed: POSIX has none
        (1_483_228_800, "2017-01-01T00:00:00.000Z"),
        (1_769_853_600.123, "2026-01-31T10:00:00.123Z"),
        (4_107_542_399.999, "2100-02-28T23:59:59.999Z"),  # 2100 is no leap year
        (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        (-0.001, "1969-12-31T23:59:59.999Z"),
        (-86_400, "1969-12-31T00:00:00.000Z"),
        (-62_135_596_800, "0001-01-01T00:00:00.000Z"),
        (253_402_300_799.999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_stamp_is_right_on_both_sides_of_every_boundary(seconds: float, text: str) -> None:
    assert Timestamps().stamp(seconds) == text


def test_the_same_clock_is_right_when_time_goes_on_and_when_it_jumps_back() -> None:
    clock = Timestamps()
    times = [0.0, 0.0, 0.5, 0.999, 1.0, 59.9, 60.0, 3600.0, 59.9, -5.0, 86_400.0, 0.0]
    assert [clock.stamp(time) for time in times] == [Timestamps().stamp(time) for time in times]


def test_within_one_millisecond_the_very_same_string_is_given() -> None:
    clock = Timestamps()
    assert clock.stamp(1_769_853_600.5001) is clock.stamp(1_769_853_600.5008)
    assert clock.stamp(1_769_853_600.5001) is not clock.stamp(1_769_853_600.5011)


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_every_millisecond_of_ten_thousand_years_survives_the_way_through_a_float(ms: int) -> None:
    stamp = Timestamps().stamp(ms / 1000)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", stamp)
    moment = datetime.fromisoformat(stamp)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    # Beyond the year 2242 a float is coarser than the microsecond that is allowed for.
    assert since // timedelta(milliseconds=1) == ms or abs(ms) > 2**33 * 1000


@pytest.mark.parametrize("seconds", [-62_135_596_801, 253_402_300_800, 1e18])
def test_a_time_outside_the_years_1_to_9999_is_an_overflow(seconds: float) -> None:
    with pytest.raises(OverflowError):
        Timestamps().stamp(seconds)


def test_ids_count_up_behind_their_prefix() -> None:
    ids = MessageIds("k3q9")
    assert [ids.next() for _ in range(3)] == ["k3q9-1", "k3q9-2", "k3q9-3"]


def test_ids_stay_unique_beyond_six_digits() -> None:
    ids = MessageIds("n")
    made = {ids.next() for _ in range(1_000_001)}
    assert len(made) == 1_000_001
    assert "n-1000001" in made


@pytest.mark.parametrize("prefix", ["", "p" * 101])
def test_a_prefix_that_would_break_the_limit_of_an_id_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="1-100 characters"):
        MessageIds(prefix)
