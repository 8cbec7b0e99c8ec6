"""What is known about each setting: its type in words, and how a text becomes its value.

Read from the struct itself, so that the checks, the error messages and the reference page cannot
disagree with it. Plugins' own ``Config`` structs go through the same code.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin

import msgspec
from msgspec import inspect as types

from wsframe.config import Config, PluginSettings

DEBUG_SUBJECTS: Final = ("protocol", "messages", "hooks", "server")
"""What ``debug`` (``WSFRAME_DEBUG``) can trace; each is the logger ``wsframe.<subject>``."""

_WORDS_FOR_TRUE: Final = frozenset({"true", "yes", "on", "1"})
_WORDS_FOR_FALSE: Final = frozenset({"false", "no", "off", "0"})
_FORMER_NAMES: Final = {
    "max_payload": "max_message_bytes",
    "max_message_size": "max_message_bytes",
    "enable_compression": "compression",
    "per_message_deflate": "compression",
    "message_max_retries": "max_retries",
    "ping_interval": "heartbeat_interval_s",
    "ping_timeout": "heartbeat_timeout_s",
    "bind": "host",
    "ssl_certfile": "tls_certificate_file",
    "ssl_keyfile": "tls_key_file",
    "tls_cert": "tls_certificate_file",
    "tls_key": "tls_key_file",
    "plugins.disabled": "plugins.disable",
    "plugins.enable": "plugins.only",
    "plugins.enabled": "plugins.only",
}
"""What other servers call it; an unknown setting of such a name gets a hint that helps."""


class Text(str):
    """A value that came as text (environment, command line): it is read as its field's type."""

    __slots__ = ()


class Setting(NamedTuple):
    """One setting, what it may be, and what it is when nobody sets it."""

    key: str
    """Dotted, as in ``plugins.disable``."""
    type: Any
    """Its annotation, range included."""
    default: Any


@cache
def settings() -> dict[str, Setting]:
    """Every setting of wsframe itself by dotted key, in the order of the struct."""
    found = {}
    for struct, prefix in ((Config, ""), (PluginSettings, "plugins.")):
        for field in msgspec.structs.fields(struct):
            if field.name not in {"plugins", "settings"}:
                key = prefix + field.name
                found[key] = Setting(key, field.type, field.default)
    return found


def describe(annotation: Any) -> str:
    """A type and its range in words that complete the sentence "it must be …"."""
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(str(value) for value in get_args(annotation))
    return _words(types.type_info(annotation))


def _words(type_: types.Type) -> str:
    match type_:
        case types.UnionType(types=options):
            named = [_words(each) for each in options if not isinstance(each, types.NoneType)]
            return " or ".join(named) + (", or none" if len(named) < len(options) else "")
        case types.BoolType():
            return "true or false"
        case types.IntType():
            return f"a whole number{_range(type_)}"
        case types.FloatType():
            return f"a number{_range(type_)}"
        case types.StrType():
            return "a text"
        case types.LiteralType(values=values):
            return "one of " + ", ".join(str(value) for value in values)
        case types.ListType() | types.VarTupleType() | types.SetType() | types.FrozenSetType():
            return f"a list, each item {_words(type_.item_type)}"
        case types.DictType() | types.StructType():
            return "a table"
        case _:
            return "a value of another type"


def _range(type_: types.IntType | types.FloatType) -> str:
    low, above, high = type_.ge, type_.gt, type_.le
    if low is not None and high is not None:
        return f" from {low} to {high}"
    parts = []
    if low is not None:
        parts.append("not negative" if low == 0 else f"at least {low}")
    if above is not None:
        parts.append(f"above {above}")
    if high is not None:
        parts.append(f"at most {high}")
    return ", " + " and ".join(parts) if parts else ""


def read_value(value: Any, annotation: Any) -> Any:
    """``value`` as the type ``annotation``: a :class:`Text` is parsed, anything else only checked.

    ``none`` stands for None where a setting may be None (TOML has no null), and the words of a
    choice may be in capitals.

    Raises:
        ValueError: it is not; the message says what it must be.
    """
    type_ = types.type_info(annotation)
    is_none = value is None or (isinstance(value, str) and value.lower() == "none")
    if is_none and isinstance(type_, types.UnionType) and _may_be_none(type_):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"must be {describe(annotation)}")
    if isinstance(value, str) and isinstance(type_, types.LiteralType):
        value = value.lower()
    if isinstance(value, Text):
        value = _parse(value, annotation)
    try:
        return msgspec.convert(value, type=annotation)
    except msgspec.ValidationError as error:
        raise ValueError(_problem(error, annotation)) from None


def _problem(error: msgspec.ValidationError, annotation: Any) -> str:
    words = describe(annotation)
    message, inside, path = str(error).partition(" - at `$")
    if "table" in words and (inside or not message.startswith("Expected")):
        # What is wrong inside of the table, or what its own check has said.
        return (message + (f" at {path.strip('`.')}" if inside else "")).replace("`", "")
    return f"must be {words}"


def _may_be_none(type_: types.UnionType) -> bool:
    return any(isinstance(each, types.NoneType) for each in type_.types)


def _parse(text: Text, annotation: Any) -> Any:
    type_ = types.type_info(annotation)
    if isinstance(type_, types.UnionType):
        (type_, *others) = (each for each in type_.types if not isinstance(each, types.NoneType))
        if others:
            return str(text)
    stripped = text.strip()
    try:
        match type_:
            case types.BoolType():
                if stripped.lower() in _WORDS_FOR_TRUE:
                    return True
                if stripped.lower() in _WORDS_FOR_FALSE:
                    return False
            case types.IntType():
                return int(stripped)
            case types.FloatType():
                return float(stripped)
            case types.ListType() | types.VarTupleType() | types.SetType() | types.FrozenSetType():
                if not stripped.startswith("["):
                    return [part.strip() for part in stripped.split(",") if part.strip()]
                return msgspec.json.decode(stripped)
            case types.DictType() | types.StructType():
                return msgspec.json.decode(stripped)
    except (ValueError, msgspec.DecodeError):
        pass
    return str(text)


def debug_subjects(value: str) -> frozenset[str]:
    """The subjects that the setting ``debug`` names: ``*`` for all, or names separated by commas.

    The original Node module's ``websocket:*`` is understood, and so is ``1``.

    Raises:
        ValueError: it names an unknown subject; the message says what it must be.
    """
    subjects: set[str] = set()
    for part in value.split(","):
        name = re.sub(r"^(?:websocket:|wsframe[:.])", "", part.strip().lower())
        if name in {"", *_WORDS_FOR_FALSE}:
            continue
        if name == "*" or name in _WORDS_FOR_TRUE:
            subjects.update(DEBUG_SUBJECTS)
        elif name in DEBUG_SUBJECTS:
            subjects.add(name)
        else:
            raise ValueError(
                "must be * or some of " + ", ".join(DEBUG_SUBJECTS) + ", separated by commas"
            )
    return frozenset(subjects)


def nearest(key: str, known: Sequence[str]) -> str | None:
    """The known key that was probably meant: spelling, camelCase and other servers' names."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower().replace("-", "_")
    former = _FORMER_NAMES.get(snake) or _FORMER_NAMES.get(snake.rpartition(".")[2])
    if former in known:
        return former
    for candidate in (snake, snake.replace(".", "_")):
        if candidate in known:
            return candidate
        for other in known:
            if other.startswith(candidate + "_"):
                return other
        close = get_close_matches(candidate, known, n=1, cutoff=0.6)
        if close:
            return close[0]
    return None
