"""Threat 36: hostile JSON. Whatever is sent, the outcome is an error answer of bounded size."""

from __future__ import annotations

import contextlib
import gc
import json
import time

import msgspec
import pytest

from wsframe.errors import InvalidMessage
from wsframe.messages import Codec, Message, json_codec, msgpack_codec

PREFIX = b"\x83\xa2id\xa17\xa4type\xa1a\xa7content"

HOSTILE_JSON = {
    "depth 100,000": '{"id":"7","type":"a","content":' + "[" * 100_000,
    "depth 100,000, complete": '{"type":"a","content":' + "[" * 100_000 + "]" * 100_000 + "}",
    "depth 100,000 in maps": '{"type":"a","content":' + '{"k":' * 100_000,
    "depth 101": '{"type":"a","content":' + "[" * 100 + "]" * 100 + "}",
    "depth in an unknown field": '{"type":"a","x":' + "[" * 500 + "]" * 500 + "}",
    "5,000-digit integer": '{"type":"a","content":{"n":' + "7" * 5_000 + "}}",
    "65-bit integer": '{"type":"a","content":{"n":18446744073709551616}}',
    "1,000,000-digit integer": '{"type":"a","content":{"n":' + "7" * 1_000_000 + "}}",
    "5,000-digit ack": '{"type":"a","ack":' + "7" * 5_000 + "}",
    "infinite float": '{"type":"a","content":1e999}',
    "NaN": '{"type":"a","content":NaN}',
    "Infinity": '{"type":"a","content":-Infinity}',
    "lone surrogate": '{"type":"a","content":"\\ud800"}',
    "lone surrogate in a key": '{"type":"a","content":{"\\udc00":1}}',
    "lone surrogate as the id": '{"id":"\\ud800","type":"a"}',
    "duplicate id": '{"id":"7","id":"8","type":"a"}',
    "duplicate type": '{"type":"a","type":"b"}',
    "duplicate key in the content": '{"type":"a","content":{"admin":false,"admin":true}}',
    "duplicate key, escaped": '{"type":"a","content":{"admin":false,"\\u0061dmin":true}}',
    "duplicate 1 MB key": '{"type":"a","content":{"l":1' + (',"' + "k" * 10**6 + '":1') * 2 + "}}",
    "10 MB key that is no envelope": '{"' + "k" * 10**7 + '":1}',
    "10 MB type": '{"type":"' + "k" * 10**7 + '"',
    "bad UTF-8": b'{"type":"\xed\xa0\x80"}',
    "UTF-16": '{"type":"a"}'.encode("utf-16"),
    "byte order mark": '\ufeff{"type":"a"}',
    "nothing": "",
    "NUL": "\x00",
}

HOSTILE_MSGPACK = {
    "depth 100,000": PREFIX + b"\x91" * 100_000,
    "depth 100,000, complete": PREFIX + b"\x91" * 100_000 + b"\xc0",
    "depth 100,000 in maps": PREFIX + b"\x81\xa1k" * 100_000 + b"\xc0",
    "depth 101": PREFIX + b"\x91" * 99 + b"\x90",
    "a list of 4,294,967,295 items": PREFIX + b"\xdd\xff\xff\xff\xff",
    "a map of 4,294,967,295 items": PREFIX + b"\xdf\xff\xff\xff\xff",
    "a text of 4,294,967,295 bytes": PREFIX + b"\xdb\xff\xff\xff\xff",
    "lists of 65,535 items in each other": PREFIX + b"\xdc\xff\xff" * 90,
    "NaN": PREFIX + b"\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00",
    "infinite 32-bit float": PREFIX + b"\xca\x7f\x80\x00\x00",
    "bad UTF-8": PREFIX + b"\xa3\xed\xa0\x80",
    "extension type": PREFIX + b"\xd4\x05\x00",
    "timestamp": PREFIX + b"\xd6\xff\x00\x00\x00\x00",
    "broken timestamp": PREFIX + b"\xd7\xff" + b"\xff" * 8,
    "integer as a key": PREFIX + b"\x81\x01\x02",
    "list as a key": PREFIX + b"\x81\x90\x02",
    "map as a key": PREFIX + b"\x81\x80\x02",
    "extension type as a key": PREFIX + b"\x81\xd4\x05\x00\x02",
    "duplicate key": PREFIX + b"\x82\xa1k\x01\xa1k\x02",
    "duplicate key in two forms": PREFIX + b"\x82\xa1k\x01\xd9\x01k\x02",
    "reserved byte": PREFIX + b"\xc1",
    "nothing": b"",
}

