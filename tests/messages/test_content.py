"""Typed content."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from wsframe.errors import Refused
from wsframe.messages import Message, convert_content, has_other_keys


class Ask(msgspec.Struct):
    prompt: str
    limit: int = 10


class Upload(msgspec.Struct):
    data: bytes
    at: datetime
    sizes: dict[int, int] = {}


class Positive(msgspec.Struct):
    number: int

    def __post_init__(self) -> None:
        if self.number <= 0:
            raise ValueError("x" * 10_000)


def message(content: Any) -> Message[Any]:
    return Message(type="ask", id="1", content=content)


def test_content_becomes_the_struct_and_the_rest_of_the_message_stays() -> None:
    asked = message({"prompt": "why", "unknown": 1})
    convert_content(asked, Ask)
    assert asked == Message(type="ask", id="1", content=Ask("why"))


def test_content_that_does_not_fit_is_refused_with_its_path_and_left_alone() -> None:
    asked = message({"prompt": 5})
    with pytest.raises(Refused) as caught:
        convert_content(asked, Ask)
    assert caught.value.code == "invalid_content"
    assert caught.value.details == [
        {"path": "$.content.prompt", "message": "Expected `str`, got `int`"}
    ]
    assert asked.content == {"prompt": 5}


@pytest.mark.parametrize(
    ("content", "path"),
    [
        ({}, "$.content"),
        ([], "$.content"),
        (None, "$.content"),
        ({"prompt": "a", "limit": "10"}, "$.content.limit"),
        ({"prompt": "a", "limit": 1.5}, "$.content.limit"),
    ],
)
def test_conversion_is_strict(content: Any, path: str) -> None:
    with pytest.raises(Refused) as caught:
        convert_content(message(content), Ask)
    assert caught.value.details[0]["path"] == path


def test_what_json_has_no_form_for_may_come_as_text() -> None:
    moment = datetime(2026, 1, 31, tzinfo=UTC)
    uploaded = message({"data": "YWI=", "at": "2026-01-31T00:00:00Z", "sizes": {"1": 2}})
    convert_content(uploaded, Upload)
    assert uploaded.content == Upload(b"ab", moment, {1: 2})


def test_bytes_of_messagepack_stay_bytes() -> None:
    uploaded = message({"data": b"ab", "at": "2026-01-31T00:00:00Z"})
    convert_content(uploaded, Upload)
    assert uploaded.content.data == b"ab"


def test_a_wrong_key_of_a_map_is_told_apart_from_a_wrong_value() -> None:
    bad = message({"data": b"", "at": "2026-01-31T00:00:00Z", "sizes": {"one": 1}})
    with pytest.raises(Refused) as caught:
        convert_content(bad, Upload)
    detail = caught.value.details[0]
    assert detail["path"] == "$.content.sizes"
    assert detail["message"].endswith("as a key")


def test_the_details_stay_small_however_long_the_reason_is() -> None:
    with pytest.raises(Refused) as caught:
        convert_content(message({"number": 0}), Positive)
    assert len(caught.value.details[0]["message"]) == 200


class Tree(msgspec.Struct):
    label: str
    attributes: dict[str, Any]
    children: list[Tree] = []


class Grid(msgspec.Struct):
    rows: list[Tree | dict[int, str]]


@pytest.mark.parametrize(
    ("content_type", "answer"),
    [
        (Ask, False),
        (Tree, False),
        (dict, False),
        (dict[str, int], False),
        (Upload, True),
        (Grid, True),
        (dict[datetime, int], True),
        (dict[int | str, int], True),
        (5, True),  # no type at all: msgspec is to say so, once there is a message
    ],
)
def test_maps_whose_keys_are_no_text_are_found_however_deep_they_are(
    content_type: Any, answer: bool
) -> None:
    assert has_other_keys(content_type) is answer


@pytest.mark.parametrize("other_keys", [False, True])
def test_a_map_with_text_keys_is_converted_the_same_in_both_ways(other_keys: bool) -> None:
    tree = message({"label": "a", "attributes": {"1": 2}, "children": []})
    convert_content(tree, Tree, other_keys)
    assert tree.content == Tree("a", {"1": 2})
