"""What clients are answered: on asyncio and trio, with each engine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from wsframe_validation import ValidationPlugin
from wsframe_validation.engines import Engine, choose_engine

from wsframe import App, Connection, Message, PluginError, hookimpl
from wsframe.client import RequestError
from wsframe.testing import Connector

from .conftest import CHAT, Write


def app_with(folder: Path | None, **settings: Any) -> App:
    folders = () if folder is None else (str(folder),)
    config = ValidationPlugin.Config(folders=folders, **settings)
    app = App(plugins=[ValidationPlugin(config)])
    app.seen = []  # type: ignore[attr-defined]

    async def echo(message: Message[Any], _: Connection) -> Any:
        app.seen.append(message.content)  # type: ignore[attr-defined]
        return {"got": message.content}

    for name in ("text", "other"):
        app.add_handler(name, echo)
    return app


async def refusal(client: Any, *message: Any) -> RequestError:
    with pytest.raises(RequestError) as caught:
        await client.request(*message)
    return caught.value


async def test_a_valid_message_reaches_its_handler_unchanged(
    wsframe_client: Connector, write: Write, engine: Engine
) -> None:
    client = await wsframe_client(app_with(write("text", CHAT), engine=engine.name))
    answer = await client.request("text", {"text": "<b>a & b</b>"})
    assert answer.content == {"got": {"text": "<b>a & b</b>"}}


async def test_an_invalid_message_is_answered_and_no_handler_runs(
    wsframe_client: Connector, write: Write, engine: Engine
) -> None:
    app = app_with(write("text", CHAT), engine=engine.name)
    client = await wsframe_client(app)
    error = await refusal(client, "text", {"text": "", "colour": "red"})
    assert (error.code, error.retryable) == ("invalid_content", False)
    places = {(each["path"], each["keyword"]) for each in error.details}
    assert places == {("$.content.text", "minLength"), ("$.content", "additionalProperties")}
    assert all(set(each) == {"path", "keyword", "message"} for each in error.details)
    assert app.seen == []  # type: ignore[attr-defined]
    assert (await client.request("text", {"text": "fine"})).content["got"] == {"text": "fine"}


@pytest.mark.parametrize(
    ("schema", "content", "path", "keyword"),
    [
        ({"type": "integer"}, "x", "$.content", "type"),
        ({"required": ["a"]}, {}, "$.content", "required"),
        ({"items": {"items": {"maximum": 1}}}, [[1, 2]], "$.content[0][1]", "maximum"),
        ({"properties": {"a": {"enum": [1]}}}, {"a": 2}, "$.content.a", "enum"),
        ({"properties": {"a": {"const": 1}}}, {"a": 2}, "$.content.a", "const"),
        ({"properties": {"a": {"pattern": "^b$"}}}, {"a": "c"}, "$.content.a", "pattern"),
        ({"anyOf": [{"type": "null"}, {"type": "array"}]}, 1, "$.content", "anyOf"),
        ({"oneOf": [{}, {}]}, 1, "$.content", "oneOf"),
        ({"not": {}}, 1, "$.content", "not"),
        ({"uniqueItems": True}, [{"a": 1}, {"a": 1.0}], "$.content", "uniqueItems"),
        ({"properties": {"a": False}}, {"a": 1}, "$.content.a", "false"),
        ({"unevaluatedProperties": False}, {"a": 1}, "$.content", "unevaluatedProperties"),
        ({"multipleOf": 2}, 3, "$.content", "multipleOf"),
        ({"contains": {"type": "null"}}, [1], "$.content", "contains"),
        ({"propertyNames": {"maxLength": 1}}, {"ab": 1}, "$.content", "maxLength"),
        ({"dependentRequired": {"a": ["b"]}}, {"a": 1}, "$.content", "required"),
        (False, {}, "$.content", "false"),
    ],
)
async def test_both_engines_say_the_same_place_and_keyword(
    schema: Any, content: Any, path: str, keyword: str,
    wsframe_client: Connector, write: Write, engine: Engine,
) -> None:  # fmt: skip
    client = await wsframe_client(app_with(write("text", schema), engine=engine.name))
    (detail,) = (await refusal(client, "text", content)).details
    other_words = {"propertyNames": "maxLength", "dependentRequired": "required"}
    found = other_words.get(detail["keyword"], detail["keyword"])
    assert (detail["path"], found) == (path, keyword)
    assert detail["message"]


async def test_errors_are_bounded_in_number_and_size(
    wsframe_client: Connector, write: Write, engine: Engine
) -> None:
    folder = write("text", {"additionalProperties": {"type": "integer"}})
    client = await wsframe_client(app_with(folder, engine=engine.name, max_errors=3))
    details = (
        await refusal(client, "text", {"k" * 5_000 + str(i): "x" * 9_000 for i in range(20)})
    ).details
    assert len(details) == 3
    assert all(len(text) <= 200 for each in details for text in each.values())


async def test_a_large_content_is_refused_without_naming_every_error(
    wsframe_client: Connector, write: Write, engine: Engine
) -> None:
    write("text", {"items": {"type": "integer"}})
    folder = write("other", {"anyOf": [{"items": {"type": "integer"}}, {"type": "object"}]})
    client = await wsframe_client(app_with(folder, engine=engine.name))
    error = await refusal(client, "text", ["x"] * 20_000)
    assert error.details[0]["path"] == "$.content[0]"
    error = await refusal(client, "other", ["x"] * 20_000)
    assert (error.code, error.details[0]["path"]) == ("invalid_content", "$.content")


async def test_a_type_without_a_schema_is_not_looked_at(
    wsframe_client: Connector, write: Write
) -> None:
    client = await wsframe_client(app_with(write("text", CHAT)))
    assert (await client.request("other", {"any": 1})).content == {"got": {"any": 1}}
    assert (await refusal(client, "nobody")).code == "unknown_type"


async def test_bytes_are_checked_as_the_base64_that_they_are_in_json(
    wsframe_client: Connector, write: Write, engine: Engine
) -> None:
    folder = write("text", {"properties": {"data": {"type": "string", "maxLength": 4}}})
    client = await wsframe_client(app_with(folder, engine=engine.name), subprotocol="msgpack")
    assert (await client.request("text", {"data": b"abc"})).content == {"got": {"data": b"abc"}}
    error = await refusal(client, "text", {"data": b"abcd"})
    assert error.details[0]["keyword"] == "maxLength"


async def test_a_content_as_deep_as_messages_may_be_is_answered(
    wsframe_client: Connector, write: Write, engine: Engine
) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"$ref": "#"}},
        "allOf": [{"$ref": "#/$defs/b"}],
        "$defs": {"b": {"anyOf": [{"type": "object"}, {"type": "null"}]}},
    }
    client = await wsframe_client(app_with(write("text", schema), engine=engine.name))
    content: Any = 1
    for _ in range(97):
        content = {"a": content}
    error = await refusal(client, "text", content)
    assert error.code == "invalid_content"


async def test_a_content_too_deep_for_python_is_refused(
    wsframe_client: Connector, write: Write
) -> None:
    links = {f"n{number}": {"$ref": f"#/$defs/n{number + 1}"} for number in range(30)}
    schema = {
        "$ref": "#/$defs/n0",
        "$defs": {**links, "n30": {"properties": {"a": {"$ref": "#"}}}},
    }
    client = await wsframe_client(app_with(write("text", schema), engine="jsonschema"))
    content: Any = {}
    for _ in range(90):
        content = {"a": content}
    error = await refusal(client, "text", content)
    assert error.code == "invalid_content"
    assert "nested too deeply" in error.details[0]["message"]


# Settings of the seed


async def test_a_text_over_the_limit_is_refused(wsframe_client: Connector) -> None:
    client = await wsframe_client(app_with(None, max_message_length=3))
    for content in ("abcd", {"text": "abcd"}, {"a": [{"b": "abcd"}]}):
        error = await refusal(client, "text", content)
        assert (error.code, "3 characters" in error.message) == ("invalid_content", True)
    for content in ("äöü", {"a long key": "abc", "number": 12345}):
        assert (await client.request("text", content)).content == {"got": content}


async def test_a_content_over_the_limit_is_refused(wsframe_client: Connector) -> None:
    client = await wsframe_client(app_with(None, max_content_length=14))
    assert (await client.request("text", {"a": "123456"})).content == {"got": {"a": "123456"}}
    assert (await refusal(client, "text", {"a": "ä23456"})).code == "message_too_big"


async def test_only_allowed_types_pass_and_those_of_the_protocol(
    wsframe_client: Connector,
) -> None:
    client = await wsframe_client(app_with(None, allowed_types=("text",)))
    assert (await client.request("text", 1)).content == {"got": 1}
    assert (await refusal(client, "other")).code == "forbidden"
    assert (await refusal(client, "nobody")).code == "forbidden"
    assert (await client.request("ping")).type == "pong"


@pytest.mark.parametrize(
    "settings",
    [{"max_errors": 0}, {"max_errors": 101}, {"max_message_length": 0}, {"max_content_length": 0}],
)
def test_an_impossible_setting_keeps_the_plugin_from_being_made(settings: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        ValidationPlugin.Config(**settings)  # type: ignore[arg-type]


# Starting


async def test_without_folders_nothing_is_loaded_and_nothing_changes(
    wsframe_client: Connector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    app = App(plugins=[ValidationPlugin(ValidationPlugin.Config())])
    client = await wsframe_client(app)
    assert (await refusal(client, "nobody", {"a": b"".hex()})).code == "unknown_type"


async def test_the_folder_schemas_is_used_where_nothing_is_configured(
    wsframe_client: Connector, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(write("text", CHAT).parent)
    client = await wsframe_client(App(plugins=[ValidationPlugin(ValidationPlugin.Config())]))
    assert (await refusal(client, "text", {})).code == "invalid_content"


async def test_folders_of_the_application_and_of_later_plugins_count(
    wsframe_client: Connector, write: Write
) -> None:
    class Zebra:
        @hookimpl
        def setup(self, app: App) -> None:
            app.add_schemas(write("other/other", CHAT) / "other")

    app = app_with(None)
    app.plugins.append(Zebra())
    write("mine/text", CHAT)
    app.add_schemas(write("mine/text", CHAT) / "mine")
    client = await wsframe_client(app)
    for name in ("text", "other"):
        assert (await refusal(client, name, {})).code == "invalid_content"


async def test_a_wrong_schema_stops_the_start_with_file_place_and_reason(
    wsframe_client: Connector, write: Write, engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    write("also", {"pattern": "["})
    folder = write("text", {"properties": {"a": {"pattern": "(a)\\1"}}})
    with pytest.raises(PluginError) as caught:
        await wsframe_client(app_with(folder, engine=engine.name))
    problems = [caught.value.message, *caplog.messages]
    assert any(
        f"schema {folder}/text.schema.json#/properties/a/pattern: " in each
        and "refers back" in each
        for each in problems
    )
    assert any("also.schema.json#/pattern" in each for each in problems)
    assert caught.value.exit_code == 3


async def test_an_engine_that_is_not_installed_stops_the_start(
    wsframe_client: Connector, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "wsframe_validation.engine_fast", None)
    with pytest.raises(PluginError, match="is not installed"):
        await wsframe_client(app_with(write("text", CHAT), engine="jsonschema-rs"))


def test_without_the_compiled_engine_the_other_one_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert choose_engine().name == "jsonschema-rs"
    monkeypatch.setattr("wsframe_validation.engines.find_spec", lambda _: None)
    assert choose_engine().name == "jsonschema"


# Failures


def failing(name: str) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError(f"{name} is broken")

    return fail


async def test_a_failure_within_the_check_refuses_and_answers(
    wsframe_client: Connector, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_with(write("text", CHAT))
    client = await wsframe_client(app)
    monkeypatch.setattr("wsframe_validation.rules.Rule.check", failing("check"))
    assert (await refusal(client, "text", {"text": 5})).code == "internal"
    assert app.seen == []  # type: ignore[attr-defined]
    assert (await client.request("other", 1)).content == {"got": 1}


async def test_a_failure_within_the_limits_refuses_and_answers(
    wsframe_client: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = app_with(None, max_message_length=100)
    client = await wsframe_client(app)
    monkeypatch.setattr("wsframe_validation._texts", failing("limits"))
    assert (await refusal(client, "text", {"text": "fine"})).code == "internal"
    assert app.seen == []  # type: ignore[attr-defined]


async def test_a_failure_while_loading_stops_the_start(
    wsframe_client: Connector, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsframe_validation.rules.load_rules", failing("load"))
    with pytest.raises(PluginError, match="load is broken"):
        await wsframe_client(app_with(write("text", CHAT)))


# What the server sends


class Said(msgspec.Struct):
    text: str


def sending_app(folder: Path, mode: str) -> App:
    app = app_with(folder, validate_outgoing=mode)

    async def say(message: Message[Any], _: Connection) -> Any:
        return Said(message.content)

    async def stream(message: Message[Any], _: Connection) -> Any:
        for each in message.content:
            yield {"text": each}

    async def push(message: Message[Any], connection: Connection) -> Any:
        await connection.send({"type": "said", "content": message.content})

    async def tell(message: Message[Any], _: Connection) -> Any:
        return {"count": await app.broadcast({"type": "said", "content": message.content})}

    app.add_handler("say", say, reply_type="said")
    app.add_handler("stream", stream, reply_type="said")
    app.add_handler("push", push)
    app.add_handler("tell", tell)
    return app


async def test_a_wrong_answer_becomes_an_error_and_a_right_one_goes_out(
    wsframe_client: Connector, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    client = await wsframe_client(sending_app(write("outgoing/said", CHAT), "error"))
    assert (await client.request("say", "hello")).content == {"text": "hello"}
    with caplog.at_level(logging.ERROR, "wsframe.plugins.validation"):
        error = await refusal(client, "say", "far too long for this schema")
    assert (error.code, error.details) == ("internal", None)
    assert "$.content.text (maxLength)" in caplog.text
    assert "far too long" not in caplog.text
    assert (await refusal(client, "stream", ["fine", ""])).code == "internal"
    assert (await refusal(client, "push", {"text": ""})).code == "internal"
    assert (await refusal(client, "tell", {"text": ""})).code == "internal"


async def test_a_wrong_answer_is_only_logged_where_that_is_wanted(
    wsframe_client: Connector, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    client = await wsframe_client(sending_app(write("outgoing/said", CHAT), "log"))
    assert (await client.request("say", "")).content == {"text": ""}
    assert "$.content.text (minLength)" in caplog.text


async def test_outgoing_schemas_do_nothing_unless_they_are_asked_to(
    wsframe_client: Connector, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    client = await wsframe_client(sending_app(write("outgoing/said", CHAT), "off"))
    assert (await client.request("say", "")).content == {"text": ""}
    assert "does not fit" not in caplog.text


async def test_a_broadcast_is_checked_once(
    wsframe_client: Connector, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = sending_app(write("outgoing/said", CHAT), "error")
    clients = [await wsframe_client(app) for _ in range(5)]
    plugin = next(each for each in app.plugins if isinstance(each, ValidationPlugin))
    assert plugin._rules is not None
    rule = plugin._rules.outgoing["said"]
    calls = []
    counted = rule._replace(schema=Counting(rule.schema, calls))
    plugin._rules = plugin._rules._replace(outgoing={"said": counted})
    answer = await clients[0].request("tell", {"text": "hello"})
    assert answer.content == {"count": 5}
    assert calls == [{"text": "hello"}]


class Counting:
    def __init__(self, schema: Any, calls: list[Any]) -> None:
        self._schema, self._calls = schema, calls
        self.errors = schema.errors

    def is_valid(self, value: Any) -> bool:
        self._calls.append(value)
        return bool(self._schema.is_valid(value))


async def test_a_failure_while_checking_what_is_sent_is_answered(
    wsframe_client: Connector, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await wsframe_client(sending_app(write("outgoing/said", CHAT), "log"))
    monkeypatch.setattr("wsframe_validation.rules.Rule.check", failing("check"))
    assert (await refusal(client, "say", "hello")).code == "internal"
