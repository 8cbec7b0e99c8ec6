"""Running a handler: one value, a stream of parts, or another try."""

from __future__ import annotations

import random
from contextlib import aclosing
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import anyio

from ..errors import AnswerError
from ..messages import Message, Reply
from ..routing import MessageCall, Route

if TYPE_CHECKING:
    from .accepted import Accepted
    from .connection import Connection
    from .sending import Sender

FIRST_RETRY_DELAY_S: Final = 0.05
"""The wait before the first repetition; it doubles with each, and is randomised by half."""

_current: ContextVar[tuple[Route, Accepted, Sender]] = ContextVar("wsframe_current")


async def run_route(
    route: Route, accepted: Accepted, sender: Sender, message_call: MessageCall | None
) -> Any:
    """Run a route's handler, inside the middleware if there is any.

    Returns:
        What the handler answers: a value, a Reply, or None.
    """
    attempt = 0
    while True:
        try:
            if message_call is None:
                return await _call(route, accepted, sender, accepted.message, accepted.connection)
            _current.set((route, accepted, sender))
            return await message_call(accepted.message, accepted.connection)
        except AnswerError as error:
            if not error.retryable or attempt >= route.retries or accepted.parts:
                raise
        delay_s = FIRST_RETRY_DELAY_S * 2**attempt
        attempt += 1
        await anyio.sleep(delay_s * random.uniform(0.5, 1.5))  # noqa: S311 - not for secrets


async def call_current(message: Message[Any], connection: Connection) -> Any:
    """Innermost in every chain of message middleware: the handler itself."""
    route, accepted, sender = _current.get()
    return await _call(route, accepted, sender, message, connection)


async def _call(
    route: Route,
    accepted: Accepted,
    sender: Sender,
    message: Message[Any],
    connection: Connection,
) -> Any:
    if not route.streams:
        return await route.function(message, connection)  # type: ignore[misc]  # no generator
    answer: Reply | None = None
    stream: Any = route.function(message, connection)
    async with aclosing(stream) as parts:
        async for part in parts:
            if answer is not None:
                raise RuntimeError(
                    f"the handler of {route.type!r} yielded something after its Reply"
                )
            if type(part) is Reply:
                answer = part
            else:
                await sender.part(accepted, route, part)
    return answer
