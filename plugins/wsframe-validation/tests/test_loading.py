"""What is wrong with a schema is found when it is loaded, and said with file, place and reason."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from wsframe_validation import files
from wsframe_validation.engines import Engine
from wsframe_validation.rules import load_rules

from .conftest import CHAT, Write


def problems(folder: Path, engine: Engine) -> list[str]:
    rules, found = load_rules([folder], engine)
    assert bool(found) or rules.files
    return [str(each).removeprefix(f"{folder}/") for each in found]


@pytest.mark.parametrize(
    ("schema", "where", "reason"),
    [
        ("{", "text.schema.json: ", "is not JSON"),
        ("[]", "text.schema.json#: ", "a schema is a map"),
        ("[" * 100_000, "text.schema.json: ", "is nested too deeply"),
        ('{"type": "strin"}', "text.schema.json#/type: ", ""),
        ('{"properties": {"a": {"minLength": -1}}}', "#/properties/a/minLength: ", ""),
        ('{"properties": {"a": 1}}', "text.schema.json#/properties/a: ", ""),
        ('{"$schema": "http://json-schema.org/draft-04/schema#"}', "#/$schema: ", "is no draft"),
        ('{"$schema": 4}', "#/$schema: ", "is no draft"),
        ('{"$ref": "#/$defs/a"}', "text.schema.json#/$ref: ", "there is no '#/$defs/a'"),
        ('{"items": {"$ref": "other.schema.json"}}', "#/items/$ref: ", "there is no 'other"),
        ('{"$ref": "http://127.0.0.1:9/a.json"}', "#/$ref: ", "nothing is fetched"),
        ('{"$ref": "file:///etc/passwd"}', "#/$ref: ", "nothing is fetched"),
        ('{"$ref": "/etc/passwd"}', "#/$ref: ", "nothing is fetched"),
        ('{"$ref": "../../../../etc/passwd"}', "#/$ref: ", "there is no"),
        ('{"$ref": "#/title", "title": "a"}', "#/$ref: ", "no schema"),
        ('{"$ref": "#"}', "text.schema.json#: ", "refers to itself for ever"),
        ('{"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"not": {"$ref": "#"}}}}', "",
         "refers to itself for ever"),
        ('{"pattern": "(a)\\\\1"}', "text.schema.json#/pattern: ", "refers back"),
        ('{"patternProperties": {"(?=a)": {}}}', "#/patternProperties: ", "looks ahead"),
        ('{"$defs": {"a": {"pattern": "("}}}', "#/$defs/a/pattern: ", "not closed"),
        ('{"$defs": {"a": {"$schema": "http://json-schema.org/draft-07/schema#"}}}',
         "#/$defs/a/$schema: ", "draft 2020-12"),
        ('{"x-wsframe-sanitize": "css"}', "#/x-wsframe-sanitize: ", "neither"),
        ('{"patternProperties": {"a": {"x-wsframe-sanitize": "html"}}}', "#/patternProperties: ",
         "no effect"),
        ('{"not": {"properties": {"a": {"x-wsframe-sanitize": "html"}}}}', "#/not: ", "no effect"),
    ],
)  # fmt: skip
def test_a_wrong_schema_is_a_problem_with_its_place(
    schema: str, where: str, reason: str, write: Write, engine: Engine
) -> None:
    found = problems(write("text", schema), engine)
    assert any(where in each and reason in each for each in found), found


@pytest.mark.parametrize("levels", [120, 900])
def test_a_schema_that_is_nested_too_deeply_is_a_problem(
    levels: int, write: Write, engine: Engine
) -> None:
    schema: Any = {}
    for _ in range(levels):
        schema = {"items": schema}
    (found,) = problems(write("text", schema), engine)
    assert "nested" in found


def test_a_schema_that_the_engine_itself_refuses_is_a_problem(
    write: Write, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise ValueError("not this one\nfor a long reason")

    monkeypatch.setattr(type(engine), "compile", refuse)
    (found,) = problems(write("text", {}), engine)
    assert found == f"text.schema.json#: {engine.name} refuses it: not this one"


def test_every_problem_is_found_not_only_the_first(write: Write, engine: Engine) -> None:
    write("a", '{"pattern": "("}')
    folder = write("b", '{"properties": {"x": {"pattern": "["}, "y": {"$ref": "#no"}}}')
    assert len(problems(folder, engine)) == 3


def test_many_ways_to_look_at_one_value_are_refused(write: Write, engine: Engine) -> None:
    levels: dict[str, Any] = {"level0": {"type": "string"}}
    for number in range(1, 20):
        below = {"$ref": f"#/$defs/level{number - 1}"}
        levels[f"level{number}"] = {"anyOf": [below, below]}
    folder = write("text", {"$defs": levels, "$ref": "#/$defs/level19"})
    (found,) = problems(folder, engine)
    assert "would look at one value" in found


def test_nothing_is_fetched_and_no_other_file_is_opened(
    write: Write, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError(f"opened {arguments}")

    (tmp_path / "secret.schema.json").write_text('{"type": "integer"}')
    write("a", {"$ref": "../secret.schema.json"})
    write("b", {"$ref": f"file://{tmp_path}/secret.schema.json"})
    folder = write("c", {"$ref": "https://json.schemastore.org/package.json"})
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    assert len(problems(folder, engine)) == 3


def test_a_link_out_of_the_folder_is_refused(write: Write, engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "outside.json").write_text("{}")
    folder = write("a", {})
    (folder / "b.schema.json").symlink_to(tmp_path / "outside.json")
    assert problems(folder, engine) == ["b.schema.json: leads out of its folder"]


def test_a_file_that_cannot_be_one_is_a_problem(
    write: Write, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write("a", {"title": "x" * 100})
    (folder / "b.schema.json").mkdir()
    (folder / "c.schema.json").symlink_to(folder / "gone")
    monkeypatch.setattr(files, "MAX_BYTES", 50)
    assert problems(folder, engine) == [
        "a.schema.json: is larger than 50 bytes",
        "b.schema.json: is no file",
        "c.schema.json: is no file",
    ]
    monkeypatch.setattr(files, "MAX_FILES", 2)
    assert "more than 2 schema files" in problems(folder, engine)[0]


@pytest.mark.parametrize("name", ["chat message", "1st", "a" * 65, "outgoing/no type"])
def test_a_file_that_seems_to_check_a_type_and_cannot_is_a_problem(
    write: Write, engine: Engine, name: str
) -> None:
    (found,) = problems(write(name, {}), engine)
    assert "no message type" in found


def test_a_file_that_says_that_it_checks_nothing_is_none(write: Write, engine: Engine) -> None:
    for name in ("_chat message", "shared/chat message", "outgoing/system", "outgoing/_x"):
        folder = write(name, {})
    assert problems(folder, engine) == []


def test_two_files_for_one_type_are_refused(write: Write, engine: Engine, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "text.schema.json").write_text("{}")
    _, found = load_rules([write("text", {}), other], engine)
    assert "is for the type 'text', too" in str(found[0])
    _, found = load_rules([tmp_path / "missing"], engine)
    assert "there is no such folder" in str(found[0])


def test_two_files_with_one_id_are_refused(write: Write, engine: Engine) -> None:
    write("a", {"$id": "https://example.org/a"})
    (found,) = problems(write("b", {"$id": "https://example.org/a"}), engine)
    assert (
        found == f"b.schema.json#/$id: https://example.org/a is {write('c', {})}/a.schema.json, too"
    )


def test_files_refer_to_each_other_by_path_by_id_and_to_metaschemas(
    write: Write, engine: Engine
) -> None:
    write("_common", {"$defs": {"name": {"type": "string", "maxLength": 3}}})
    write("shared/user", {"$id": "https://example.org/user", "properties": {"name": {"$ref": "#n"}},
                          "$defs": {"n": {"$anchor": "n", "type": "string"}}})  # fmt: skip
    write("schema", {"$ref": "https://json-schema.org/draft/2020-12/schema"})
    write("relative", {"$id": "sub/relative", "$ref": "../_common.schema.json#/$defs/name"})
    folder = write(
        "hello",
        {
            "properties": {
                "name": {"$ref": "_common.schema.json#/$defs/name"},
                "user": {"$ref": "https://example.org/user"},
                "again": {"$ref": "shared/user.schema.json"},
            }
        },
    )
    rules, found = load_rules([folder], engine)
    assert found == []
    assert sorted(rules.incoming) == ["hello", "relative", "schema"]
    valid = rules.incoming["hello"].schema.is_valid
    assert valid({"name": "ann", "user": {"name": "x"}, "again": {"name": "x"}})
    assert not valid({"name": "anna"})
    assert not valid({"user": {"name": 1}})
    assert not valid({"again": {"name": 1}})
    assert not rules.incoming["schema"].schema.is_valid({"type": "strin"})
    assert not rules.incoming["relative"].schema.is_valid("anna")


@pytest.mark.parametrize(
    ("draft", "schema", "good", "bad"),
    [
        ("https://json-schema.org/draft/2020-12/schema", {"prefixItems": [{"type": "null"}]},
         [None], [1]),
        ("https://json-schema.org/draft/2019-09/schema", {"items": [{"type": "null"}]},
         [None], [1]),
        ("http://json-schema.org/draft-07/schema#", {"dependencies": {"a": ["b"]}},
         {"a": 1, "b": 1}, {"a": 1}),
    ],
)  # fmt: skip
def test_the_schema_says_which_draft_it_is(
    draft: str, schema: dict[str, Any], good: Any, bad: Any, write: Write, engine: Engine
) -> None:
    rules, found = load_rules([write("text", {"$schema": draft, **schema})], engine)
    assert found == []
    assert rules.incoming["text"].schema.is_valid(good)
    assert not rules.incoming["text"].schema.is_valid(bad)


def test_a_file_of_one_draft_cannot_refer_to_one_of_another(write: Write, engine: Engine) -> None:
    write("_old", {"$schema": "http://json-schema.org/draft-07/schema#"})
    (found,) = problems(write("text", {"$ref": "_old.schema.json"}), engine)
    assert "is draft 7, and this is 2020-12" in found


def test_outgoing_schemas_and_parts_of_schemas_are_no_rules_for_clients(
    write: Write, engine: Engine
) -> None:
    write("outgoing/text", CHAT)
    write("outgoing/deeper/text", CHAT)
    rules, found = load_rules([write("parts/text", CHAT)], engine)
    assert (found, sorted(rules.incoming), sorted(rules.outgoing)) == ([], [], ["text"])


def test_the_catastrophic_pattern_loads_and_costs_nothing(write: Write, engine: Engine) -> None:
    folder = write("text", {"type": "string", "pattern": "^(a+)+$"})
    rules, found = load_rules([folder], engine)
    assert found == []
    assert not rules.incoming["text"].schema.is_valid("a" * 20_000 + "!")


def test_a_pattern_is_linear_wherever_it_stands(write: Write, engine: Engine) -> None:
    evil = {"^(a+)+$": {"type": "integer"}}
    places: list[Any] = [
        {"patternProperties": evil, "additionalProperties": False},
        {"patternProperties": evil, "unevaluatedProperties": False},
        {"allOf": [{"patternProperties": evil}], "unevaluatedProperties": False},
        {"propertyNames": {"pattern": "^(a+)+$"}},
        {"$schema": "https://json-schema.org/draft/2019-09/schema", "patternProperties": evil,
         "unevaluatedProperties": False},
        {"$ref": "_evil.schema.json"},
    ]  # fmt: skip
    write("_evil", {"$schema": "https://json-schema.org/draft/2020-12/schema",
                    "propertyNames": {"pattern": "^(a+)+$"}})  # fmt: skip
    for number, schema in enumerate(places):
        folder = write(f"place{number}", schema)
    rules, found = load_rules([folder], engine)
    assert found == []
    for rule in rules.incoming.values():
        assert not rule.schema.is_valid({"a" * 5_000 + "!": 1}), json.dumps(rule.file.contents)
