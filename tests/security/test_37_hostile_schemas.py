"""Row 37: hostile schema patterns, and references to the network or to other files.

Refused when they are loaded, or harmless: a schema comes from whoever wrote the application or a
plugin, the text that its patterns meet from anybody.
"""

from __future__ import annotations

import functools
import json
import time
from pathlib import Path
from typing import Any

import pytest
from wsframe_validation import ValidationPlugin

from wsframe import App, PluginError
from wsframe.client import RequestError
from wsframe.testing import Connector

CATASTROPHIC = ["^(a+)+$", "^(a|aa)+$", "^(a|a)*$", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*a){12}$"]
UNMATCHABLE = ["^(?=(a+)+$)", "(a*)\\1", "(?<!a)b", "((a{100}){100}){100}"]
ELSEWHERE = [
    "http://127.0.0.1:9/a.schema.json",
    "https://example.org/a.schema.json",
    "file:///etc/hostname",
    "//127.0.0.1/a.schema.json",
    "/etc/hostname",
    "../outside.schema.json",
    "%2e%2e/outside.schema.json",
    "ftp://127.0.0.1/a",
    "https://folder-1.invalid/a.schema.json",
]


def app_with(schema: Any, folder: Path, engine: str) -> App:
    folder.mkdir(exist_ok=True)
    (folder.parent / "outside.schema.json").write_text("{}")
    (folder / "text.schema.json").write_text(json.dumps(schema))
    config = ValidationPlugin.Config(folders=(str(folder),), engine=engine)  # type: ignore[arg-type]
    app = App(plugins=[ValidationPlugin(config)])

    @app.handler("text")
    async def text(message: Any, connection: Any) -> Any: ...

    return app


@pytest.mark.parametrize("engine", ["jsonschema-rs", "jsonschema"])
@pytest.mark.parametrize("pattern", CATASTROPHIC)
async def test_a_catastrophic_pattern_does_not_hold_the_others_up(
    pattern: str, engine: str, tmp_path: Path, wsframe_client: Connector
) -> None:
    app = app_with({"type": "string", "pattern": pattern}, tmp_path / "schemas", engine)
    client = await wsframe_client(app)
    # The first message pays for what the engine makes when it is first needed.
    for text in ("a!", "a" * 30 + "!"):
        begun = time.thread_time()
        with pytest.raises(RequestError, match="invalid_content"):
            await client.request("text", text)
    # Backtracking needs 15 s for these 31 characters. The bound is CPU time of this thread, with
    # room for everything else that answering a message costs on a slow machine.
    assert time.thread_time() - begun < 5
    with pytest.raises(RequestError, match="invalid_content"):
        await client.request("text", "a" * 50_000 + "!")


@pytest.mark.parametrize("engine", ["jsonschema-rs", "jsonschema"])
@pytest.mark.parametrize("pattern", UNMATCHABLE)
async def test_a_pattern_that_needs_backtracking_stops_the_start(
    pattern: str, engine: str, tmp_path: Path, wsframe_client: Connector
) -> None:
    for schema in ({"pattern": pattern}, {"patternProperties": {pattern: {}}}):
        app = app_with(schema, tmp_path / "schemas", engine)
        with pytest.raises(PluginError, match="is refused"):
            await wsframe_client(app)


@pytest.mark.parametrize("engine", ["jsonschema-rs", "jsonschema"])
@pytest.mark.parametrize("reference", ELSEWHERE)
@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
async def test_a_reference_to_elsewhere_stops_the_start(
    keyword: str, reference: str, engine: str, tmp_path: Path, wsframe_client: Connector
) -> None:
    schema = {"properties": {"a": {keyword: reference}}}
    app = app_with(schema, tmp_path / "schemas", engine)
    with pytest.raises(PluginError, match=r"#/properties/a/\$(dynamicR|r)ef: "):
        await wsframe_client(app)


@pytest.mark.parametrize("engine", ["jsonschema-rs", "jsonschema"])
@pytest.mark.parametrize("name", ["$id", "$schema"])
async def test_another_address_of_a_schema_is_never_asked(
    name: str, engine: str, tmp_path: Path, wsframe_client: Connector
) -> None:
    schema = {name: "http://127.0.0.1:9/schema", "$ref": "other.schema.json"}
    with pytest.raises(PluginError, match=r"is no draft|there is no"):
        await wsframe_client(app_with(schema, tmp_path / "schemas", engine))


NODE = {"properties": {"child": {"$ref": "#"}, "name": {"type": "string"}}}
HOSTILE = {
    "a schema that branches to itself": (
        {"anyOf": [{**NODE, "required": ["x"]}, {**NODE, "required": ["y"]}]},
        functools.reduce(
            lambda inner, _: {"child": inner, "name": "", "x": 1, "y": 1}, range(60), {"name": 7}
        ),
    ),
    "markup within markup": (
        {"properties": {"text": {"type": "string", "x-wsframe-sanitize": "html"}}},
        {"text": "<div>" * 50_000},
    ),
    "markup in plain text": (
        {"properties": {"text": {"type": "string", "x-wsframe-sanitize": "text"}}},
        {"text": "<" + "&" * 1_000_000},
    ),
}
"""A schema that people write, and a content for which it would take minutes, or for ever."""


@pytest.mark.parametrize("engine", ["jsonschema-rs", "jsonschema"])
@pytest.mark.parametrize("attack", HOSTILE)
async def test_a_content_that_would_take_minutes_does_not_hold_the_others_up(
    attack: str, engine: str, tmp_path: Path, wsframe_client: Connector
) -> None:
    schema, content = HOSTILE[attack]
    client = await wsframe_client(app_with(schema, tmp_path / "schemas", engine))
    begun = time.thread_time()
    with pytest.raises(RequestError, match="invalid_content"):
        await client.request("text", content)
    assert time.thread_time() - begun < 20
    await client.request("text", {"text": "<b>hi</b>", "x": 1})


@pytest.mark.parametrize("engine", ["jsonschema-rs", "jsonschema"])
async def test_a_pattern_that_is_slow_even_in_linear_time_stops_the_start(
    engine: str, tmp_path: Path, wsframe_client: Connector
) -> None:
    app = app_with({"pattern": "[ab]*a[ab]{500}c"}, tmp_path / "schemas", engine)
    with pytest.raises(PluginError, match="too many states at once"):
        await wsframe_client(app)
