"""What decides whether a value fits a schema: jsonschema-rs where it is installed, or jsonschema.

Both are told the same: no retrieval, ``format`` and ``content…`` are annotations, patterns in
linear time. They agree on every mandatory case of the official test suite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, Final, Literal, NamedTuple, Protocol

from .drafts import Draft
from .graph import Graph

EngineName = Literal["auto", "jsonschema-rs", "jsonschema"]

MAX_TEXT: Final = 200
"""Longest path and longest message of an error, in characters."""


class Error(NamedTuple):
    """One place where a value does not fit its schema."""

    path: str
    """Where in the content; ``$`` is the envelope, as in every error of the protocol."""
    keyword: str
    """The keyword of the schema that it breaks; ``false`` where the schema allows nothing."""
    message: str

    def shown(self) -> dict[str, str]:
        """As an entry of an error's ``details``."""
        return {"path": self.path, "keyword": self.keyword, "message": self.message}


def make_error(steps: Sequence[str | int], keyword: str, message: str) -> Error:
    """An error whose texts are short, whatever the client has sent."""
    path = "$.content"
    for step in steps:
        path += f"[{step}]" if isinstance(step, int) else f".{step[:MAX_TEXT]}"
        if len(path) > MAX_TEXT:
            break
    return Error(_cut(path), _cut(keyword), _cut(message))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"


class Schema(Protocol):
    """A schema, ready to look at values."""

    @property
    def is_valid(self) -> Callable[[Any], bool]:
        """Does a value fit? Raises ValueError for what JSON does not have, such as bytes."""
        ...

    def errors(self, value: Any, limit: int) -> list[Error]:
        """The first errors, at most ``limit``; none: it fits."""
        ...


class Engine(Protocol):
    """Checks and compiles schemas."""

    name: str

    def check(self, schema: Any, draft: Draft) -> list[tuple[str, str]]:
        """JSON Pointer and reason of what the metaschema forbids in a schema."""
        ...

    def compile(self, graph: Graph, uri: str) -> Schema:
        """Make the schema of the file at ``uri`` ready.

        Raises:
            ValueError: the engine cannot use it.
        """
        ...


def choose_engine(name: EngineName = "auto") -> Engine:
    """Import an engine; ``auto`` takes the compiled one where it is installed.

    Raises:
        ImportError: the one that is named is not installed.
    """
    if name == "jsonschema-rs" or (name == "auto" and find_spec("jsonschema_rs") is not None):
        from .engine_fast import FastEngine

        return FastEngine()
    from .engine_pure import PureEngine

    return PureEngine()
