"""One message of the application, driven to its end: pauses, retries, the time limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio

from ..errors import RequestError
from ..messages import Message
from .conversation import Conversation
from .pending import Stage
from .signals import Signal


class Ticket:
    """A message that somebody waits for the answer of.

    Args:
        conversation: it belongs to.
        wake: called when there is something new to send.
        type: of the message.
        content: of the message.
        options: see :meth:`Conversation.ask`.

    Raises:
        RequestError, ValueError: see there.
    """

    __slots__ = ("_changed", "_conversation", "_wake", "pending")

    def __init__(
        self,
        conversation: Conversation,
        wake: Callable[[], None],
        type: str,
        content: Any,
        **options: Any,
    ) -> None:
        self._conversation = conversation
        self._wake = wake
        self._changed = Signal()
        self.pending = conversation.ask(type, content, changed=self._changed.set, **options)
        wake()

    async def step(self, deadline: float) -> None:
        """Wait for something new; at the deadline, let the message end with ``timeout``.

        Args:
            deadline: by the event loop's clock.
        """
        pending, conversation = self.pending, self._conversation
        try:
            if pending.stage is Stage.RESTING:
                await self._rest(deadline)
                return
            with anyio.CancelScope(deadline=deadline):
                await self._changed.wait()
                return
        except BaseException:
            self.abandon()
            raise
        message = "The time for an answer is over."
        conversation.abandon(pending, RequestError("timeout", message, retryable=True))
        self._wake()

    async def _rest(self, deadline: float) -> None:
        pending, conversation = self.pending, self._conversation
        until = anyio.current_time() + pending.pause_s
        if until >= deadline and pending.refusal is not None:
            conversation.fail(pending, pending.refusal)
            return
        with anyio.CancelScope(deadline=until):
            while pending.stage is Stage.RESTING:
                await self._changed.wait()
        conversation.retry(pending)
        self._wake()

    async def answer(self, timeout_s: float) -> Message[Any]:
        """Wait for the final answer.

        Raises:
            RequestError, ConnectError: what became of it instead.
        """
        deadline = anyio.current_time() + timeout_s
        while not self.pending.done:
            await self.step(deadline)
        if self.pending.error is not None:
            raise self.pending.error
        assert self.pending.answer is not None
        return self.pending.answer

    def abandon(self) -> None:
        """Nobody waits any more."""
        self._conversation.abandon(self.pending)
        self._wake()
