"""MessagePack: what is decoded, what is refused and where, what is encoded."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from wsframe.errors import InvalidMessage
from wsframe.messages import Message, codec_for, msgpack_codec

pack = msgspec.msgpack.encode
Ext = msgspec.msgpack.Ext
SOME_DAY = datetime(2026, 1, 31, tzinfo=UTC)


def nested(levels: int) -> Any:
    value: Any = []
    for _ in range(levels - 1):
        value = [value]
    return value


def nested_maps(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels - 1):
        value = {"k": value}
    return value


def refused(payload: str | bytes) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        msgpack_codec.decode(payload)
    return caught.value


def test_messagepack_is_spoken_in_binary_frames_where_it_was_negotiated() -> None:
    assert codec_for("wsframe.v1.msgpack") is msgpack_codec
    assert msgpack_codec.binary


def test_every_field_is_decoded_by_its_name_on_the_wire() -> None:
    fields = {
        "id": "1",
        "type": "text",
        "content": {"a": [1, 2.5, None, True, "x", b"y"]},
        "sessionId": "s",
        "timestamp": "2026-01-31T10:00:00.000Z",
        "replyTo": "0",
        "final": False,
        "transient": True,
        "ack": 7,
    }
    assert msgpack_codec.decode(pack(fields)) == Message(
        id="1",
        type="text",
        content=fields["content"],
        session_id="s",
        timestamp="2026-01-31T10:00:00.000Z",
        reply_to="0",
        final=False,
        transient=True,
        ack=7,
    )


@pytest.mark.parametrize("content", [{}, [], None, 0, "", b"", False, {"a": {}}, 1.5, 2**64 - 1])
def test_content_may_be_any_value(content: Any) -> None:
    assert msgpack_codec.decode(pack({"type": "a", "content": content})).content == content


def test_content_is_an_empty_map_where_it_is_absent() -> None:
    assert msgpack_codec.decode(pack({"type": "a"})) == Message(type="a")


@pytest.mark.parametrize(
    "payload",
    [
        b"\x82\xa4type\xa1a\xa7content\xca\x3f\xc0\x00\x00",  # a 32-bit float
        b"\xde\x00\x02\xa4type\xa1a\xa7content\xcb\x3f\xf8\x00\x00\x00\x00\x00\x00",
        b"\xdf\x00\x00\x00\x02\xd9\x04type\xda\x00\x01a\xdb\x00\x00\x00\x07content\xca\x3f\xc0\x00\x00",
    ],
)
def test_forms_that_are_longer_or_less_exact_than_need_be_are_decoded(payload: bytes) -> None:
    assert msgpack_codec.decode(payload) == Message(type="a", content=1.5)


@pytest.mark.parametrize(
    "extra",
    [
        1,
        None,
        {"content": {}},
        [{"a": [{"b": {}}]}],
        Ext(5, b"x"),
        datetime(2026, 1, 31, tzinfo=UTC),
    ],
)
def test_unknown_fields_are_ignored(extra: Any) -> None:
    assert msgpack_codec.decode(pack({"x": extra, "type": "a"})) == Message(type="a")
    assert msgpack_codec.decode(pack({"type": "a", "content": {}, "x": extra})) == Message(type="a")


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        (b"", "$"),
        (b"\xc1", "$"),
        (b"\x81\xa4type", "$"),
        (b"\x81\xa4type\xa1a\x00", "$"),
        (b"\x81\xa4type\xa1\xff", "$"),
        ("\ud800", "$"),
        (pack({"type": "a", "content": {1: 2}}), "$.content"),
        (pack({"type": "a", "content": {"x": [{None: 2}]}}), "$.content.x[0]"),
        (pack({"type": "a", "content": {"x": Ext(1, b"")}}), "$.content.x"),
        (pack({"type": "a", "content": [0, SOME_DAY]}), "$.content[1]"),
        (pack({"type": "a", "content": [0, float("nan")]}), "$.content[1]"),
        (pack({"type": "a", "content": {"x": float("inf")}}), "$.content.x"),
        (pack({"type": "a", "x": {"y": [{1: 1}]}}), "$.x.y[0]"),
        (pack({"type": "a", "x": {"y": 1}}).replace(b"\xa1y", b"\xa1\xff"), "$"),
    ],
)
def test_what_cannot_be_decoded_is_invalid_msgpack_at_a_path(
    payload: str | bytes, path: str
) -> None:
    error = refused(payload)
    assert error.code == "invalid_msgpack"
    assert [detail["path"] for detail in error.details] == [path]


@pytest.mark.parametrize(
    ("value", "path", "message_id"),
    [
        ([], "$", None),
        (None, "$", None),
        ("text", "$", None),
        ({}, "$", None),
        ({1: 2, "type": "a"}, "$", None),
        ({"id": "7", "type": 3}, "$.type", "7"),
        ({"id": b"7", "type": "a"}, "$.id", None),
        ({"id": None, "type": "a", "content": {}}, "$.id", None),
        ({"id": "7", "type": "a", "ack": -1}, "$.ack", "7"),
        ({"id": "7", "type": "a", "ack": 2**63}, "$.ack", "7"),
        ({"id": "7", "type": "a", "final": None}, "$.final", "7"),
    ],
)
def test_what_is_no_envelope_is_refused_with_path_and_id(
    value: Any, path: str, message_id: str | None
) -> None:
    error = refused(pack(value))
    assert error.code == "invalid_envelope"
    assert [detail["path"] for detail in error.details] == [path]
    assert error.message_id == message_id


def test_a_list_as_a_name_of_a_field_is_no_envelope() -> None:
    assert refused(b"\x82\xa4type\xa1a\x91\x01\x01").code == "invalid_envelope"


def test_broken_data_counts_for_more_than_a_wrong_field_before_it() -> None:
    assert refused(b"\x82\xa4type\x03\xa1x").code == "invalid_msgpack"
    assert refused(b"\x82\xa4type\x03\xa1x" + b"\x91" * 100_000 + b"\x00").code == "invalid_msgpack"


def test_a_hundred_levels_are_decoded_and_one_more_is_refused() -> None:
    assert msgpack_codec.decode(pack({"type": "a", "content": nested(99)})).type == "a"
    assert msgpack_codec.decode(pack({"type": "a", "x": nested(99)})).type == "a"
    for name in ("content", "x"):
        for below in (nested(100), {"a": nested(99)}, nested_maps(100)):
            error = refused(pack({"type": "a", "id": "7", name: below}))
            assert error.code == "invalid_msgpack"
            assert "nested deeper than 100 levels" in error.details[0]["message"]
            assert error.message_id == "7"


def test_depth_far_beyond_the_limit_is_refused_too() -> None:
    error = refused(b"\x82\xa4type\xa1a\xa7content" + b"\x91" * 100_000 + b"\x00")
    assert error.code == "invalid_msgpack"
    assert "nested deeper than 100 levels" in error.details[0]["message"]


class Quotient(msgspec.Struct):
    result: float


@pytest.mark.parametrize(
    ("content", "wire"),
    [
        ({"a": None, "b": (1, b"x", 2.5)}, {"a": None, "b": [1, b"x", 2.5]}),
        (Quotient(2.5), {"result": 2.5}),
        ({1: "a", 2.5: "b"}, {"1": "a", "2.5": "b"}),
        ([datetime(2026, 1, 31, tzinfo=UTC), b"ab"], ["2026-01-31T00:00:00Z", b"ab"]),
        ({"a": (float("nan"), {"b": [float("-inf")]})}, {"a": [None, {"b": [None]}]}),
        ({3}, [3]),
    ],
)
def test_content_is_encoded_as_in_json_except_bytes(content: Any, wire: Any) -> None:
    payload = msgpack_codec.encode(Message(type="a", content=content))
    assert msgspec.msgpack.decode(payload) == {"type": "a", "content": wire}


def test_encoding_leaves_the_message_as_it_was() -> None:
    content = {"at": datetime(2026, 1, 31, tzinfo=UTC), "n": float("inf")}
    message = Message(type="a", content=content)
    msgpack_codec.encode(message)
    assert message.content is content
    assert content["n"] == float("inf")


@pytest.mark.parametrize(
    "content", [object(), [object()], {("a", 1): 2}, {None: 1}, Ext(1, b"x"), {"a": [Ext(1, b"")]}]
)
def test_an_object_without_a_form_on_the_wire_is_a_type_error(content: Any) -> None:
    with pytest.raises(TypeError):
        msgpack_codec.encode(Message(type="a", content=content))


@pytest.mark.parametrize("content", ["\ud800", {"\udfff": 1}, ["ok", "\ud83d"]])
def test_a_lone_surrogate_is_a_value_error(content: Any) -> None:
    with pytest.raises(ValueError, match="surrogates"):
        msgpack_codec.encode(Message(type="a", content=content))


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**400])
def test_an_integer_over_64_bits_is_a_value_error(number: int) -> None:
    with pytest.raises(ValueError, match="ints"):
        msgpack_codec.encode(Message(type="a", content={"n": number}))


def test_what_is_nested_deeper_than_a_hundred_levels_is_a_value_error() -> None:
    deepest = Message(type="a", content=nested(99))
    assert msgpack_codec.decode(msgpack_codec.encode(deepest)) == deepest
    endless: list[Any] = []
    endless.append(endless)
    for content in (nested(100), {"a": (nested(98),)}, endless):
        with pytest.raises(ValueError, match="100 levels"):
            msgpack_codec.encode(Message(type="a", content=content))
