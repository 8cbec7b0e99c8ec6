"""Which scopes a message type or a room needs.

The exact name counts first, then the longest pattern that fits. So an exception is written as a
longer pattern, and the order in the file does not matter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final, NoReturn

from wsframe import Identity, Refused

ANYBODY_AUTHENTICATED = "*"
"""Stands in a list of scopes for: whoever has authenticated."""

BY_DEFAULT: Final[dict[str, frozenset[str] | None]] = {
    "allow": frozenset(),
    "authenticated": frozenset({ANYBODY_AUTHENTICATED}),
    "deny": None,
}
"""The scopes that a type needs which no pattern names; None: nobody may send it."""

_PATTERN = re.compile(r"[\w.:@/#*-]{1,128}")
_CACHED = 1024


def check_pattern(setting: str, pattern: str) -> None:
    """See that a key of ``permissions`` or ``rooms`` is a name or a pattern.

    Raises:
        ValueError: it is not.
    """
    if not _PATTERN.fullmatch(pattern):
        raise ValueError(
            f"{setting}: {pattern!r} is neither a name nor a pattern; '*' stands for any characters"
        )


class Patterns:
    """Scopes by name or pattern.

    Args:
        needed: as configured: scopes by pattern.
    """

    def __init__(self, needed: Mapping[str, Sequence[str]]) -> None:
        self._exact = {name: frozenset(scopes) for name, scopes in needed.items()}
        ordered = sorted((each for each in needed if "*" in each), key=len, reverse=True)
        self._patterns = [(_compiled(each), len(each), frozenset(needed[each])) for each in ordered]
        # Names come from strangers: only so many are remembered.
        self.find = lru_cache(_CACHED)(self._find)

    def _find(self, name: str) -> frozenset[str] | None:
        """The scopes that ``name`` needs; None: no pattern names it.

        Of two patterns of the same length, both count.
        """
        if name in self._exact and "*" not in name:
            return self._exact[name]
        found: frozenset[str] | None = None
        longest = 0
        for pattern, length, scopes in self._patterns:
            if length < longest:
                break
            if pattern.fullmatch(name):
                found, longest = scopes | (found or frozenset()), length
        return found


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in re.split(r"\*+", pattern)), re.DOTALL)


def require(needed: frozenset[str], identity: Identity, message: str | None = None) -> None:
    """See that an identity has what is needed.

    Raises:
        Refused: ``unauthenticated`` for the anonymous, ``forbidden`` for anybody else.
    """
    if not permits(needed, identity):
        deny(identity, message)


def permits(needed: frozenset[str], identity: Identity) -> bool:
    """Has an identity what is needed?"""
    if not needed:
        return True
    return not identity.anonymous and needed - {ANYBODY_AUTHENTICATED} <= identity.scopes


def deny(identity: Identity, message: str | None = None) -> NoReturn:
    """Refuse what an identity lacks the scopes for.

    Raises:
        Refused: always, as :func:`require` does.
    """
    if identity.anonymous:
        raise Refused("unauthenticated")
    raise Refused("forbidden", message)
