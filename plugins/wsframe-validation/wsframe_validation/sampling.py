"""A message that fits a schema, made up from the schema alone.

It is built from what the schema demands and then checked; where alternatives are open, other
choices are tried. JSON Schema can demand what nobody can make up (it can encode puzzles), so there
may be no sample; a wrong one there never is.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

from .automata import automaton
from .graph import Node
from .patterns import CharacterClass, Choice, Pattern, Repeat, Sequence_, parse
from .rules import Rule

ATTEMPTS: Final = 300
MAX_DEPTH: Final = 12

_FORMATS: Final = {
    "date-time": "2026-01-31T10:00:00Z",
    "date": "2026-01-31",
    "time": "10:00:00Z",
    "duration": "PT1H",
    "email": "ann@example.org",
    "hostname": "example.org",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.org/",
    "uri-reference": "/example",
    "uuid": "123e4567-e89b-42d3-a456-426614174000",
}
_CHARACTERS: Final = (
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_ .,:;!?@#$%&/()[]{}<>=+*~^|'"
    '"\\\t\n\réßαя中😀'
)
_MISSING: Final[Any] = object()


class NoSample(ValueError):
    """Nothing was found that fits."""


def make_sample(rule: Rule, seed: int = 0) -> Any:
    """A content that fits the rule.

    Args:
        rule: a message type's.
        seed: another one may give another sample.

    Raises:
        NoSample: none was found.
    """
    for attempt in range(ATTEMPTS):
        chance = random.Random(seed * ATTEMPTS + attempt)  # noqa: S311 - samples, not secrets
        maker = _Maker(chance, keen=attempt % 3 == 0)
        try:
            value = maker.value([rule.node], 0)
        except NoSample:
            continue
        if rule.schema.is_valid(value):
            return value
    raise NoSample(f"no content for {rule.file.message_type!r} was found in {ATTEMPTS} attempts")


class _Maker:
    """One attempt. ``keen``: with optional properties."""

    def __init__(self, chance: random.Random, *, keen: bool) -> None:
        self._chance = chance
        self._keen = keen

    def value(self, nodes: Sequence[Node], depth: int) -> Any:
        """A value for all of ``nodes`` at once."""
        demands = self._demands(nodes)
        if depth > MAX_DEPTH:
            raise NoSample
        fixed = self._fixed(demands)
        if fixed is not _MISSING:
            return fixed
        kind = self._kind(demands)
        if kind == "object":
            return self._object(demands, depth)
        if kind == "array":
            return self._array(demands, depth)
        if kind == "string":
            return self._string(demands)
        if kind in ("integer", "number"):
            return self._number(demands, whole=kind == "integer")
        return self._chance.random() < 0.5 if kind == "boolean" else None

    def _demands(self, nodes: Sequence[Node]) -> list[Node]:
        """Every schema that the value must fit, after choosing among alternatives."""
        found: dict[int, Node] = {}
        left = list(nodes)
        while left:
            node = left.pop()
            if node.schema is False:
                raise NoSample
            if id(node) in found or node.schema is True:
                continue
            found[id(node)] = node
            for keyword, _, part in node.parts:
                if keyword in ("$ref", "allOf"):
                    left.append(part)
            for keyword in ("anyOf", "oneOf"):
                options = [part for _, part in node.of(keyword)]
                if options:
                    left.append(self._chance.choice(options))
            if "if" in node.schema:
                branch = self._chance.choice(("then", "else"))
                left += [part for _, part in node.of(branch)]
                left += [part for _, part in node.of("if") if branch == "then"]
        return list(found.values())

    def _fixed(self, demands: list[Node]) -> Any:
        for node in demands:
            if "const" in node.schema:
                return node.schema["const"]
        for node in demands:
            for keyword in ("enum", "examples"):
                values = node.schema.get(keyword)
                if isinstance(values, list) and values:
                    return self._chance.choice(values)
            if "default" in node.schema and self._chance.random() < 0.5:
                return node.schema["default"]
        return _MISSING

    def _kind(self, demands: list[Node]) -> str:
        allowed = {"object", "array", "string", "integer", "number", "boolean", "null"}
        for node in demands:
            named = node.schema.get("type")
            if named is not None:
                names = {named} if isinstance(named, str) else set(named)
                allowed &= names | ({"integer"} if "number" in names else set())
        if not allowed:
            raise NoSample
        for kind, hints in (
            ("object", ("properties", "required", "minProperties", "additionalProperties")),
            ("array", ("items", "prefixItems", "minItems", "contains")),
            ("string", ("pattern", "minLength", "maxLength", "format")),
            ("integer", ("minimum", "maximum", "multipleOf")),
        ):
            if kind in allowed and any(hint in node.schema for node in demands for hint in hints):
                return kind
        return "object" if "object" in allowed else self._chance.choice(sorted(allowed))

    def _object(self, demands: list[Node], depth: int) -> dict[str, Any]:
        required = {key for node in demands for key in node.schema.get("required", ())}
        known: dict[str, list[Node]] = {}
        for node in demands:
            for key, part in node.of("properties"):
                known.setdefault(str(key), []).append(part)
        least = max((node.schema.get("minProperties", 0) for node in demands), default=0)
        result: dict[str, Any] = {}
        for key in [*sorted(required), *(key for key in known if key not in required)]:
            if key in required or len(result) < least or (self._keen and depth < 4):
                try:
                    result[key] = self.value(self._of_key(demands, known, key), depth + 1)
                except NoSample:
                    if key in required:
                        raise
        for node in demands:
            for key, names in node.schema.get("dependentRequired", {}).items():
                if key in result:
                    for name in names:
                        parts = self._of_key(demands, known, name)
                        result.setdefault(name, self.value(parts, depth + 1))
        patterns = [str(key) for node in demands for key, _ in node.of("patternProperties")]
        while len(result) < least:
            key = self._text(parse(self._chance.choice(patterns))) if patterns else "key"
            key += str(len(result)) if key in result or not patterns else ""
            result[key] = self.value(self._of_key(demands, known, key), depth + 1)
        return result

    @staticmethod
    def _of_key(demands: list[Node], known: dict[str, list[Node]], key: str) -> list[Node]:
        parts = list(known.get(key, ()))
        for node in demands:
            matching = [
                part
                for pattern, part in node.of("patternProperties")
                if automaton(str(pattern)).finds(key)
            ]
            parts += matching
            if not matching and key not in node.schema.get("properties", {}):
                parts += [part for _, part in node.of("additionalProperties")]
        return parts

    def _array(self, demands: list[Node], depth: int) -> list[Any]:
        least = max((node.schema.get("minItems", 0) for node in demands), default=0)
        prefixes = [
            [
                part
                for keyword in ("prefixItems", "items")
                for key, part in node.of(keyword)
                if key is not None
            ]
            for node in demands
        ]
        rest = [part for node in demands for key, part in node.of("items") if key is None]
        wanted = [part for node in demands for _, part in node.of("contains")]
        most = min((node.schema.get("maxItems", 1_000) for node in demands), default=1_000)
        length = max(least, len(wanted), min(most, max(map(len, prefixes), default=0), 20))
        if self._keen and rest and not length:
            length = min(1, most)
        result = []
        for index in range(min(length, 1_000)):
            own = [each[index] for each in prefixes if index < len(each)] or list(rest)
            if index < len(wanted):
                own.append(wanted[index])
            result.append(self.value(own, depth + 1))
        return result

    def _string(self, demands: list[Node]) -> str:
        least = max((node.schema.get("minLength", 0) for node in demands), default=0)
        most = min((node.schema.get("maxLength", 10_000) for node in demands), default=10_000)
        for node in demands:
            if "pattern" in node.schema:
                text = self._text(parse(node.schema["pattern"]), least)
                break
        else:
            named = [node.schema.get("format") for node in demands]
            text = next((_FORMATS[each] for each in named if each in _FORMATS), "text")
            text = text[:most]
        return text + "x" * (least - len(text)) if len(text) < least <= 10_000 else text

    def _text(self, pattern: Pattern, wanted: int = 0) -> str:
        """A text that the pattern finds; its repetitions go on towards ``wanted`` characters."""
        if isinstance(pattern, CharacterClass):
            fitting = [each for each in _CHARACTERS if pattern.has(each)]
            if not fitting:
                if not pattern.ranges:
                    raise NoSample
                return chr(pattern.ranges[0][0])
            return fitting[0] if self._keen else self._chance.choice(fitting)
        if isinstance(pattern, Sequence_):
            return "".join(self._text(part, wanted) for part in pattern.parts)
        if isinstance(pattern, Choice):
            return self._text(self._chance.choice(pattern.options), wanted)
        if isinstance(pattern, Repeat):
            most = pattern.most if pattern.most is not None else max(pattern.least, wanted)
            times = min(max(pattern.least, wanted), most)
            return "".join(self._text(pattern.part) for _ in range(times))
        return ""

    def _number(self, demands: list[Node], *, whole: bool) -> int | float:
        schemas = [node.schema for node in demands]
        low = [each["minimum"] for each in schemas if "minimum" in each]
        low += [each["exclusiveMinimum"] + 1 for each in schemas if "exclusiveMinimum" in each]
        high = [each["maximum"] for each in schemas if "maximum" in each]
        high += [each["exclusiveMaximum"] - 1 for each in schemas if "exclusiveMaximum" in each]
        steps = [each["multipleOf"] for each in schemas if "multipleOf" in each]
        value: int | float = max(low) if low else min(0, *high) if high else 0
        if high and value > min(high):  # between two neighbours
            value = (value - 1 + min(high) + 1) / 2
        if steps:
            step = max(steps)
            value = -(-value // step) * step
        if whole:
            value = int(-(-value // 1))
        return value
