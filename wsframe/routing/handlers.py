"""Which function answers which message type.

A :class:`Route` is computed once, when the handler is registered: everything about the function
that can be known before the first message (does it stream, what content does it expect) is known.
"""

from __future__ import annotations

import difflib
import functools
import inspect
import typing
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from typing import Any

import msgspec

from ..errors import ConfigError, InvalidMessage, Refused
from ..messages import Message, check_type, has_other_keys
from ..session import Identity

Handler = Callable[[Message[Any], Any], Awaitable[Any] | AsyncGenerator[Any, None]]
"""``async def handler(message, connection)``: returns the final answer, or yields parts."""

Coalesce = Callable[[Any, Any], Any]
"""Makes one part's content of those of two consecutive ones."""

DEFAULT: Any = msgspec.UNSET
"""Where a handler leaves a limit to the configuration."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One registered handler.

    Attributes:
        type: the message type it answers.
        function: the handler.
        streams: it is an async generator: it yields parts.
        concurrent: it may run beside other handlers of the same session.
        timeout_s: running time in seconds; None: no limit.
        retries: how often it is run again after an error marked retryable.
        reply_type: the type of its answers.
        content_type: what the message's content is converted to; None: left as it was decoded.
        coalesce: makes one part of two that a slow or absent client has not been sent yet; None:
            parts stay as they were yielded.
        owner: the plugin that registered it; None: the application.
        requires: scopes that the sender's identity must have, all of them.
    """

    type: str
    function: Handler
    streams: bool
    concurrent: bool
    timeout_s: float | None
    retries: int
    reply_type: str
    content_type: Any
    coalesce: Coalesce | None = None
    other_keys: bool = False
    """Its content type has maps whose keys are not text."""
    owner: str | None = None
    requires: frozenset[str] = frozenset()
    plain: bool = False
    """An ``async def`` that is called once and awaited, and that is all: neither a stream nor
    concurrent nor retried, and for everybody."""

    def admits(self, identity: Identity) -> bool:
        """May somebody of this identity have the handler run?"""
        return not self.requires or (
            not identity.anonymous and self.requires.issubset(identity.scopes)
        )

    def check(self, identity: Identity) -> None:
        """See that the sender may have the handler run.

        Raises:
            Refused: ``unauthenticated`` for the anonymous, ``forbidden`` for anybody else who lacks
                a scope.
        """
        if not self.admits(identity):
            raise Refused("unauthenticated" if identity.anonymous else "forbidden")


