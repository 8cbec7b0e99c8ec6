"""What holds for every message and for every payload, with both codecs."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.schema_check import validator
from wsframe.errors import InvalidMessage
from wsframe.messages import Codec, Message, json_codec, msgpack_codec

both_codecs = pytest.mark.parametrize("codec", [json_codec, msgpack_codec], ids=["json", "msgpack"])

texts = st.text(st.characters(exclude_categories=["Cs"]))
json_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)


def values_of(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars,
        lambda below: st.lists(below, max_size=4) | st.dictionaries(texts, below, max_size=4),
        max_leaves=12,
    )


def messages_with(content: st.SearchStrategy[Any]) -> st.SearchStrategy[Message[Any]]:
    return st.builds(
        Message,
        type=st.from_regex(r"[A-Za-z][A-Za-z0-9_.:-]{0,63}", fullmatch=True),
        id=st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128),
        content=content,
        session_id=st.none() | texts,
        timestamp=st.none() | texts,
        reply_to=st.none() | texts,
        final=st.none() | st.booleans(),
        transient=st.none() | st.booleans(),
        ack=st.none() | st.integers(0, 2**63 - 1),
        traceparent=st.none() | texts,
        tracestate=st.none() | texts,
    )


json_messages = messages_with(values_of(json_scalars))


@both_codecs
@given(message=json_messages)
def test_what_was_encoded_is_decoded_to_an_equal_message(
    codec: Codec, message: Message[Any]
) -> None:
    payload = codec.encode(message)
    assert codec.decode(payload) == message
    assert codec.encode(codec.decode(payload)) == payload


@given(messages_with(values_of(json_scalars | st.binary())))
def test_messagepack_carries_bytes_unchanged(message: Message[Any]) -> None:
    assert msgpack_codec.decode(msgpack_codec.encode(message)) == message


@given(json_messages)
def test_both_codecs_carry_the_same_message(message: Message[Any]) -> None:
    assert json_codec.decode(json_codec.encode(message)) == msgpack_codec.decode(
        msgpack_codec.encode(message)
    )


@given(json_messages)
def test_other_encoders_of_the_same_message_are_understood(message: Message[Any]) -> None:
    fields = msgspec.json.decode(json_codec.encode(message))
    assert json_codec.decode(json.dumps(fields)) == message
    assert json_codec.decode(json.dumps(fields, indent=1, ensure_ascii=False)) == message


def outcome(codec: Codec, payload: str | bytes) -> Message[Any] | InvalidMessage:
    try:
        return codec.decode(payload)
    except InvalidMessage as error:
        return error


def only_documented_outcomes(codec: Codec, payload: str | bytes) -> None:
    result = outcome(codec, payload)
    if isinstance(result, InvalidMessage):
        assert result.code in {codec.invalid_code, "invalid_envelope"}
        assert len(result.details) == 1
        assert result.details[0]["path"].startswith("$")
        assert all(len(text) <= 200 for text in result.details[0].values())
        result = Message(type="error", content=result.content())
    codec.encode(result)


@both_codecs
@given(payload=st.binary(max_size=200) | st.text(max_size=200))
def test_random_payloads_give_a_message_or_invalid_message(
    codec: Codec, payload: str | bytes
) -> None:
    only_documented_outcomes(codec, payload)


@both_codecs
@given(message=json_messages, data=st.data())
def test_mutated_payloads_give_a_message_or_invalid_message(
    codec: Codec, message: Message[Any], data: st.DataObject
) -> None:
    payload = bytearray(codec.encode(message))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(payload)))
        end = data.draw(st.integers(start, min(len(payload), start + 8)))
        payload[start:end] = data.draw(st.binary(max_size=4))
    only_documented_outcomes(codec, bytes(payload))


# The schema of the envelope and the decoder are two descriptions of one thing.

fields = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from([None, "", "1", "x" * 128, "x" * 129, 1]),
        "type": st.sampled_from(["a", "text", None, 1]),
        "content": json_scalars,
        "sessionId": st.sampled_from(["s", None, {}]),
        "timestamp": st.sampled_from(["2026-01-31T10:00:00.000Z", "then", None, 5]),
        "replyTo": st.sampled_from(["1", None, []]),
        "final": st.sampled_from([True, False, None, 0]),
        "transient": st.sampled_from([True, False, None, "true"]),
        "ack": st.sampled_from([0, 1, -1, 2**63 - 1, 2**63, None, "1", 1.5]),
        "traceparent": st.sampled_from(["00-4bf92f3577b34da6-00f0-01", "", None, 1]),
        "tracestate": st.sampled_from(["a=1,b=2", None, {}]),
        "other": json_scalars,
    },
)


envelope = validator("envelope")


@both_codecs
@given(value=fields | json_scalars | st.lists(json_scalars))
@example(value={"type": "a"})
@example(value={"id": "1", "type": "a", "content": None, "ack": 3})
def test_a_codec_decodes_exactly_what_the_schema_of_the_envelope_allows(
    codec: Codec, value: Any
) -> None:
    encode = msgspec.msgpack.encode if codec.binary else msgspec.json.encode
    valid = not list(envelope.iter_errors(value))
    assert isinstance(outcome(codec, encode(value)), Message) is valid
