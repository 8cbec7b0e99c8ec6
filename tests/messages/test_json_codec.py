"""JSON: what is decoded, what is refused and where, what is encoded."""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import sys
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from wsframe.errors import InvalidMessage
from wsframe.messages import Message, codec_for, json_codec

DEEPEST = '{"type":"a","content":' + "[" * 99 + "]" * 99 + "}"


def refused(payload: str | bytes) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        json_codec.decode(payload)
    return caught.value


def test_json_is_spoken_unless_messagepack_was_negotiated() -> None:
    assert codec_for("wsframe.v1.json") is json_codec
    assert codec_for(None) is json_codec
    assert not json_codec.binary


def test_every_field_is_decoded_by_its_name_on_the_wire() -> None:
    text = (
        '{"id":"1","type":"text","content":{"a":[1,2.5,null,true,"x"]},"sessionId":"s",'
        '"timestamp":"2026-01-31T10:00:00.000Z","replyTo":"0","final":false,"transient":true,'
        '"ack":7}'
    )
    assert json_codec.decode(text) == Message(
        id="1",
        type="text",
        content={"a": [1, 2.5, None, True, "x"]},
        session_id="s",
        timestamp="2026-01-31T10:00:00.000Z",
        reply_to="0",
        final=False,
        transient=True,
        ack=7,
    )


def test_bytes_are_decoded_like_text() -> None:
    assert json_codec.decode('{"type":"ä"}'.encode()).type == "ä"


@pytest.mark.parametrize("spaced", ['{"type":"a"}', ' {\n"type" :\t"a"\r} '])
def test_content_is_an_empty_map_where_it_is_absent(spaced: str) -> None:
    assert json_codec.decode(spaced).content == {}


@pytest.mark.parametrize(
    "content", ["{}", "[]", "null", "0", '""', "false", '{"a":{}}', "-1.5e300"]
)
def test_content_may_be_any_value(content: str) -> None:
    assert json_codec.decode(f'{{"type":"a","content":{content}}}').content == json.loads(content)


@pytest.mark.parametrize(
    "extra", ['"x":1', '"x":{"content":{}}', '"x":1e999', '"x":null', '"x":' + "9" * 6_000]
)
def test_unknown_fields_are_ignored_whatever_is_in_them(extra: str) -> None:
    for text in (f'{{"type":"a",{extra}}}', f'{{{extra},"type":"a","content":{{}}}}'):
        assert json_codec.decode(text) == Message(type="a")


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("", "$"),
        ("{", "$"),
        ('{"type":"a"', "$"),
        ('{"type":"a"}{', "$"),
        ('{"type":"a",}', "$"),
        ("\ufeff{}", "$"),
        ('{"type":"a","content":NaN}', "$"),
        ('{"type":"a","content":Infinity}', "$"),
        ('{"type":"a","content":01}', "$"),
        ('{"type":"a","content":"\t"}', "$"),
        ('{"type":"a","content":"\\ud800"}', "$"),
        ('{"type":"a","x":"\\ud800"}', "$"),
        ('{"type":"a","content":"\ud800"}', "$"),
        ('{"type":"a","content":1e999}', "$.content"),
        ('{"type":"a","content":{"n":' + "9" * 5_000 + "}}", "$.content[...]"),
        ('{"type":"a","content":[0,{"n":18446744073709551616}]}', "$.content[1].n"),
        ('{"type":"a","content":{"n":18446744073709551616}}', "$.content.n"),
        ('{"type":"a","content":{"n":-9223372036854775809}}', "$.content.n"),
        ('{"type":"a","content":-9223372036854775809}', "$.content"),
    ],
)
def test_what_cannot_be_decoded_is_invalid_json_at_a_path(text: str, path: str) -> None:
    error = refused(text)
    assert error.code == "invalid_json"
    assert [detail["path"] for detail in error.details] == [path]