class HandlerTable:
    """Every route of an application, by message type."""

    def __init__(self) -> None:
        self.routes: dict[str, Route] = {}

    def add(
        self,
        message_type: str,
        function: Handler,
        *,
        concurrent: bool,
        timeout_s: float | None,
        retries: int,
        reply_type: str | None,
        coalesce: Coalesce | None = None,
        requires: Collection[str] = (),
        reserved: Collection[str],
        owner: str | None = None,
    ) -> Route:
        """Register a handler.

        Raises:
            ConfigError: the type is malformed, reserved or taken, or the function is no handler.
        """
        where = f"handler {getattr(function, '__qualname__', function)!r} for {message_type!r}"
        for name in (message_type, reply_type or message_type):
            _check_type_name(name, where)
        if message_type in reserved:
            raise ConfigError(
                f"{where}: this type is built in", hint="Choose another message type."
            )
        taken = self.routes.get(message_type)
        if taken is not None:
            by = f"plugin {taken.owner!r}" if taken.owner else "the application"
            raise ConfigError(
                f"{where}: the type already has a handler, from {by}",
                hint="Each message type has exactly one handler.",
            )
        if timeout_s not in (None, DEFAULT) and not timeout_s > 0:
            raise ConfigError(f"{where}: timeout_s must be positive or None, not {timeout_s!r}")
        if retries is not DEFAULT and retries < 0:
            raise ConfigError(f"{where}: retries must be 0 or more, not {retries!r}")
        streams = _is_generator(function, where)
        if coalesce is not None and not streams:
            raise ConfigError(
                f"{where}: coalesce= is for handlers that yield parts",
                hint="Leave it out, or yield parts.",
            )
        if isinstance(requires, str) or not all(isinstance(each, str) for each in requires):
            raise ConfigError(
                f"{where}: requires must be a collection of scopes",
                hint='Write requires={"admin"}, also for a single one.',
            )
        content_type = _content_type(function, where)
        route = Route(
            type=message_type,
            function=function,
            streams=streams,
            concurrent=concurrent,
            timeout_s=timeout_s,
            retries=retries,
            reply_type=reply_type or message_type,
            content_type=content_type,
            other_keys=content_type is not None and has_other_keys(content_type),
            coalesce=coalesce,
            owner=owner,
            requires=frozenset(requires),
        )
        self.routes[message_type] = route
        return route

    def resolved(self, *, timeout_s: float | None, retries: int) -> HandlerTable:
        """A copy in which every limit left to the configuration has its value."""
        table = HandlerTable()
        for message_type, route in self.routes.items():
            own_retries = retries if route.retries is DEFAULT else route.retries
            table.routes[message_type] = msgspec.structs.replace(
                route,
                timeout_s=timeout_s if route.timeout_s is DEFAULT else route.timeout_s,
                retries=own_retries,
                plain=(
                    not (route.streams or route.concurrent or own_retries or route.requires)
                    and _makes_coroutines(route.function)
                ),
            )
        return table

    def unknown(self, message_type: str, identity: Identity) -> Refused:
        """The error for a type that has no handler; names the nearest that the sender may use."""
        usable = [name for name, route in self.routes.items() if route.admits(identity)]
        near = difflib.get_close_matches(message_type[:64], usable, n=3, cutoff=0.5)
        return Refused(
            "unknown_type",
            f"No handler is registered for the message type {message_type!r}.",
            details={"type": message_type, "nearest": near},
        )


def builtin_route(message_type: str, function: Handler, timeout_s: float | None) -> Route:
    """The route of a message type that the protocol itself defines."""
    return Route(
        type=message_type,
        function=function,
        streams=False,
        concurrent=False,
        timeout_s=timeout_s,
        retries=0,
        reply_type=message_type,
        content_type=None,
        plain=True,
    )


def _makes_coroutines(function: Any) -> bool:
    """Is it an ``async def`` itself, and no function around one?"""
    while isinstance(function, functools.partial):
        function = function.func
    code = getattr(function, "__code__", None)
    return code is not None and bool(code.co_flags & inspect.CO_COROUTINE)


def _check_type_name(name: str, where: str) -> None:
    try:
        check_type(name)
    except InvalidMessage as error:
        raise ConfigError(f"{where}: {error.details[0]['message']}") from None


def _unwrapped(function: Any) -> Any:
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and callable(function):
        function = getattr(function, "__call__", function)  # noqa: B004 - an instance's own code
    return inspect.unwrap(function)


def _is_generator(function: Handler, where: str) -> bool:
    code = _unwrapped(function)
    if inspect.isasyncgenfunction(code):
        return True
    if inspect.iscoroutinefunction(code):
        return False
    raise ConfigError(
        f"{where}: not an async function",
        hint="Write it as 'async def'; blocking code goes through anyio.to_thread.run_sync.",
    )


def _content_type(function: Handler, where: str) -> Any:
    try:
        parameters = list(inspect.signature(function).parameters.values())
        inspect.signature(function).bind(None, None)
    except (TypeError, ValueError):
        raise ConfigError(f"{where}: it must take two arguments, (message, connection)") from None
    annotation = parameters[0].annotation
    if isinstance(annotation, str):
        scope = getattr(_unwrapped(function), "__globals__", {})
        try:
            annotation = eval(annotation, scope)  # noqa: S307 - the application's own annotation
        except Exception as error:  # noqa: BLE001 - whatever the annotation raises
            raise ConfigError(
                f"{where}: cannot resolve the annotation {annotation!r}: {error}",
                hint="Import the names it uses at the module's top level.",
            ) from None
    if typing.get_origin(annotation) is not Message:
        return None
    (content_type,) = typing.get_args(annotation)
    return None if content_type is Any or isinstance(content_type, typing.TypeVar) else content_type
