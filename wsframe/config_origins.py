"""A value that somebody gave to a setting, and how an error about it reads."""

from __future__ import annotations

from enum import IntEnum
from typing import Any, NamedTuple

from wsframe.errors import ConfigError
from wsframe.redaction import redact_value

_LONGEST_SHOWN = 80


class Rank(IntEnum):
    """The sources of settings, weakest first."""

    FILE = 0
    ENVIRONMENT = 1
    COMMAND_LINE = 2
    ARGUMENT = 3


class Origin(NamedTuple):
    """Where a value came from."""

    rank: Rank
    where: str
    """In words: ``wsframe.toml:3``, ``WSFRAME_PORT``, ``command line``, ``App(...)``."""


class Given(NamedTuple):
    """One source's value of one setting."""

    key: str
    """Dotted, as in ``plugins.disable``."""
    value: Any
    origin: Origin


def show(key: str, value: Any) -> str:
    """The value as people write it, without secrets."""
    value = redact_value(key.rpartition(".")[2], value)
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        # repr escapes control characters; the quotes are those of TOML.
        text = '"' + repr(str(value))[1:-1] + '"'
    elif isinstance(value, list | tuple):
        text = "[" + ", ".join(show(key, item) for item in value) + "]"
    else:
        text = str(value)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"


def refuse(given: Given, problem: str, *, hint: str | None = None) -> ConfigError:
    """The error that says what is wrong with a value: where it stands, key, value, problem."""
    value = show(given.key, given.value)
    return ConfigError(f"{given.origin.where}: {given.key} = {value}: {problem}", hint=hint)
