"""A sample is made from a schema, and always fits it."""

from __future__ import annotations

from typing import Any

import pytest
from wsframe_validation.engines import Engine, choose_engine
from wsframe_validation.rules import load_rules
from wsframe_validation.sampling import NoSample, make_sample

from .conftest import Write

SCHEMAS: list[Any] = [
    True,
    {"type": "null"},
    {"type": "boolean"},
    {"type": "string", "minLength": 5, "maxLength": 6},
    {"type": "string", "format": "date-time"},
    {"type": "string", "pattern": "^[A-Z]{2}\\d{4,}(-x|-y)?$", "minLength": 8},
    {"type": "string", "pattern": "^\\p{Lu}[^a-z]$"},
    {"type": "string", "pattern": "^\\u{4E2D}$"},
    {"type": "integer", "minimum": 3, "multipleOf": 5},
    {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "number", "maximum": -1},
    {"enum": ["a", 2]},
    {"const": {"a": [1]}},
    {"type": "array", "minItems": 3, "items": {"type": "integer"}},
    {"type": "array", "prefixItems": [{"type": "string"}, {"const": 1}], "items": False},
    {"type": "array", "contains": {"const": 7}, "minItems": 2},
    {"type": "array", "uniqueItems": True, "minItems": 2, "items": {"enum": [1, 2, 3]}},
    {"type": "object", "required": ["a", "b"], "properties": {"a": {"type": "string"}}},
    {"type": "object", "minProperties": 2, "patternProperties": {"^x-\\w+$": {"type": "null"}},
     "additionalProperties": False},
    {"type": "object", "minProperties": 3},
    {"type": "object", "required": ["a"], "dependentRequired": {"a": ["b"]},
     "properties": {"b": {"type": "integer"}}},
    {"oneOf": [{"type": "object", "required": ["a"]}, {"type": "object", "required": ["b"]}]},
    {"anyOf": [False, {"type": "string", "minLength": 3}]},
    {"allOf": [{"required": ["a"]}, {"properties": {"a": {"minimum": 2, "type": "number"}}}]},
    {"if": {"properties": {"k": {"const": 1}}, "required": ["k"]}, "then": {"required": ["v"]},
     "else": False},
    {"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["name"]},
    {"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}}}},
    {"examples": [{"text": "its author's"}], "type": "object", "propertyNames": {"minLength": 4}},
    {"default": 3, "type": "integer"},
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(SCHEMAS)))
def test_a_sample_fits_its_schema(number: int, write: Write, engine: Engine) -> None:
    rules, problems = load_rules([write("text", SCHEMAS[number])], engine)
    assert problems == []
    for seed in range(3):
        assert rules.incoming["text"].schema.is_valid(make_sample(rules.incoming["text"], seed))


def test_the_same_seed_gives_the_same_sample(write: Write) -> None:
    rules, _ = load_rules([write("text", {"enum": list(range(1000))})], choose_engine())
    rule = rules.incoming["text"]
    assert make_sample(rule, 4) == make_sample(rule, 4)
    assert len({make_sample(rule, seed) for seed in range(20)}) > 5


@pytest.mark.parametrize(
    "schema",
    [
        False,
        {"not": {}},
        {"type": "string", "enum": [1]},
        {"allOf": [{"type": "string"}, {"type": "null"}]},
        {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}},
    ],
)
def test_what_nothing_fits_has_no_sample(schema: Any, write: Write) -> None:
    rules, problems = load_rules([write("text", schema)], choose_engine())
    assert problems == []
    with pytest.raises(NoSample):
        make_sample(rules.incoming["text"])