CASES = [
    *(pytest.param(json_codec, each, id=f"JSON, {name}") for name, each in HOSTILE_JSON.items()),
    *(
        pytest.param(msgpack_codec, each, id=f"MessagePack, {name}")
        for name, each in HOSTILE_MSGPACK.items()
    ),
]


@pytest.mark.parametrize(("codec", "payload"), CASES)
def test_a_hostile_payload_gives_an_error_answer_of_bounded_size(
    codec: Codec, payload: str | bytes
) -> None:
    with pytest.raises(InvalidMessage) as caught:
        codec.decode(payload)
    error = caught.value
    assert error.code in {codec.invalid_code, "invalid_envelope"}
    assert error.details[0]["path"].startswith("$")
    assert len(codec.encode(Message(type="error", content=error.content()))) < 2_000
    assert error.__cause__ is None
    assert error.__suppress_context__ or error.__context__ is None


@pytest.mark.parametrize("key", ["k" * 10**7, "\u00e9" * (5 * 10**6)])
def test_a_10_mb_key_of_the_content_is_just_a_key(key: str) -> None:
    # How large a message may be is decided before it is decoded.
    for codec in (json_codec, msgpack_codec):
        message = Message(type="a", content={key: 1})
        assert codec.decode(codec.encode(message)) == message


SIZE = 2_000_000
EXPENSIVE = {
    "brackets": json.dumps({"type": "a", "content": [[]] * (SIZE // 3)}),
    "unknown fields": '{"type":"a"' + "".join(f',"x{i}":{i}' for i in range(SIZE // 15)) + "}",
    "late duplicate": '{"type":"a","content":[' + '{"k":1},' * (SIZE // 8) + '{"k":1,"k":2}]}',
    "colons": json.dumps({"type": "a", "content": ":" * SIZE}),
    "escapes": '{"type":"a","content":"' + "\\u003a" * (SIZE // 6) + '"}',
    "levels": '{"type":"a","content":[' + ",".join(["[" * 90 + "]" * 90] * (SIZE // 181)) + "]}",
    "long key above a long list": json.dumps(
        {"type": "a", "content": {"k" * (SIZE // 2): [1] * (SIZE // 8) + [2**64]}}
    ),
    "floats": msgspec.msgpack.encode({"type": "a"})[:-2]
    + b"\xa1a\xa7content\xdd"
    + (SIZE // 5).to_bytes(4, "big")
    + b"\xca\x00\x00\x00\x00" * (SIZE // 5),
}


@pytest.mark.parametrize("payload", EXPENSIVE.values(), ids=EXPENSIVE.keys())
def test_no_payload_of_2_mb_costs_more_than_a_short_while(payload: str | bytes) -> None:
    codec = json_codec if isinstance(payload, str) else msgpack_codec
    if codec is msgpack_codec:
        payload = b"\x82" + bytes(payload)[1:]
    gc.freeze()  # what the collector would find in the heap of a whole test run is not its cost
    before = time.thread_time()
    with contextlib.suppress(InvalidMessage):
        codec.decode(payload)
    # About 0.1 s of the processor each on an idle machine; what is quadratic takes minutes.
    assert time.thread_time() - before < 20
