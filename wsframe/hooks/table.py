"""The frozen table of implementations, and the four ways to run them.

The dispatcher tests ``if table.message_received:`` and then awaits
``table.gate(table.message_received, connection, message)``: a hook nobody implements costs the test
of an empty tuple. A coroutine is made only when it is about to be awaited.

A table never changes. Enabling or disabling a plugin makes a new one; whoever runs hooks at that
moment finishes on the old one.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from wsframe.errors import (
    AnswerError,
    CloseConnection,
    ConnectionClosed,
    PluginError,
    Refused,
    RequestRefused,
    StartError,
)

from .containment import escaping_part
from .specs import SPECS

log = logging.getLogger("wsframe.hooks")

Implementation = tuple[str, Callable[..., Any]]
"""A plugin's name, and its function, which takes all arguments of the hook by position."""

Failures = dict[tuple[str, str], int]
"""How often a plugin's implementation of a hook has failed, by (plugin, hook)."""

Value = TypeVar("Value")

_REFUSALS = (AnswerError, RequestRefused, CloseConnection)


class Implementations(tuple[Implementation, ...]):  # noqa: SLOT001 - a tuple cannot have slots
    """The implementations of one hook, in the order they are called."""

    hook: str

    def __new__(cls, hook: str, implementations: Iterable[Implementation] = ()) -> Implementations:
        """Freeze the implementations of ``hook``."""
        self = super().__new__(cls, implementations)
        self.hook = hook
        return self

    def of(self, plugin: str) -> Implementations:
        """Those of one plugin."""
        return Implementations(self.hook, [one for one in self if one[0] == plugin])


class HookTable:
    """The implementations of every hook.

    Args:
        implementations: by hook name; a hook that is missing has none.
        failures: counts failures; shared by the tables that follow each other.
        sends_per_receiver: an implementation of ``message_sending`` names ``connection``.
    """

    setup: Implementations
    register_commands: Implementations
    make_store: Implementations
    make_broker: Implementations
    started: Implementations
    stopping: Implementations
    authenticate: Implementations
    connection_opening: Implementations
    session_opening: Implementations
    connection_opened: Implementations
    connection_closed: Implementations
    session_resumed: Implementations
    session_expired: Implementations
    message_received: Implementations
    message_sending: Implementations
    message_sent: Implementations
    message_handled: Implementations
    room_joining: Implementations
    error_raised: Implementations

    failures: Failures
    sends_per_receiver: bool
    """``message_sending`` depends on the receiver: run it for each one, not once per broadcast."""

    __slots__ = (*SPECS, "failures", "sends_per_receiver")

    def __init__(
        self,
        implementations: Mapping[str, Iterable[Implementation]],
        *,
        failures: Failures | None = None,
        sends_per_receiver: bool = False,
    ) -> None:
        fill = object.__setattr__
        for hook in SPECS:
            fill(self, hook, Implementations(hook, implementations.get(hook, ())))
        fill(self, "failures", {} if failures is None else failures)
        fill(self, "sends_per_receiver", sends_per_receiver)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a hook table is frozen; cannot set {name!r}")

    async def notify(self, implementations: Implementations, *arguments: Any) -> None:
        """Call every implementation; a failing one is logged and counted and stops nobody."""
        for plugin, function in implementations:
            try:
                await function(*arguments)
            except BaseException as error:  # noqa: BLE001 - logged and counted
                self._failed(implementations.hook, plugin, error)

    async def require(self, implementations: Implementations, *arguments: Any) -> None:
        """Call every implementation; the first that fails keeps the server from starting.

        Raises:
            PluginError: an implementation failed; those behind it are not called.
        """
        for plugin, function in implementations:
            try:
                await function(*arguments)
            except BaseException as error:
                self._failed(implementations.hook, plugin, error)
                raise start_error(implementations.hook, plugin, error) from error

    async def gate(self, implementations: Implementations, *arguments: Any) -> bool:
        """Let every implementation pass or refuse.

        Returns:
            True when at least one returned True: it allows explicitly, and none refused.

        Raises:
            AnswerError, RequestRefused, CloseConnection: an implementation refuses.
            Refused: ``internal``, because an implementation failed.
        """
        allowed = False
        for plugin, function in implementations:
            try:
                if await function(*arguments) is True:
                    allowed = True
            except _REFUSALS:
                raise
            except BaseException as error:
                self._failed(implementations.hook, plugin, error)
                raise Refused("internal") from error
        return allowed

    async def first(self, implementations: Implementations, *arguments: Any) -> Any | None:
        """Return the first result that is not None; None if there is none.

        Raises:
            AnswerError, RequestRefused, CloseConnection: an implementation refuses.
            Refused: ``internal``, because an implementation failed.
        """
        for plugin, function in implementations:
            try:
                result = await function(*arguments)
            except _REFUSALS:
                raise
            except BaseException as error:
                self._failed(implementations.hook, plugin, error)
                raise Refused("internal") from error
            if result is not None:
                return result
        return None

    async def transform(
        self, implementations: Implementations, context: Any, value: Value
    ) -> Value:
        """Pass ``value`` through the chain of implementations; each is given ``context`` too.

        Raises:
            AnswerError, CloseConnection: an implementation refuses.
            Refused: ``internal``, because an implementation failed or returned something that is no
                such value.
        """
        for plugin, function in implementations:
            try:
                result = await function(context, value)
                if result is not None:
                    if not isinstance(result, type(value)):
                        raise TypeError(
                            f"{implementations.hook} must return {type(value).__name__} or None, "
                            f"not {type(result).__name__}"
                        )
                    value = result
            except _REFUSALS:
                raise
            except BaseException as error:
                self._failed(implementations.hook, plugin, error)
                raise Refused("internal") from error
        return value

    def _failed(self, hook: str, plugin: str, error: BaseException) -> None:
        """Log and count a failure, or raise what is not the plugin's to keep."""
        escaping = escaping_part(error)
        if escaping is error:
            raise error
        if isinstance(error, ConnectionClosed):  # the client left: nobody's fault
            log.debug("plugin %r in %s: %s", plugin, hook, error)
            return
        self.failures[plugin, hook] = self.failures.get((plugin, hook), 0) + 1
        log.error("plugin %r failed in %s: %s", plugin, hook, type(error).__name__, exc_info=error)
        if escaping is not None:
            raise escaping


def start_error(hook: str, plugin: str, error: BaseException) -> PluginError:
    """What is raised when a hook fails that the start depends on."""
    if isinstance(error, PluginError):
        return error
    if isinstance(error, StartError):
        return PluginError(plugin, f"{hook}: {error.message}", hint=error.hint)
    return PluginError(
        plugin,
        f"{hook} failed with {type(error).__name__}: {error}",
        hint=f"Repair it, or start without it: -p no:{plugin}",
    )
