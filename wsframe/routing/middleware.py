"""Middleware: functions around every message, or around the opening of every connection.

A chain is composed once, at start; the first one added is the outermost.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from ..messages import Message

MessageCall = Callable[[Message[Any], Any], Awaitable[Any]]
"""``await call_next(message, connection)`` runs the rest and returns the content of the answer."""
MessageMiddleware = Callable[[Message[Any], Any, MessageCall], Awaitable[Any]]
"""``async def middleware(message, connection, call_next)``."""

ConnectionCall = Callable[[Any], Awaitable[None]]
"""``await call_next(connection)`` opens the connection."""
ConnectionMiddleware = Callable[[Any, ConnectionCall], Awaitable[None]]
"""``async def middleware(connection, call_next)``."""


def compose_message(chain: Sequence[MessageMiddleware], innermost: MessageCall) -> MessageCall:
    """Make one function of a chain of message middleware and what stands inside it."""
    call = innermost
    for middleware in reversed(chain):
        call = _around_message(middleware, call)
    return call


def _around_message(middleware: MessageMiddleware, call_next: MessageCall) -> MessageCall:
    async def call(message: Message[Any], connection: Any) -> Any:
        return await middleware(message, connection, call_next)

    return call


def compose_connection(
    chain: Sequence[ConnectionMiddleware], innermost: ConnectionCall
) -> ConnectionCall:
    """Make one function of a chain of connection middleware and what stands inside it."""
    call = innermost
    for middleware in reversed(chain):
        call = _around_connection(middleware, call)
    return call


def _around_connection(
    middleware: ConnectionMiddleware, call_next: ConnectionCall
) -> ConnectionCall:
    async def call(connection: Any) -> None:
        await middleware(connection, call_next)

    return call
