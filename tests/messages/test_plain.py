"""Which values are plain, and where one is not."""

from __future__ import annotations

from typing import Any

import pytest

from wsframe.messages.plain import MAX_SEARCHED, find_problem, is_deeper, is_plain, step, walk

PLAIN = [None, True, 0, 1.5, "a", b"a", [], {}, [[1], {"a": (2, None)}], {"a": {"b": {}}}]
NOT_PLAIN = [
    (Ellipsis, "$"),
    ({1, 2}, "$"),
    ([0, float("nan")], "$[1]"),
    ({"a": [{"b": float("-inf")}]}, "$.a[0].b"),
    ({"a": {1: 2}}, "$.a"),
    ([[[[]]]], "$[0][0][0]"),
    ({"a": {"b": {"c": {}}}}, "$.a.b.c"),
]


@pytest.mark.parametrize("value", PLAIN, ids=str)
def test_a_plain_value_within_its_levels_is_plain(value: Any) -> None:
    assert is_plain(value, 3)
    assert not is_deeper(value, 3)


@pytest.mark.parametrize(("value", "path"), NOT_PLAIN, ids=str)
def test_any_other_value_is_not_and_its_place_is_found(value: Any, path: str) -> None:
    assert not is_plain(value, 3)
    assert find_problem(value, 3)[0] == path


def test_depth_is_told_from_other_problems() -> None:
    assert is_deeper([[[[]]]], 3)
    assert is_deeper({"a": ({"b": []},)}, 3)
    assert not is_deeper({"a": [float("nan"), object()]}, 3)


def test_a_walk_visits_every_value_in_order_with_path_and_depth() -> None:
    assert list(walk({"a": [1, {"b": 2}], "c": None})) == [
        ("$", {"a": [1, {"b": 2}], "c": None}, 0),
        ("$.a", [1, {"b": 2}], 1),
        ("$.a[0]", 1, 2),
        ("$.a[1]", {"b": 2}, 2),
        ("$.a[1].b", 2, 3),
        ("$.c", None, 1),
    ]


def test_a_walk_ends_after_ten_thousand_values() -> None:
    assert sum(1 for _ in walk([0] * 20_000)) == MAX_SEARCHED


def test_a_path_does_not_grow_with_the_keys_in_it() -> None:
    path = "$"
    for _ in range(100):
        path = step(path, "." + "k" * 1_000_000)
    assert len(path) <= 401
