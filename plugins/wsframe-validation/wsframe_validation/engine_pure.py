"""The engine in Python: jsonschema, without the keywords that a client could make it slow by.

Replaced are ``pattern`` and its relatives (backtracking), ``uniqueItems`` (quadratic), ``anyOf``
and ``oneOf`` (which make every error of every branch before they say one), ``multipleOf`` (which
fails at integers that are no floats). What is left is counted: a schema that refers to itself in
two branches doubles the work with every level of a content, and a content can have a hundred.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import wraps
from itertools import islice
from typing import Any, Final

import jsonschema  # type: ignore[import-untyped]  # its types are another package
import msgspec
from jsonschema import validators
from jsonschema.exceptions import ValidationError  # type: ignore[import-untyped]

from .automata import automaton
from .drafts import Draft
from .engines import Error, make_error
from .evaluated import evaluated_keys
from .graph import Graph

Errors = Iterator[ValidationError]

MAX_WORK: Final = 10_000
"""Keywords that are looked at for one content; a fraction of a second."""


class _TooMuch(Exception):
    """A content would take too long."""


class _Work(threading.local):
    """What may still be done for the content that this thread checks."""

    left = 0


_work = _Work()


def _counted(keyword: Callable[..., Errors | None]) -> Callable[..., Errors]:
    """The same keyword, which counts how often it is asked."""

    @wraps(keyword)
    def counted(validator: Any, wanted: Any, value: Any, schema: Any) -> Errors:
        _work.left -= 1
        if _work.left < 0:
            raise _TooMuch
        yield from keyword(validator, wanted, value, schema) or ()

    return counted


def _multiple_of(_: Any, wanted: Any, value: Any, __: Any) -> Errors:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    try:
        if isinstance(wanted, float):
            quotient = value / wanted
            fits = int(quotient) == quotient
        else:
            fits = not value % wanted
    except OverflowError:  # too large for a float, or a quotient that is none
        fits = not Fraction(value) % Fraction(repr(wanted))
    if not fits:
        yield ValidationError(f"the value is no multiple of {wanted}")


def _pattern(_: Any, pattern: str, value: Any, __: Any) -> Errors:
    if isinstance(value, str) and not automaton(pattern).finds(value):
        yield ValidationError(f"the value does not match {pattern!r}")


def _properties(validator: Any, properties: Any, value: Any, _: Any) -> Errors:
    if isinstance(value, dict):
        for key, schema in properties.items():
            if key not in value:
                continue
            if schema is False:  # jsonschema would not say where
                yield ValidationError("nothing is allowed here", validator=None, path=[key])
            else:
                yield from validator.descend(value[key], schema, path=key, schema_path=key)


def _pattern_properties(validator: Any, patterns: Any, value: Any, _: Any) -> Errors:
    if isinstance(value, dict):
        for pattern, schema in patterns.items():
            finds = automaton(pattern).finds
            for key, each in value.items():
                if finds(key):
                    yield from validator.descend(each, schema, path=key, schema_path=pattern)


def _additional_properties(validator: Any, schema: Any, value: Any, parent: Any) -> Errors:
    if not isinstance(value, dict):
        return
    properties = parent.get("properties", {})
    finders = [automaton(pattern).finds for pattern in parent.get("patternProperties", {})]
    more = [
        key for key in value if key not in properties and not any(finds(key) for finds in finders)
    ]
    if schema is False:
        if more:
            yield _unexpected(more)
    else:
        for key in more:
            yield from validator.descend(value[key], schema, path=key)


def _unevaluated_properties(validator: Any, schema: Any, value: Any, parent: Any) -> Errors:
    if not isinstance(value, dict):
        return
    seen = evaluated_keys(validator, value, parent)
    more = [key for key in value if key not in seen]
    if schema is False:
        if more:
            yield _unexpected(more)
    else:
        for key in more:
            yield from validator.descend(value[key], schema, path=key)


def _unexpected(keys: Iterable[str]) -> ValidationError:
    shown = ", ".join(repr(key[:50]) for key in islice(keys, 5))
    return ValidationError(f"unexpected: {shown}")


def _any_of(validator: Any, schemas: Any, value: Any, _: Any) -> Errors:
    if not any(validator.evolve(schema=each).is_valid(value) for each in schemas):
        yield ValidationError("the value fits none of the schemas")


def _one_of(validator: Any, schemas: Any, value: Any, _: Any) -> Errors:
    fits = sum(1 for each in schemas if validator.evolve(schema=each).is_valid(value))
    if fits != 1:
        yield ValidationError(f"the value fits {fits} of the schemas, not exactly one")


def _unique_items(_: Any, wanted: Any, value: Any, __: Any) -> Errors:
    if wanted and isinstance(value, list) and len({_frozen(each) for each in value}) < len(value):
        yield ValidationError("the value has equal items")


def _frozen(value: Any) -> Any:
    """Something hashable, equal for values that are equal in JSON: 1 and 1.0, not 1 and true."""
    if isinstance(value, bool) or value is None:
        return (value,)
    if isinstance(value, dict):
        return frozenset((key, _frozen(each)) for key, each in value.items())
    if isinstance(value, list):
        return ("list", *(_frozen(each) for each in value))
    return value


_REPLACED: Final[Mapping[str, Callable[..., Errors]]] = {
    "pattern": _pattern,
    "properties": _properties,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "uniqueItems": _unique_items,
    "multipleOf": _multiple_of,
}
_SINCE_2019: Final = {**_REPLACED, "unevaluatedProperties": _unevaluated_properties}


def _made(stock: Any, replaced: Mapping[str, Callable[..., Errors]]) -> Any:
    keywords = {**stock.VALIDATORS, **replaced}
    return validators.extend(stock, {name: _counted(each) for name, each in keywords.items()})


_VALIDATORS: Final[Mapping[str, Any]] = {
    "2020-12": _made(jsonschema.Draft202012Validator, _SINCE_2019),
    "2019-09": _made(jsonschema.Draft201909Validator, _SINCE_2019),
    "7": _made(jsonschema.Draft7Validator, _REPLACED),
}
_STOCK: Final[Mapping[str, Any]] = {
    "2020-12": jsonschema.Draft202012Validator,
    "2019-09": jsonschema.Draft201909Validator,
    "7": jsonschema.Draft7Validator,
}


class PureEngine:
    """See :class:`wsframe_validation.engines.Engine`."""

    name = "jsonschema"

    def check(self, schema: Any, draft: Draft) -> list[tuple[str, str]]:
        """JSON Pointer and reason of what the metaschema forbids in a schema."""
        stock = _STOCK[draft.name]
        try:
            return [
                ("".join(f"/{step}" for step in error.absolute_path), error.message)
                for error in stock(stock.META_SCHEMA).iter_errors(schema)
            ]
        except RecursionError:
            return [("", "it is nested too deeply for jsonschema")]

    def compile(self, graph: Graph, uri: str) -> PureSchema:
        """Make the schema of a file ready."""
        root = graph.roots[uri]
        made = _VALIDATORS[root.draft.name]
        resource = root.draft.specification.create_resource(root.schema)
        resolver = graph.registry.resolver(uri).in_subresource(resource)
        return PureSchema(made(root.schema, registry=graph.registry, _resolver=resolver))


class PureSchema:
    """A schema that jsonschema walks through for each value."""

    __slots__ = ("_validator",)

    def __init__(self, validator: Any) -> None:
        self._validator = validator

    def is_valid(self, value: Any, /) -> bool:
        """Does a value fit? Nested too deeply for the schema, or too much work: no."""
        _work.left = MAX_WORK
        try:
            # jsonschema would let bytes pass, as something that has no type.
            return bool(self._validator.is_valid(msgspec.to_builtins(value)))
        except (RecursionError, _TooMuch):
            return False

    def errors(self, value: Any, limit: int) -> list[Error]:
        """The first errors, at most ``limit``."""
        found: list[Error] = []
        _work.left = MAX_WORK
        try:
            for error in islice(self._validator.iter_errors(value), limit):
                keyword = "false" if error.validator is None else error.validator
                found.append(make_error(list(error.absolute_path), keyword, error.message))
        except RecursionError:
            found = [make_error((), "", "it is nested too deeply for its schema")]
        except _TooMuch:
            found = found or [make_error((), "", "it is too large, or too deep, for its schema")]
        return found
