"""What the application iterates over: the parts of an answer, and pushed messages."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import anyio
from anyio.lowlevel import checkpoint

from ..messages import Message
from .lifeline import Lifeline
from .pushed import PushedMessages
from .ticket import Ticket


class Stream:
    """The parts of one answer, as they come; ended by the final answer.

    The message is sent when the first part is asked for. Whoever stops early (``break``,
    :meth:`aclose`, cancellation) makes the server stop too.

    Attributes:
        final: the final answer, once it has come.

    Raises:
        RequestError, ConnectError: when iterated: see :meth:`Client.stream`.
    """

    def __init__(
        self, ask: Callable[[], Ticket], lifeline: Lifeline, timeout_s: float | None
    ) -> None:
        self._ask = ask
        self._lifeline = lifeline
        self._timeout_s = float("inf") if timeout_s is None else timeout_s
        self._ticket: Ticket | None = None
        self._over = False
        self.final: Message[Any] | None = None

    @property
    def id(self) -> str | None:
        """Of the message that is answered; None: it has not been sent."""
        return None if self._ticket is None else self._ticket.pending.id

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message[Any]:
        if self._over:
            raise StopAsyncIteration
        if self._ticket is None:
            self._ticket = self._ask()
        pending = self._ticket.pending
        deadline = anyio.current_time() + self._timeout_s
        while not pending.parts:
            if pending.done:
                self._over = True
                if pending.error is not None:
                    raise pending.error
                self.final = pending.answer
                raise StopAsyncIteration
            await self._ticket.step(deadline)
        part = pending.parts.popleft()
        self._lifeline.taken.set()
        return part

    async def aclose(self) -> None:
        """Stop: nothing more is taken from the answer, and the server need not go on with it."""
        self._over = True
        if self._ticket is not None:
            self._ticket.abandon()
        await checkpoint()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over = True
        if self._ticket is not None:
            self._ticket.abandon()

    def __del__(self) -> None:
        if self._ticket is not None and not self._ticket.pending.done:
            self._lifeline.abandon(self._ticket.pending)


class Messages:
    """Pushed messages, each once, in order, until the client is closed."""

    def __init__(self, pushed: PushedMessages, lifeline: Lifeline) -> None:
        self._pushed = pushed
        self._lifeline = lifeline

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message[Any]:
        while (message := self._pushed.take()) is None:
            if self._lifeline.failure is not None:
                raise self._lifeline.failure.again()
            if self._lifeline.ended:
                raise StopAsyncIteration
            await self._lifeline.arrived.wait()
        self._lifeline.taken.set()
        return message

    def __del__(self) -> None:
        # Nobody listens any more, as far as this one is concerned; another one says so itself.
        self._pushed.listening = False
