"""Equal keys in one map are refused, wherever they are and however they are written."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wsframe.errors import InvalidMessage
from wsframe.messages import Message, duplicates, json_codec, msgpack_codec

# A map is a list of pairs here, so that keys can repeat.
Map = list[tuple[str, Any]]


class Items(list[Any]):
    """A list, told apart from a map."""


def refused_json(text: str) -> InvalidMessage:
    with pytest.raises(InvalidMessage) as caught:
        json_codec.decode(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "path", "key"),
    [
        ('{"type":"a","type":"a"}', "$", "type"),
        ('{"type":"a","type":"b","content":{}}', "$", "type"),
        ('{"type":"a","content":1,"content":2}', "$", "content"),
        ('{"type":"a","content":{},"content":{}}', "$", "content"),
        ('{"type":"a","x":1,"x":2}', "$", "x"),
        ('{"type":"a","content":{"k":1,"k":1}}', "$.content", "k"),
        ('{"type":"a","content":[0,{"a":{"k":[],"k":{}}}]}', "$.content[1].a", "k"),
        ('{"type":"a","content":{"k":1,"\\u006b":2}}', "$.content", "k"),
        ('{"type":"a","content":{"":1,"":2}}', "$.content", ""),
        ('{"type":"a","content":{"t":"\\u003a","t":"::"}}', "$.content", "t"),
        ('{"type":"a","content":{"k":1,"k":2,"t":"\\u003a"}}', "$.content", "k"),
        ('{"type":"a","content":{"k":1,"k":2,"t":"\\u003A"}}', "$.content", "k"),
        ('{"type":"a","unknown":[{"k":1,"k":2}]}', "$.unknown[0]", "k"),
        ('{"type":"a","sessionId":null,"content":{"k":1,"k":2}}', "$.content", "k"),
    ],
)
def test_json_with_equal_keys_is_refused_at_the_map_that_has_them(
    text: str, path: str, key: str
) -> None:
    error = refused_json(text)
    assert error.code == "invalid_json"
    assert error.details == [{"path": path, "message": f"Key `{key}` stands more than once"}]


def test_the_id_is_told_where_the_equal_keys_are_not_at_the_top() -> None:
    assert refused_json('{"id":"7","type":"a","content":{"k":1,"k":2}}').message_id == "7"
    assert refused_json('{"id":"7","id":"8","type":"a"}').message_id is None


@pytest.mark.parametrize(
    "text",
    [
        # Empty content is the one thing that encoding adds: these hide one equal key behind it.
        '{"type":"a","id":"content","id":"x"}',
        '{"id":"\\"content\\":","type":"a","type":"b"}',
        '{"id":"\\\\","type":"a","type":"b"}',
        '{"type":"content","type":"content"}',
    ],
)
def test_an_absent_content_does_not_make_up_for_an_equal_key(text: str) -> None:
    assert refused_json(text).code == "invalid_json"


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"a"}',
        '{"type":"a","content":{}}',
        '{"type":"a","content":{"a":{"k":1},"b":{"k":1}}}',
        '{"type":"a","content":{"url":"http://[::1]:80/","k:":":"}}',
        '{"id":"1","type":"text","content":{"text":"Hi"},"timestamp":"2026-01-31T10:00:00.000Z"}',
        '{"type":"a","content":[0.1,1e5,"\\n\\"",null]}',
        '{ "type" : "a" , "content" : { "k" : 1 } }',
    ],
)
def test_ordinary_json_passes_the_cheap_test(text: str) -> None:
    message = json_codec.decode(text)
    assert duplicates.surely_none_in_json(text, message, json_codec.encode(message))


@pytest.mark.parametrize(
    ("payload", "path"),
    [
        (b"\x82\xa4type\xa1a\xa4type\xa1b", "$"),
        (b"\x82\xa4type\xa1a\xa4type\xa3abc", "$"),  # as long as the absent content: 9 bytes
        (b"\x82\xa4type\xa1a\xd9\x04type\xa1b", "$"),
        (b"\x82\xa4type\xa1a\xa7content\x82\xa1k\x01\xa1k\x02", "$.content"),
        (b"\x82\xa4type\xa1a\xa7content\x83\xa1k\x01\xa1k\x02\xa1f\xca\0\0\0\0", "$.content"),
        (b"\x82\xa4type\xa1a\xa7content\x92\x00\xde\x00\x02\xa1k\x01\xa1k\x02", "$.content[1]"),
        (b"\x82\xa4type\xa1a\xa7content\x81\xa1m\xdf\0\0\0\x02\xa1k\xc0\xa1k\xc0", "$.content.m"),
        (b"\x82\xa4type\xa1a\xa1x\xdc\x00\x01\x82\xa1k\x01\xa1k\x02", "$.x[0]"),
    ],
)
def test_msgpack_with_equal_keys_is_refused_at_the_map_that_has_them(
    payload: bytes, path: str
) -> None:
    with pytest.raises(InvalidMessage) as caught:
        msgpack_codec.decode(payload)
    assert caught.value.code == "invalid_msgpack"
    assert caught.value.details == [{"path": path, "message": "A key stands more than once"}]


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"text": "Hi"},
        [202, 203, 0],
        [202, 0.1, 1 / 3],
        b"\xca" * 9,
        [2**64 - 1, -(2**63), -33, 255, 65_536, 0.5],
        "x" * 300,
        b"",
        0,
    ],
)
def test_ordinary_msgpack_passes_the_cheap_test(content: Any) -> None:
    payload = msgpack_codec.encode(Message(type="a", content=content))
    message = msgpack_codec.decode(payload)
    assert duplicates.surely_none_in_msgpack(payload, message, payload)


# Random messages, most of which repeat keys, against what a plain reading of them says.

_KEYS = st.sampled_from(["k", "l", ":", "content", "id", "\x80", "ç"])
_SCALARS = st.sampled_from(
    [None, True, 0, -1, 300, 1.5, 1e300, "", ":", "a:b", '"content":', "\\", "çcontent\x80"]
)
_VALUES: st.SearchStrategy[Any] = st.recursive(
    _SCALARS,
    lambda below: st.one_of(
        st.lists(below, max_size=3).map(Items), st.lists(st.tuples(_KEYS, below), max_size=3)
    ),
    max_leaves=8,
)
_FIELDS: st.SearchStrategy[Map] = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["id", "type"]), st.sampled_from(["a", "abc", "content", ":"])),
        st.tuples(st.sampled_from(["content", "x", "xx"]), _VALUES),
        st.tuples(st.sampled_from(["replyTo", "timestamp", "final"]), st.none()),
        st.tuples(
            st.sampled_from(["replyTo", "timestamp", "tracestate"]),
            st.sampled_from(["", "10:00:00"]),
        ),
    ),
    max_size=5,
).map(lambda fields: [("type", "a"), *fields])


def expected(fields: Map, undecodable: str) -> str | Message[Any]:
    """What must come of a message: the code of its error, or the message."""
    if repeats(fields):
        return undecodable
    plain = as_python(fields)
    if any(plain.get(name, "") is None for name in ("replyTo", "timestamp", "final")):
        return "invalid_envelope"
    return Message(
        type=plain["type"],
        id=plain.get("id"),
        content=plain.get("content", {}),
        reply_to=plain.get("replyTo"),
        timestamp=plain.get("timestamp"),
        tracestate=plain.get("tracestate"),
    )


def repeats(value: Any) -> bool:
    if isinstance(value, Items):
        return any(map(repeats, value))
    if isinstance(value, list):
        keys = [key for key, _ in value]
        return len(set(keys)) < len(keys) or any(repeats(item) for _, item in value)
    return False


def as_python(value: Any) -> Any:
    if isinstance(value, Items):
        return [as_python(item) for item in value]
    if isinstance(value, list):
        return {key: as_python(item) for key, item in value}
    return value


def outcome(codec: Any, payload: str | bytes) -> str | Message[Any]:
    try:
        message: Message[Any] = codec.decode(payload)
    except InvalidMessage as error:
        return error.code
    return message


def as_json(value: Any, draw: st.DataObject) -> str:
    space = draw.draw(st.sampled_from(["", "", " "]))
    if isinstance(value, Items):
        return f"[{space}{','.join(as_json(item, draw) for item in value)}]"
    if isinstance(value, list):
        pairs = [f"{as_json(key, draw)}{space}:{as_json(item, draw)}" for key, item in value]
        return "{" + f"{space},".join(pairs) + "}"
    if isinstance(value, str):
        style = draw.draw(st.sampled_from(["plain", "plain", "ascii", "escaped"]))
        if style == "escaped":
            return '"' + "".join(f"\\u{ord(character):04x}" for character in value) + '"'
        return json.dumps(value, ensure_ascii=style == "ascii")
    return json.dumps(value)


def as_msgpack(value: Any, draw: st.DataObject) -> bytes:
    long = draw.draw(st.sampled_from([False, False, False, True]))
    if isinstance(value, Items):
        head = struct.pack(">BH", 0xDC, len(value)) if long else bytes([0x90 + len(value)])
        return head + b"".join(as_msgpack(item, draw) for item in value)
    if isinstance(value, list):
        head = struct.pack(">BI", 0xDF, len(value)) if long else bytes([0x80 + len(value)])
        return head + b"".join(as_msgpack(each, draw) for pair in value for each in pair)
    if isinstance(value, str):
        data = value.encode()
        return (bytes([0xD9, len(data)]) if long else bytes([0xA0 + len(data)])) + data
    if isinstance(value, float):
        exact32 = value == 1.5 and long
        return struct.pack(">Bf", 0xCA, value) if exact32 else struct.pack(">Bd", 0xCB, value)
    if value is None or isinstance(value, bool):
        return {None: b"\xc0", False: b"\xc2", True: b"\xc3"}[value]
    return struct.pack(">Bq", 0xD3, value) if long or value == 300 else struct.pack(">b", value)


@given(_FIELDS, st.data())
def test_json_is_refused_exactly_where_a_key_repeats(fields: Map, data: st.DataObject) -> None:
    text = as_json(fields, data)
    assert outcome(json_codec, text) == expected(fields, "invalid_json")


@given(_FIELDS, st.data())
def test_msgpack_is_refused_exactly_where_a_key_repeats(fields: Map, data: st.DataObject) -> None:
    payload = as_msgpack(fields, data)
    assert outcome(msgpack_codec, payload) == expected(fields, "invalid_msgpack")


@given(st.integers(-(2**63), 2**64 - 1))
@example(2**63)
@example(-129)
def test_no_integer_has_a_shorter_form_than_the_encoder_gives_it(number: int) -> None:
    # The cheap test for MessagePack rests on this.
    ranges = [(0, 127, 1), (-32, -1, 1), (-128, 255, 2), (-(2**15), 2**16 - 1, 3)]
    ranges += [(-(2**31), 2**32 - 1, 5), (-(2**63), 2**64 - 1, 9)]
    shortest = min(size for low, high, size in ranges if low <= number <= high)
    payload = msgpack_codec.encode(Message(type="a", content=number))
    assert len(payload) == len(b"\x82\xa4type\xa1a\xa7content") + shortest


@pytest.mark.parametrize("size", [0, 1, 31, 32, 255, 256, 65_535, 65_536])
def test_no_text_or_list_has_a_shorter_form_than_the_encoder_gives_it(size: int) -> None:
    def header_size(content: Any) -> int:
        payload = msgpack_codec.encode(Message(type="a", content=content))
        return len(payload) - len(b"\x82\xa4type\xa1a\xa7content") - size

    wide = 3 if size < 65_536 else 5
    assert header_size("x" * size) == (1 if size < 32 else 2 if size < 256 else wide)
    assert header_size(b"x" * size) == (2 if size < 256 else wide)
    assert header_size([0] * size) == (1 if size < 16 else wide)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
@example(0.0)
@example(2.0**-149)
@example(-1.1754942106924411e-38)
def test_no_32_bit_float_makes_up_for_an_equal_key(number: float) -> None:
    # Four bytes less than what it is encoded to, and four bytes of an equal key.
    short = b"\xca" + struct.pack(">f", number)
    payload = b"\x82\xa4type\xa1a\xa7content\x83\xa2kk\x01\xa2kk\x02\xa1f" + short
    assert outcome(msgpack_codec, payload) == "invalid_msgpack"
    payload = b"\x82\xa4type\xa1a\xa7content\x81\xa1f" + short
    assert outcome(msgpack_codec, payload) == Message(type="a", content={"f": number})