def test_bad_utf8_is_invalid_json() -> None:
    error = refused(b'{"type":"\xff"}')
    assert error.code == "invalid_json"
    assert error.details == [
        {"path": "$", "message": "Not valid UTF-8: invalid start byte (byte 9)"}
    ]


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 0])
def test_integers_of_64_bits_are_decoded(number: int) -> None:
    assert json_codec.decode(f'{{"type":"a","content":{number}}}').content == number


@pytest.mark.parametrize(
    ("text", "path", "message_id"),
    [
        ("[]", "$", None),
        ("null", "$", None),
        ('"type"', "$", None),
        ("1", "$", None),
        ("{}", "$", None),
        ('{"id":"7"}', "$", "7"),
        ('{"id":"7","type":3}', "$.type", "7"),
        ('{"type":null,"id":"7"}', "$.type", "7"),
        ('{"id":7,"type":"a"}', "$.id", None),
        ('{"id":"","type":"a"}', "$.id", None),
        ('{"id":null,"type":"a"}', "$.id", None),
        ('{"id":"7","type":"a","ack":-1}', "$.ack", "7"),
        ('{"id":"7","type":"a","ack":1.0}', "$.ack", "7"),
        ('{"id":"7","type":"a","ack":true}', "$.ack", "7"),
        ('{"id":"7","type":"a","ack":9223372036854775808}', "$.ack", "7"),
        ('{"id":"7","type":"a","ack":null}', "$.ack", "7"),
        ('{"id":"7","type":"a","final":"true"}', "$.final", "7"),
        ('{"id":"7","type":"a","transient":1}', "$.transient", "7"),
        ('{"id":"7","type":"a","replyTo":1}', "$.replyTo", "7"),
        ('{"id":"7","type":"a","sessionId":{}}', "$.sessionId", "7"),
        ('{"id":"7","type":"a","timestamp":0}', "$.timestamp", "7"),
        ('{"id":"7","type":"a","timestamp":null,"content":{}}', "$.timestamp", "7"),
    ],
)
def test_what_is_no_envelope_is_refused_with_path_and_id(
    text: str, path: str, message_id: str | None
) -> None:
    error = refused(text)
    assert error.code == "invalid_envelope"
    assert [detail["path"] for detail in error.details] == [path]
    assert error.message_id == message_id


def test_broken_json_counts_for_more_than_a_wrong_field_before_it() -> None:
    assert refused('{"type":3,').code == "invalid_json"
    assert refused('{"type":3,"content":' + "[" * 100_000).code == "invalid_json"


def test_an_id_has_at_most_128_characters() -> None:
    assert json_codec.decode(f'{{"id":"{"ä" * 128}","type":"a"}}').id == "ä" * 128
    error = refused(f'{{"id":"{"ä" * 129}","type":"a"}}')
    assert error.details[0]["path"] == "$.id"
    assert error.message_id is None


def test_a_hundred_levels_are_decoded_and_one_more_is_refused() -> None:
    assert json_codec.decode(DEEPEST).type == "a"
    for text in (
        DEEPEST.replace("[]", "[[]]"),
        DEEPEST.replace("[]", "[{}]"),
        DEEPEST.replace("[]", "[[]]").replace("content", "unknown"),
    ):
        error = refused(text.replace("{", '{"id":"7",', 1))
        assert error.code == "invalid_json"
        assert "nested deeper than 100 levels" in error.details[0]["message"]
        assert error.message_id == "7"


def test_brackets_in_strings_are_not_levels() -> None:
    text = json.dumps({"type": "a", "content": {"text": "[{" * 1_000}})
    assert json_codec.decode(text).content == {"text": "[{" * 1_000}


def test_the_details_stay_small_whatever_is_sent() -> None:
    key = "k" * 100_000
    for text in (
        json.dumps({"type": "a", "content": {key: {key: [2**64]}}}),
        f'{{"type":"a","content":{{"{key}":1,"{key}":2}}}}',
    ):
        error = refused(text)
        assert len(json.dumps(error.content())) < 1_000


