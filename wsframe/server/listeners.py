"""Who listens to what: functions, by the name of what they are called for."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any, Final

from ..errors import ConfigError


class Listeners:
    """The functions that are called for each of a few names, in the order they were added.

    Args:
        names: all there are.
        what: what a name stands for, for errors: ``event``.
    """

    def __init__(self, names: Iterable[str], what: str) -> None:
        self._what: Final = what
        self._functions: dict[str, list[Callable[..., Any]]] = {name: [] for name in names}

    @property
    def lists(self) -> list[list[Callable[..., Any]]]:
        """The functions of each name."""
        return list(self._functions.values())

    def add(self, name: str, function: Callable[..., Any]) -> None:
        """Call ``function`` for ``name``.

        Raises:
            ConfigError: there is no such name.
        """
        if name not in self._functions:
            near = difflib.get_close_matches(name, self._functions, n=1)
            known = f"Known: {', '.join(self._functions)}."
            raise ConfigError(
                f"there is no {self._what} {name!r}",
                hint=f"Did you mean {near[0]!r}?" if near else known,
            )
        self._functions[name].append(function)

    def of(self, name: str) -> tuple[Callable[..., Any], ...]:
        """The functions of ``name``, as they are now."""
        return tuple(self._functions[name])
