"""Threats 38 and 40, as far as the envelope goes: hostile ids and type names."""

from __future__ import annotations

import pytest

from wsframe.errors import InvalidMessage
from wsframe.messages import Codec, Message, check_type, json_codec, msgpack_codec

CODECS = pytest.mark.parametrize("codec", [json_codec, msgpack_codec], ids=["json", "msgpack"])


@CODECS
@pytest.mark.parametrize("characters", [129, 1_000_000])
def test_38_an_id_that_is_too_long_is_refused_and_not_repeated_in_the_answer(
    codec: Codec, characters: int
) -> None:
    hostile = Message(type="a", id="i" * characters)
    with pytest.raises(InvalidMessage) as caught:
        codec.decode(codec.encode(hostile))
    error = caught.value
    assert error.code == "invalid_envelope"
    assert error.details[0]["path"] == "$.id"
    assert error.message_id is None
    assert len(codec.encode(Message(type="error", content=error.content()))) < 500


@CODECS
@pytest.mark.parametrize("id_", ["\x00", "\r\n", "\x1b[31m", "*", "'; --", "\u202e", "💥" * 128])
def test_38_an_id_of_odd_characters_is_carried_unchanged(codec: Codec, id_: str) -> None:
    # An id is only ever compared; what prints it has to escape it.
    assert codec.decode(codec.encode(Message(type="a", id=id_))).id == id_


HOSTILE_NAMES = [
    "*",
    "[",
    "[a-z]*",
    "a*",
    "a?",
    "a\r\nb",
    "a\n",
    "a\x00b",
    "\x00",
    "../a",
    "a/b",
    "a b",
    "x" * 65,
    "x" * 10_240,
    "",
    "\N{FULLWIDTH LATIN SMALL LETTER A}",
    "\N{CYRILLIC SMALL LETTER A}",
    "a\u200b",
    "\x1b[2J",
]


@CODECS
@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=ascii)
def test_40_a_hostile_type_name_is_an_error_of_bounded_size(codec: Codec, name: str) -> None:
    # It is decoded, so that the dispatcher can look the type up first; it is in no table.
    message = codec.decode(codec.encode(Message(type=name)))
    with pytest.raises(InvalidMessage) as caught:
        check_type(message.type)
    error = caught.value
    assert error.code == "invalid_envelope"
    assert error.details[0]["path"] == "$.type"
    assert len(codec.encode(Message(type="error", content=error.content()))) < 500


@pytest.mark.parametrize("escape", ['"\\ud800"', '"a\\udfff"'])
def test_40_a_lone_surrogate_in_a_type_name_is_refused(escape: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        json_codec.decode(f'{{"type":{escape}}}')
    assert caught.value.code == "invalid_json"
