"""Messages whose answers are of no interest: sent, retried and waited for in the background."""

from __future__ import annotations

import logging

import anyio.abc

from ..errors import ConnectError, RequestError
from .answers import shown
from .signals import Signal
from .ticket import Ticket

log = logging.getLogger("wsframe.client")


class Deliveries:
    """What is being delivered.

    Args:
        timeout_s: for each message.
    """

    __slots__ = ("_count", "_fewer", "_timeout_s")

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._count = 0
        self._fewer = Signal()

    def start(self, tasks: anyio.abc.TaskGroup, ticket: Ticket) -> None:
        """Deliver a message in a task of its own."""
        self._count += 1
        tasks.start_soon(self._deliver, ticket)

    async def done(self) -> None:
        """Wait until nothing is left to deliver."""
        while self._count:
            await self._fewer.wait()

    async def _deliver(self, ticket: Ticket) -> None:
        try:
            await ticket.answer(self._timeout_s)
        except (RequestError, ConnectError) as error:
            log.warning("a message of type %r: %s", ticket.pending.type, shown(error))
        finally:
            self._count -= 1
            self._fewer.set()
