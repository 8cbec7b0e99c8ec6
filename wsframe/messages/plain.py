"""Plain values: what the content of a message may be, the same for both codecs.

A plain value is what JSON has (null, booleans, numbers, strings, lists, maps with string keys)
and ``bytes``, with three bounds that keep a message readable for every peer:

- maps and lists are nested at most :data:`MAX_DEPTH` levels deep, the envelope counted (Ruby's
  json stops at 100 too, .NET at 64, serde_json at 128);
- integers fit in 64 bits, signed or unsigned (what MessagePack has);
- numbers are finite.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite
from typing import Any, Final

from wsframe.messages.problems import MAX_CHARACTERS

MAX_DEPTH: Final = 100
"""Levels of maps and lists in one message; the envelope is the first."""

TOO_DEEP: Final = f"Maps and lists are nested deeper than {MAX_DEPTH} levels"
"""The description of a message that is."""

MAX_SEARCHED: Final = 10_000
"""Values looked at to find the place of an error in a message that has been refused."""

_SCALARS: Final = frozenset({str, int, bool, type(None), bytes})


def is_plain(value: Any, levels: int) -> bool:
    """Is ``value`` plain, with at most ``levels`` nested maps and lists?

    Integers are not looked at: the MessagePack encoder refuses what has more than 64 bits.
    """
    kind = type(value)
    if kind is dict:
        if not levels:
            return False
        for key, item in value.items():
            if type(key) is not str:
                return False
            if type(item) not in _SCALARS and not is_plain(item, levels - 1):
                return False
        return True
    if kind is list or kind is tuple:
        if not levels:
            return False
        for item in value:
            if type(item) not in _SCALARS and not is_plain(item, levels - 1):
                return False
        return True
    if kind is float:
        return isfinite(value)
    return kind in _SCALARS


def is_deeper(value: Any, levels: int) -> bool:
    """Are maps and lists in ``value`` nested deeper than ``levels``?"""
    kind = type(value)
    if kind is dict:
        value = value.values()
    elif kind is not list and kind is not tuple:
        return False
    if not levels:
        return True
    for item in value:
        kind = type(item)
        if (kind is dict or kind is list or kind is tuple) and is_deeper(item, levels - 1):
            return True
    return False


def find_problem(value: Any, levels: int) -> tuple[str, str]:
    """Path (``$`` is ``value``) and description of the first thing in it that is not plain.

    The path is just ``$`` when it is not among the first :data:`MAX_SEARCHED` values.
    """
    for path, item, depth in walk(value):
        text = _what_is_wrong(item, levels - depth)
        if text is not None:
            return path, text
    return "$", "Something in it is not allowed"


def _what_is_wrong(item: Any, levels: int) -> str | None:
    kind = type(item)
    if kind is dict or kind is list or kind is tuple:
        if not levels:
            return TOO_DEEP
        wrong = [key for key in item if type(key) is not str] if kind is dict else []
        return f"Expected `str` as a key, got `{_name(wrong[0])}`" if wrong else None
    if kind is int:
        fits = -(2**63) <= item < 2**64
        return None if fits else "Integer value out of range: it has more than 64 bits"
    if kind is float:
        return None if isfinite(item) else "Expected a finite number"
    return None if kind in _SCALARS else f"A value of type `{_name(item)}` is not allowed"


def walk(value: Any) -> Iterator[tuple[str, Any, int]]:
    """Path, value and depth of each value within ``value``, in order.

    It ends after :data:`MAX_SEARCHED` values: looking for the place of an error in a huge message
    must not hold up everybody else.
    """
    open_: list[Iterator[tuple[str, Any]]] = [iter([("$", value)])]
    for _ in range(MAX_SEARCHED):
        while (found := next(open_[-1], None)) is None:
            open_.pop()
            if not open_:
                return
        path, item = found
        yield path, item, len(open_) - 1
        open_.append(_below(path, item))


def _below(path: str, item: Any) -> Iterator[tuple[str, Any]]:
    if type(item) is dict:
        for key, each in item.items():
            yield step(path, f".{key}"), each
    elif type(item) is list or type(item) is tuple:
        for index, each in enumerate(item):
            yield step(path, f"[{index}]"), each


def step(path: str, name: str) -> str:
    """``path`` one level further down, or itself once it is long enough to be cut anyway.

    So a huge key above a long list does not make a huge path for each of its items.
    """
    return path + name[:MAX_CHARACTERS] if len(path) <= MAX_CHARACTERS else path


def _name(value: Any) -> str:
    return type(value).__name__
