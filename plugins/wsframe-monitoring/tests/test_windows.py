"""What a number was within the last so many seconds."""

from __future__ import annotations

from wsframe_monitoring.windows import Greatest, Mean, Ratio


def test_a_ratio_is_that_of_what_both_counts_have_grown_by() -> None:
    ratio = Ratio(60, 1)
    assert ratio.add(0, 5, 10) == 0.0
    assert ratio.add(10, 6, 20) == 0.1
    assert ratio.add(20, 16, 30) == 0.55


def test_a_ratio_forgets_what_was_before_its_window() -> None:
    ratio = Ratio(60, 1)
    for now, part in ((0, 0), (30, 100), (60, 100), (90, 100)):
        value = ratio.add(now, part, 10 * now)
    assert value == 0.0


def test_a_ratio_of_few_is_none_at_all() -> None:
    ratio = Ratio(60, 20)
    ratio.add(0, 0, 0)
    assert ratio.add(10, 19, 19) == 0.0
    assert ratio.add(11, 20, 20) == 1.0


def test_a_mean_is_that_of_the_samples_in_its_window() -> None:
    mean = Mean(60)
    assert [mean.add(0, 10), mean.add(30, 20), mean.add(59, 30)] == [10, 15, 20]
    assert mean.add(60, 40) == 30
    assert mean.add(500, 7) == 7


def test_the_greatest_is_that_of_the_samples_in_its_window() -> None:
    greatest = Greatest(60)
    values = [(0, 3), (10, 9), (20, 1), (30, 5), (71, 2), (89, 2), (91, 1)]
    assert [greatest.add(now, value) for now, value in values] == [3, 9, 9, 9, 5, 5, 2]
