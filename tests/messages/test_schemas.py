"""The schemas that ship with wsframe."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from tests.schema_check import BUILT_IN_TYPES, assert_valid, validator
from wsframe.errors import ERROR_CODES, AnswerError, InvalidMessage
from wsframe.messages import (
    TYPE_PATTERN,
    Message,
    Timestamps,
    json_codec,
    msgpack_codec,
    schemas,
)

NOW = Timestamps().stamp(1_769_853_600.0)
INIT_ANSWER = {
    "sessionId": "s-1",
    "secret": "a" * 32,
    "resumed": False,
    "seq": 0,
    "gap": None,
    "inFlight": [],
    "identity": {"subject": "anonymous", "anonymous": True},
    "heartbeat": {"intervalMs": 30_000, "timeoutMs": 10_000},
    "limits": {
        "maxMessageBytes": 1,
        "maxInFlight": 1,
        "outboxMessages": 1,
        "outboxBytes": 1,
        "resumeWindowMs": 0,
    },
}


def server_message(type_: str, content: Any, **fields: Any) -> dict[str, Any]:
    return {"id": "n-1", "type": type_, "content": content, "timestamp": NOW, **fields}


def answer(type_: str, content: Any, **fields: Any) -> dict[str, Any]:
    return server_message(type_, content, replyTo="1", final=True, **fields)


FROM_THE_SERVER = [
    answer("init", INIT_ANSWER),
    answer("init", {**INIT_ANSWER, "resumed": True, "seq": 9, "gap": {"from": 4, "to": 9}}),
    answer("pong", {}, transient=True),
    answer("ack", {}),
    answer("cancel", {"cancelled": True}),
    answer("join", {"room": "lobby"}),
    answer("leave", {"room": "lobby"}),
    answer("text", {"text": "Hi"}, sessionId="s-1"),
    server_message("ask", "part", replyTo="1", final=False),
    server_message("said", None),
    server_message("typing", {}, transient=True),
    server_message("system", {"event": "draining", "reconnectAfterMs": 1}, transient=True),
    server_message("system", {"event": "token_expiring", "expiresInMs": 1}, transient=True),
    server_message("system", {"event": "something_new"}, transient=True),
    answer("error", AnswerError("billing.quota", details=[1], retry_after_ms=5).content()),
    server_message("error", {"code": "internal", "message": "m", "retryable": False}, final=True),
    *(
        answer("error", AnswerError(code, details=[{"path": "$", "message": "m"}]).content())
        for code in ERROR_CODES
    ),
]

NOT_FROM_THE_SERVER = [
    "text",
    {"type": "text"},
    {**answer("text", {}), "timestamp": "2026-01-31T10:00:00Z"},
    {**answer("text", {}), "transient": False},
    {**answer("text", {}), "ack": 1},
    {**answer("text", {}), "type": "a b"},
    {**answer("text", {}), "replyTo": ""},
    server_message("text", {}, replyTo="1"),
    server_message("text", {}, final=True),
    server_message("ask", {}, final=False),
    {"id": "n-1", "type": "text", "timestamp": NOW},
    {"type": "text", "content": {}, "timestamp": NOW},
    server_message("init", INIT_ANSWER),
    answer("init", {**INIT_ANSWER, "seq": -1}),
    answer("init", {**INIT_ANSWER, "secret": "short"}),
    answer("init", {**INIT_ANSWER, "gap": {"from": 1}}),
    answer("init", {name: INIT_ANSWER[name] for name in INIT_ANSWER if name != "limits"}),
    answer("pong", {}),
    answer("pong", {"a": 1}, transient=True),
    answer("ping", {}),
    answer("ack", {"a": 1}),
    answer("cancel", {}),
    answer("join", {}),
    answer("leave", {"room": ""}),
    server_message("system", {"event": "draining", "reconnectAfterMs": 1}),
    server_message("system", {"event": "draining"}, transient=True),
    server_message("system", {}, transient=True),
    answer("error", {"code": "nonsense", "message": "m", "retryable": False}),
    answer("error", {"code": "internal", "message": "m"}),
    answer("error", AnswerError("invalid_json").content()),
    server_message("error", AnswerError("internal").content(), replyTo="1", final=False),
]

FROM_A_CLIENT = [
    {"type": "init"},
    {"id": "1", "type": "init", "content": {"token": "t", "client": {"name": "n"}}},
    {
        "type": "init",
        "content": {"resume": {"sessionId": "s", "secret": "x", "seq": 0}, "later": 1},
    },
    {"type": "ping", "id": "1"},
    {"type": "ack", "ack": 0},
    {"type": "cancel", "content": {"id": "1"}},
    {"type": "join", "content": {"room": "lobby"}, "ack": 5},
    {"type": "leave", "content": {"room": "lobby"}},
    {"type": "text", "content": "anything", "unknown": 1, "timestamp": "now"},
]

NOT_FROM_A_CLIENT = [
    {"type": "init", "content": {"token": 5}},
    {"type": "init", "content": {"resume": {"sessionId": "s"}}},
    {"type": "init", "content": {"resume": {"sessionId": "s", "secret": "x", "seq": -1}}},
    {"type": "init", "content": {"resume": {"sessionId": "s", "secret": "x", "seq": 2**53}}},
    {"type": "ack"},
    {"type": "ack", "ack": -1},
    {"type": "cancel"},
    {"type": "cancel", "content": {"id": ""}},
    {"type": "join", "content": {}},
    {"type": "leave"},
    {"type": "pong"},
    {"type": "system"},
    {"type": "error"},
    {"id": "", "type": "text"},
    {"content": {}},
    [],
]


def test_there_is_a_schema_of_the_envelope_each_direction_and_each_built_in_type() -> None:
    assert set(schemas.names()) == {"envelope", "client-message", "server-message"} | BUILT_IN_TYPES


@pytest.mark.parametrize("name", schemas.names())
def test_each_schema_is_a_valid_schema_with_a_relative_id(name: str) -> None:
    schema = schemas.load(name)
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["$id"] == f"{name}.schema.json"
    assert schema["description"]
    references = re.findall(r'"\$ref":"([^"]+)"', msgspec.json.encode(schema).decode())
    assert all(re.fullmatch(r"([a-z-]+\.schema\.json)?#?(/.*)?", each) for each in references)


@pytest.mark.parametrize("name", ["nothing", "../pyproject", "", "envelope.schema.json"])
def test_a_schema_that_is_not_there_is_a_key_error(name: str) -> None:
    with pytest.raises(KeyError):
        schemas.load(name)


def test_a_loaded_schema_belongs_to_its_caller() -> None:
    schemas.load("envelope").clear()
    assert schemas.load("envelope")


def test_schemas_are_found_in_an_installed_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "only.schema.json").write_text('{"$id": "only.schema.json"}')
    (tmp_path / "schemas" / "README.md").write_text("no schema")
    monkeypatch.setattr(schemas, "files", lambda _package: tmp_path)
    assert schemas.names() == ["only"]
    assert schemas.load("only") == {"$id": "only.schema.json"}


def test_the_schemas_agree_with_the_code_about_types_and_error_codes() -> None:
    assert schemas.load("envelope")["properties"]["type"]["pattern"] == TYPE_PATTERN
    code = schemas.load("error")["properties"]["content"]["properties"]["code"]
    assert code["anyOf"][0]["enum"] == list(ERROR_CODES)


@pytest.mark.parametrize("message", FROM_THE_SERVER, ids=lambda each: str(each["type"]))
def test_what_a_server_sends_is_valid_in_both_codecs(message: dict[str, Any]) -> None:
    assert_valid(msgspec.json.encode(message), binary=False)
    assert_valid(msgspec.msgpack.encode(message), binary=True)


@pytest.mark.parametrize("message", NOT_FROM_THE_SERVER, ids=str)
def test_what_a_server_must_not_send_is_not_valid(message: Any) -> None:
    with pytest.raises(AssertionError, match="not valid"):
        assert_valid(msgspec.json.encode(message), binary=False)


def test_a_message_is_not_taken_for_valid_because_a_similar_one_was() -> None:
    for change in ({"id": ""}, {"timestamp": "now"}, {"final": 1}, {"replyTo": "x" * 129}):
        good = answer("text", {"a": 1})
        assert_valid(msgspec.json.encode(good), binary=False)
        with pytest.raises(AssertionError, match="not valid"):
            assert_valid(msgspec.json.encode({**good, **change}), binary=False)


@pytest.mark.parametrize("message", FROM_A_CLIENT, ids=str)
def test_what_a_client_may_send_is_valid_and_decoded(message: dict[str, Any]) -> None:
    assert not list(validator("client-message").iter_errors(message))
    assert json_codec.decode(msgspec.json.encode(message)).type == message["type"]


@pytest.mark.parametrize("message", NOT_FROM_A_CLIENT, ids=str)
def test_what_a_client_may_not_send_is_not_valid(message: Any) -> None:
    assert list(validator("client-message").iter_errors(message))


@pytest.mark.parametrize("type_", sorted(BUILT_IN_TYPES))
def test_the_schema_of_a_built_in_type_covers_both_directions(type_: str) -> None:
    schema = validator(type_)
    for message in [*FROM_THE_SERVER, *FROM_A_CLIENT]:
        valid = not list(schema.iter_errors(message))
        assert valid is (message["type"] == type_), message


@pytest.mark.parametrize("payload", ["{", "[]", '{"id":"7","type":1}', '{"type":"a","type":"a"}'])
def test_the_error_answer_to_an_invalid_message_is_valid(payload: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        json_codec.decode(payload)
    error = caught.value
    reply = Message(
        id="n-1",
        type="error",
        content=error.content(),
        timestamp=NOW,
        reply_to=error.message_id,
        final=True,
    )
    assert_valid(json_codec.encode(reply), binary=False)
    assert_valid(msgpack_codec.encode(reply), binary=True)
