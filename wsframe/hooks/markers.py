"""The marks that specs and implementations carry.

pluggy reads its own marks to register and order implementations; it never calls them. What
wsframe itself must know about a hook, its policy and its colour, is read from :class:`Spec`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, NamedTuple, TypeVar

import pluggy

PROJECT: Final = "wsframe"

hookimpl: Final = pluggy.HookimplMarker(PROJECT)
"""Marks a plugin's function as the implementation of the hook of the same name.

``@hookimpl(tryfirst=True)`` and ``@hookimpl(trylast=True)`` move it before or behind the others;
``@hookimpl(specname="message_received")`` lets the function have another name;
``@hookimpl(optionalhook=True)`` ignores it where this version has no such hook.
"""

hookspec: Final = pluggy.HookspecMarker(PROJECT)


class Policy(Enum):
    """How the implementations of one hook work together."""

    NOTIFY = "notify"
    """Each one is called; an exception is logged and counted, and stops nobody."""
    TRANSFORM = "transform"
    """A chain: each gets the result of the one before it; an exception refuses."""
    FIRST = "first"
    """The first result that is not None wins; an exception refuses."""
    GATE = "gate"
    """All must pass; an exception refuses."""


class Spec(NamedTuple):
    """One hook, as the code sees it."""

    name: str
    policy: Policy
    is_async: bool
    parameters: tuple[str, ...]
    fails_start: bool
    """An exception keeps the server from starting."""
    function: Callable[..., Any]

    @property
    def signature(self) -> str:
        """The line that declares this hook, as the documentation shows it."""
        colour = "async def" if self.is_async else "def"
        signature = inspect.signature(self.function)
        parameters = ", ".join(f"{p.name}: {p.annotation}" for p in signature.parameters.values())
        return f"{colour} {self.name}({parameters}) -> {signature.return_annotation}"


Function = TypeVar("Function", bound=Callable[..., Any])


def spec(policy: Policy, *, fails_start: bool = False) -> Callable[[Function], Function]:
    """Declare the decorated function as a hook, with its policy; ``async def`` is its colour."""

    def declare(function: Function) -> Function:
        declared = Spec(
            name=function.__name__,
            policy=policy,
            is_async=inspect.iscoroutinefunction(function),
            parameters=tuple(inspect.signature(function).parameters),
            fails_start=fails_start,
            function=function,
        )
        setattr(function, "wsframe_hook", declared)  # noqa: B010 - functions have no such field
        return hookspec(function)

    return declare
