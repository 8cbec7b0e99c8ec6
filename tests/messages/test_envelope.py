"""What a message is."""

from __future__ import annotations

from typing import Any

import pytest

from wsframe.errors import InvalidMessage
from wsframe.messages import Message, Reply, check_type


@pytest.mark.parametrize("name", ["a", "text", "Chat.Message_v2:new-1", "x" * 64, "room:joined"])
def test_a_type_is_a_letter_and_up_to_63_more_characters(name: str) -> None:
    check_type(name)


@pytest.mark.parametrize(
    "name",
    ["", "1a", "_a", ".a", "a b", "a/b", "a*", "a\n", "text\x00", "ä", "aä", "x" * 65, "a\r\nb"],
)
def test_any_other_type_is_no_envelope_and_its_path_is_named(name: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        check_type(name)
    assert caught.value.code == "invalid_envelope"
    assert caught.value.details[0]["path"] == "$.type"


def test_a_new_message_has_empty_content_of_its_own() -> None:
    first, second = Message[Any](type="a"), Message[Any](type="a")
    first.content["x"] = 1
    assert second.content == {}


def test_messages_with_equal_fields_are_equal() -> None:
    assert Message(type="a", content={"b": 1}) == Message(type="a", content={"b": 1})
    assert Message(type="a", id="1") != Message(type="a", id="2")


def test_a_reply_keeps_the_type_of_the_handler_unless_it_names_one() -> None:
    assert Reply({"a": 1}).type is None
    assert Reply({"a": 1}, type="quotient").type == "quotient"