def test_the_place_of_an_error_in_a_huge_message_is_not_looked_for_forever() -> None:
    content = [[1]] * 20_000 + [2**64]
    error = refused(json.dumps({"type": "a", "id": "7", "content": content}))
    assert (error.code, error.details[0]["path"]) == ("invalid_json", "$.content")
    text = json.dumps({"type": "a", "content": [[1]] * 20_000}).replace("]]}", '],{"k":1,"k":2}]}')
    error = refused(text)
    assert error.details == [{"path": "$", "message": "Key `k` stands more than once"}]


def test_on_an_almost_exhausted_stack_no_recursion_error_escapes() -> None:
    text = '{"type":"a","content":' + "[" * 90 + "]" * 90 + "}"

    def decode_below(frames: int) -> str:
        if frames:
            return decode_below(frames - 1)
        try:
            return json_codec.decode(text).type
        except InvalidMessage as error:
            return error.code

    left = sys.getrecursionlimit() - len(inspect.stack(0))
    # From Python 3.12 on, it depends on the build whether C code has a stack limit of its own.
    allowed = {"invalid_json"} if sys.version_info < (3, 12) else {"invalid_json", "a"}
    assert decode_below(left - 60) in allowed
    assert decode_below(0) == "a"


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Quotient(msgspec.Struct):
    result: float


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        ({"a": None, "b": (1, 2)}, {"a": None, "b": [1, 2]}),
        (Quotient(2.5), {"result": 2.5}),
        (Point(1, 2), {"x": 1, "y": 2}),
        ([Colour.RED, Decimal("1.50"), {3}], ["red", "1.50", [3]]),
        ({1: "a", 2.5: "b"}, {"1": "a", "2.5": "b"}),
        (datetime(2026, 1, 31, tzinfo=UTC), "2026-01-31T00:00:00Z"),
        (b"ab", "YWI="),
        ([float("nan"), float("inf")], [None, None]),
        ('\u2028\x00\x1f"\\', '\u2028\x00\x1f"\\'),
    ],
)
def test_content_is_encoded_as_what_json_has(content: Any, wire: Any) -> None:
    payload = json_codec.encode(Message(type="a", content=content))
    assert json.loads(payload) == {"type": "a", "content": wire}


def test_fields_that_are_none_are_absent_and_content_is_always_there() -> None:
    assert json_codec.encode(Message(type="ack", reply_to="1", final=True)) == (
        b'{"type":"ack","content":{},"replyTo":"1","final":true}'
    )


@pytest.mark.parametrize("content", [object(), [object()], {("a", 1): 2}, {None: 1}, print])
def test_an_object_without_a_form_on_the_wire_is_a_type_error(content: Any) -> None:
    with pytest.raises(TypeError):
        json_codec.encode(Message(type="a", content=content))


@pytest.mark.parametrize("content", ["\ud800", {"\udfff": 1}, ["ok", "\ud83d"]])
def test_a_lone_surrogate_is_a_value_error(content: Any) -> None:
    with pytest.raises(ValueError, match="surrogates"):
        json_codec.encode(Message(type="a", content=content))


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**400])
def test_an_integer_over_64_bits_is_a_value_error(number: int) -> None:
    with pytest.raises(ValueError, match="ints"):
        json_codec.encode(Message(type="a", content={"n": number}))


def test_what_is_nested_deeper_than_a_hundred_levels_is_a_value_error() -> None:
    deepest = json_codec.decode(DEEPEST)
    assert json_codec.decode(json_codec.encode(deepest)) == deepest
    endless: list[Any] = []
    endless.append(endless)
    for content in ([deepest.content], (deepest.content,), endless):
        with pytest.raises(ValueError, match="100 levels"):
            json_codec.encode(Message(type="a", content=content))
