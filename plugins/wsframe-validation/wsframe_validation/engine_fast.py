"""The compiled engine: jsonschema-rs, with regular expressions in linear time and no retrieval."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import jsonschema_rs

from .drafts import IN_PLACE, Draft
from .engines import Error, make_error
from .graph import Graph, Node

MAX_SEARCHED: Final = 500
"""Values of a content in which every error is looked for. jsonschema-rs makes all of them before it
hands out the first, so a large content could make it busy for seconds."""

MAX_LOOKS: Final = 200
"""How often errors of one value may be looked for. jsonschema-rs makes those of every branch of
``anyOf`` and ``oneOf``, and within a branch those of its branches: with a schema that refers to
itself in two of them, a content of a hundred bytes would keep it busy for hours."""
_BRANCHES: Final = ("anyOf", "oneOf")
_LEVELS: Final = 20
"""Levels of a content over which it is counted how often a value is looked at."""
_STEPS: Final = 4
"""Schemas from one level to the next, such as a branch, a property and a reference."""

_VALIDATORS: Final[Mapping[str, Any]] = {
    "2020-12": (jsonschema_rs.Draft202012Validator, jsonschema_rs.Draft202012),
    "2019-09": (jsonschema_rs.Draft201909Validator, jsonschema_rs.Draft201909),
    "7": (jsonschema_rs.Draft7Validator, jsonschema_rs.Draft7),
}


class FastEngine:
    """See :class:`wsframe_validation.engines.Engine`."""

    name = "jsonschema-rs"

    def __init__(self) -> None:
        self._metaschemas: dict[str, Any] = {}
        self._registries: dict[tuple[int, str], Any] = {}

    def check(self, schema: Any, draft: Draft) -> list[tuple[str, str]]:
        """JSON Pointer and reason of what the metaschema forbids in a schema."""
        validator = self._metaschemas.get(draft.name)
        if validator is None:
            made, _ = _VALIDATORS[draft.name]
            validator = made({"$ref": draft.uri}, validate_formats=False, offline=True)
            self._metaschemas[draft.name] = validator
        return [
            ("".join(f"/{step}" for step in error.instance_path), error.message)
            for error in validator.iter_errors(schema)
        ]

    def compile(self, graph: Graph, uri: str) -> FastSchema:
        """Make the schema of a file ready; ValueError: it cannot be used."""
        root = graph.roots[uri]
        made, number = _VALIDATORS[root.draft.name]
        documents = [
            (each, node.schema) for each, node in graph.roots.items() if node.draft is root.draft
        ]
        registry = jsonschema_rs.Registry(documents, draft=number)
        validator = made(
            root.schema,
            validate_formats=False,
            registry=registry,
            base_uri=uri,
            pattern_options=jsonschema_rs.RegexOptions(),
            mask="the value",
            offline=True,
        )
        return FastSchema(validator, root)


class FastSchema:
    """A compiled schema."""

    __slots__ = ("_branches", "_multiplies", "_validator", "is_valid")

    def __init__(self, validator: Any, root: Node) -> None:
        self.is_valid = validator.is_valid
        self._validator = validator
        self._branches = any(
            keyword in node.schema
            for node in root.reachable()
            if isinstance(node.schema, dict)
            for keyword in _BRANCHES
        )
        self._multiplies = _looks(root) > MAX_LOOKS

    def errors(self, value: Any, limit: int) -> list[Error]:
        """The first errors; of a large value only one, without its place where that is costly."""
        if self._multiplies:
            if self.is_valid(value):
                return []
            return [
                make_error((), "", "it does not fit; its schema has too many ways to say where")
            ]
        if _is_small(value):
            found = self._validator.iter_errors(value)
            return [_error(each) for each, _ in zip(found, range(limit), strict=False)]
        if self._branches:
            # The reasons of every branch would be made for every part of the value.
            return [make_error((), "", "it does not fit, and is too large to say where")]
        try:
            self._validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            return [_error(error)]
        return []


def _looks(root: Node) -> int:
    """How often errors of one and the same value may be looked for, at most; then it stops."""
    nodes = root.reachable()
    looks = dict.fromkeys(map(id, nodes), 1)
    for _ in range(_LEVELS * _STEPS):
        below = {id(node): _looks_below(node, looks) for node in nodes}
        if below == looks or looks[id(root)] > MAX_LOOKS:
            break
        looks = below
    return looks[id(root)]


def _looks_below(node: Node, looks: Mapping[int, int]) -> int:
    parts = in_place = 0
    for keyword, _, part in node.parts:
        known = looks.get(id(part), 0)  # 0: it looks at nothing, like a definition
        if keyword in IN_PLACE or keyword == "$ref":
            in_place += known * (2 if keyword in _BRANCHES else 1)
        else:
            parts = max(parts, known)
    return min(max(parts + in_place, 1), 10 * MAX_LOOKS)


def _error(error: Any) -> Error:
    keyword = "false" if error.kind.name == "falseSchema" else str(error.kind.name)
    return make_error(error.instance_path, keyword, error.message)


def _is_small(value: Any) -> bool:
    left, seen = [value], 0
    while left:
        value = left.pop()
        if isinstance(value, dict):
            seen += len(value)
            left += value.values() if seen <= MAX_SEARCHED else ()
        elif isinstance(value, list):
            seen += len(value)
            left += value if seen <= MAX_SEARCHED else ()
        if seen > MAX_SEARCHED:
            return False
    return True
