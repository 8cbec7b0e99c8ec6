"""Which keys of a map a schema has looked at, for ``unevaluatedProperties`` (2019-09 and later).

JSON Schema core, section 11.3: those that ``properties``, ``patternProperties``,
``additionalProperties`` and ``unevaluatedProperties`` have applied to, in the schema itself and in
every schema in place that the map fits.
"""

from __future__ import annotations

from typing import Any

from referencing.jsonschema import lookup_recursive_ref

from .automata import automaton


def evaluated_keys(validator: Any, value: dict[str, Any], schema: Any) -> set[str]:
    """The keys of ``value`` that ``schema``, at which ``validator`` stands, looks at.

    Its own ``unevaluatedProperties`` is not asked: it gets what is left.
    """
    return _keys(validator, value, schema, own=True)


def _keys(validator: Any, value: dict[str, Any], schema: Any, *, own: bool = False) -> set[str]:
    if not isinstance(schema, dict):
        return set()
    if "additionalProperties" in schema or ("unevaluatedProperties" in schema and not own):
        return set(value)
    found = {key for key in value if key in schema.get("properties", {})}
    for pattern in schema.get("patternProperties", {}):
        finds = automaton(pattern).finds
        found |= {key for key in value if finds(key)}
    for inner in _references(validator, schema):
        found |= _if_valid(inner, value)
    for keyword in ("allOf", "anyOf", "oneOf"):
        for each in schema.get(keyword, ()):
            found |= _if_valid(validator.evolve(schema=each), value)
    for key, each in schema.get("dependentSchemas", {}).items():
        if key in value:
            found |= _if_valid(validator.evolve(schema=each), value)
    if "if" in schema:
        condition = validator.evolve(schema=schema["if"])
        holds = condition.is_valid(value)
        if holds:
            found |= _keys(condition, value, schema["if"])
        branch = "then" if holds else "else"
        if branch in schema:
            found |= _if_valid(validator.evolve(schema=schema[branch]), value)
    return found


def _if_valid(validator: Any, value: dict[str, Any]) -> set[str]:
    return _keys(validator, value, validator.schema) if validator.is_valid(value) else set()


def _references(validator: Any, schema: dict[str, Any]) -> list[Any]:
    """A validator for each schema that is referred to."""
    resolver = validator._resolver  # noqa: SLF001 - jsonschema gives it to nobody else
    found = []
    for keyword in ("$ref", "$dynamicRef"):
        if keyword in schema:
            target = resolver.lookup(schema[keyword])
            found.append(validator.evolve(schema=target.contents, _resolver=target.resolver))
    if "$recursiveRef" in schema:
        target = lookup_recursive_ref(resolver)
        found.append(validator.evolve(schema=target.contents, _resolver=target.resolver))
    return found
