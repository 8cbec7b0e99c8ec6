"""Puts something around the implementations of one plugin object: a failure, or a measurement."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final

from ...hooks.implementations import Found

Around = Callable[[Found], Callable[..., Any]]
"""Makes what is called in place of an implementation, of the same colour."""

BLOCKING: Final = frozenset(
    {
        "time.sleep",
        "_io.open",  # CPython 3.12 and later
        "io.open",
        "posix.open",
        "posix.system",
        "nt.open",
        "_posixsubprocess.fork_exec",
        "_socket.getaddrinfo",
        "socket.connect",
        "socket.recv",
        "socket.recv_into",
        "socket.sendall",
        "socket.accept",
    }
)
"""Functions in C that wait for a disk, a network, another process or the clock."""


class InjectedError(RuntimeError):
    """What an implementation raises that was made to fail."""


class Fault:
    """Makes the implementations of one hook fail.

    Args:
        hook: its name.
        after: the implementation runs first, and fails then.
    """

    def __init__(self, hook: str, *, after: bool) -> None:
        self.hook = hook
        self.after = after
        self.reached = 0
        """How often an implementation was called."""

    def __call__(self, found: Found) -> Callable[..., Any]:
        """What fails in the place of an implementation."""
        function = found.function
        if found.spec.name != self.hook:
            return function
        if found.spec.is_async:

            async def fail_async(*arguments: Any) -> Any:
                self.reached += 1
                if self.after:
                    await function(*arguments)
                raise self._error()

            return fail_async

        def fail(*arguments: Any) -> Any:
            self.reached += 1
            if self.after:
                function(*arguments)
            raise self._error()

        return fail

    def _error(self) -> InjectedError:
        return InjectedError(f"{self.hook} was made to fail")


class Observer:
    """Sees whether implementations of some hooks wait, or call what blocks.

    Args:
        hooks: their names.
    """

    def __init__(self, hooks: Sequence[str]) -> None:
        self._hooks = frozenset(hooks)
        self.calls = 0
        self.waited: set[str] = set()
        """Hooks in which something was awaited that was not there yet."""
        self.blocked: set[tuple[str, str]] = set()
        """Hooks, and the blocking function that was called."""

    def __call__(self, found: Found) -> Callable[..., Any]:
        """What is called in the place of an implementation."""
        function, hook = found.function, found.spec.name
        if hook not in self._hooks:
            return function

        async def observed(*arguments: Any) -> Any:
            self.calls += 1
            return await self._observe(hook, function(*arguments))

        return observed

    @types.coroutine
    def _observe(self, hook: str, coroutine: Any) -> Generator[Any, Any, Any]:
        """Run a coroutine step by step, as its task would."""

        def profile(_frame: Any, event: str, argument: Any) -> None:
            if event == "c_call":
                module = getattr(argument, "__module__", None)
                name = f"{module}.{argument.__name__}" if module else argument.__qualname__
                if name in BLOCKING:
                    self.blocked.add((hook, name))

        step, given = coroutine.send, None
        while True:
            outer = sys.getprofile()
            sys.setprofile(profile)
            try:
                wanted = step(given)
            except StopIteration as ended:
                return ended.value
            finally:
                sys.setprofile(outer)
            self.waited.add(hook)
            try:
                step, given = coroutine.send, (yield wanted)
            except BaseException as error:  # noqa: BLE001 - it is thrown into the coroutine
                step, given = coroutine.throw, error


@contextmanager
def instrumented(plugin: Any, found: Sequence[Found], around: Around) -> Iterator[None]:
    """Put ``around`` around the implementations that were ``found`` in ``plugin``.

    Raises:
        TypeError: the plugin's class has ``__slots__``, so nothing can be put there.
    """
    replaced: list[tuple[str, Any]] = []
    try:
        for each in found:
            function = around(each)
            if function is each.function:
                continue
            try:
                own = vars(plugin).get(each.attribute, _MISSING)
                setattr(plugin, each.attribute, wraps(each.function)(function))
            except (AttributeError, TypeError) as error:
                raise TypeError(
                    f"{type(plugin).__name__} has __slots__: the contract cannot make "
                    f"{each.attribute!r} fail. Leave them out, or test a subclass without."
                ) from error
            replaced.append((each.attribute, own))
        yield
    finally:
        for attribute, own in replaced:
            if own is _MISSING:
                delattr(plugin, attribute)
            else:
                setattr(plugin, attribute, own)


_MISSING: Any = object()
