"""The drafts of JSON Schema that are understood, and where each keeps its subschemas."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from referencing import Specification
from referencing.jsonschema import DRAFT7, DRAFT201909, DRAFT202012


class Draft(NamedTuple):
    """One draft."""

    name: str
    uri: str
    specification: Specification[Any]
    siblings_of_ref: bool
    """Does what stands beside ``$ref`` count?"""
    recursive: tuple[str, ...] = ()
    """Its other keywords that refer to a schema."""


LATEST: Final = Draft(
    "2020-12", "https://json-schema.org/draft/2020-12/schema", DRAFT202012, True, ("$dynamicRef",)
)
DRAFTS: Final = (
    LATEST,
    Draft(
        "2019-09",
        "https://json-schema.org/draft/2019-09/schema",
        DRAFT201909,
        True,
        ("$recursiveRef",),
    ),
    Draft("7", "http://json-schema.org/draft-07/schema", DRAFT7, False),
)

_BY_URI: Final = {draft.uri: draft for draft in DRAFTS}


def draft_of(contents: Any) -> Draft | None:
    """The draft that ``$schema`` names, the latest where it names none; None: one we don't know."""
    if not isinstance(contents, dict) or "$schema" not in contents:
        return LATEST
    named = contents["$schema"]
    return _BY_URI.get(named.removesuffix("#")) if isinstance(named, str) else None


IN_PLACE: Final = frozenset(
    {"allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas", "dependencies"}
)
"""Keywords whose subschemas look at the same value, not at a part of it."""

_ONE: Final = (
    "not", "if", "then", "else", "items", "additionalItems", "additionalProperties", "contains",
    "propertyNames", "unevaluatedItems", "unevaluatedProperties", "contentSchema",
)  # fmt: skip
_LIST: Final = ("allOf", "anyOf", "oneOf", "prefixItems", "items")
_MAP: Final = (
    "properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions",
)  # fmt: skip

Key = str | int | None


def subschemas(schema: Mapping[str, Any], draft: Draft) -> Iterator[tuple[str, Key, Any]]:
    """Keyword, key or index (None: it has one) and value of each schema right below ``schema``."""
    only_definitions = "$ref" in schema and not draft.siblings_of_ref
    for keyword in _ONE:
        if not only_definitions and isinstance(schema.get(keyword), dict | bool):
            yield keyword, None, schema[keyword]
    for keyword in _LIST:
        if not only_definitions and isinstance(schema.get(keyword), list):
            for index, each in enumerate(schema[keyword]):
                yield keyword, index, each
    for keyword in _MAP:
        if only_definitions and keyword not in ("$defs", "definitions"):
            continue
        if isinstance(schema.get(keyword), dict):
            for name, each in schema[keyword].items():
                if isinstance(each, dict | bool):  # dependencies may be lists of names
                    yield keyword, name, each


def references(schema: Mapping[str, Any], draft: Draft) -> Iterator[tuple[str, str]]:
    """Keyword and URI of each reference in ``schema`` itself."""
    for keyword in ("$ref", *draft.recursive):
        if isinstance(schema.get(keyword), str):
            yield keyword, schema[keyword]
