"""Whatever a client sends, both engines decide the same and say so within bounds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from wsframe_validation.engines import MAX_TEXT, choose_engine
from wsframe_validation.files import SchemaFile
from wsframe_validation.graph import Graph
from wsframe_validation.rules import Rule

KEYS = ["a", "b", "c", "x-1", "text", "né"]
SCHEMAS: list[dict[str, Any]] = [
    {
        "type": "object",
        "properties": {
            "a": {"type": ["integer", "null"], "minimum": -5, "multipleOf": 2},
            "b": {"type": "array", "items": {"$ref": "#"}, "uniqueItems": True, "maxItems": 3},
            "c": {"enum": [1, True, "one", None, [1]]},
            "text": {"type": "string", "minLength": 1, "maxLength": 5, "pattern": "^[^<>]*$"},
        },
        "patternProperties": {"^x-\\d$": {"type": "number", "exclusiveMaximum": 3}},
        "additionalProperties": {"not": {"type": "string"}},
        "minProperties": 1,
    },
    {
        "anyOf": [
            {"type": "array", "contains": {"const": 1}, "minContains": 2},
            {"if": {"required": ["a"]}, "then": {"properties": {"a": True}}, "else": {"const": {}}},
        ],
        "unevaluatedProperties": {"type": "boolean"},
        "oneOf": [{"type": "object"}, {"minItems": 3}],
    },
    {"additionalProperties": {"not": {"type": "string"}}},
]

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.integers(-6, 6),
    st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=8), st.binary(max_size=4),
)  # fmt: skip
contents = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=12,
)


def rules(schema: dict[str, Any]) -> list[Rule]:
    """The rule of a schema with each engine."""
    uri = "https://folder-0.invalid/text.schema.json"
    file = SchemaFile(Path("text.schema.json"), uri, schema, "text", outgoing=False)
    graph = Graph([file])
    assert graph.problems == []
    engines = [choose_engine("jsonschema-rs"), choose_engine("jsonschema")]
    return [Rule(each.compile(graph, uri), None, file, graph.roots[uri]) for each in engines]


@pytest.mark.parametrize(
    "schema", [pytest.param(each, id=str(i)) for i, each in enumerate(SCHEMAS)]
)
@given(content=contents)
@example(content={"new": b"bytes"})
@example(content={"a": 2.0, "b": [{"a": 1}, {"a": 1.0}]})
@example(content={"c": 1.0})
@example(content={"c": False, "a": 2**64 - 2})
def test_any_content_gets_one_verdict(schema: dict[str, Any], content: Any) -> None:
    (fast, pure) = [rule.check(content, 5)[1] for rule in MADE[str(schema)]]
    assert bool(fast) is bool(pure), (fast, pure)
    for error in [*fast, *pure]:
        assert len(error.path) <= MAX_TEXT
        assert len(error.message) <= MAX_TEXT
    assert len(fast) <= 5
    assert len(pure) <= 5


MADE = {str(schema): rules(schema) for schema in SCHEMAS}


TREE = {"properties": {"op": {"type": "string"}, "child": {"$ref": "#"}}}
MULTIPLYING = {
    "anyOf": {"anyOf": [{**TREE, "required": ["x"]}, {**TREE, "required": ["y"]}]},
    "oneOf": {"oneOf": [{**TREE, "required": ["x"]}, {**TREE, "required": ["y"]}]},
    "allOf": {"allOf": [TREE, {**TREE, "title": "likewise"}]},
    "items": {"anyOf": [{"items": {"$ref": "#"}}, {"items": {"$ref": "#"}, "minItems": 9}]},
}


@pytest.mark.parametrize("keyword", MULTIPLYING)
@pytest.mark.parametrize("number", [0, 1], ids=["jsonschema-rs", "jsonschema"])
def test_a_schema_that_refers_to_itself_in_branches_holds_nobody_up(
    keyword: str, number: int
) -> None:
    rule = rules(MULTIPLYING[keyword])[number]
    content: Any = [7] if keyword == "items" else {"op": 7}
    for _ in range(60):  # 2 ** 60 looks at the innermost value
        content = [content] if keyword == "items" else {"child": content, "op": "b", "x": 1, "y": 1}
    begun = time.thread_time()
    rule.check(content, 10)
    assert time.thread_time() - begun < 10


def test_a_schema_with_a_few_branches_still_says_where() -> None:
    schema = {"properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}}}
    for rule in rules(schema):
        (error,) = rule.check({"a": 1}, 10)[1]
        assert error.path == "$.content.a"


@pytest.mark.parametrize(
    ("multiple", "value", "fits"),
    [
        (0.5, 10**400, True),
        (0.3, 10**400, False),
        (0.5, 1.25, False),
        (3, 10**400, False),
        (2, 10**400, True),
        (1e-300, 1e300, True),
        (2, True, True),
    ],
)
def test_multiples_of_any_size_have_a_verdict(multiple: float, value: Any, fits: bool) -> None:
    _, pure = rules({"multipleOf": multiple})
    assert (pure.check(value, 10)[1] == []) is fits
