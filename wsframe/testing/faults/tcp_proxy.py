"""A bad network on real sockets: a TCP proxy on 127.0.0.1 that cuts, stalls and resets."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from types import TracebackType
from typing import Self

import anyio
import anyio.abc
from anyio.abc import SocketAttribute

from .event_log import EventLog
from .plan import Way
from .proxied import Proxied, Tally, reset_on_close


@dataclass
class Counts(Tally):
    """What a proxy has seen.

    Attributes:
        connections: accepted.
        refused: of these, those for which the target could not be reached.
        cut: of these, those that were cut.
        bytes_to_server, bytes_to_client: forwarded.
    """

    connections: int = 0
    refused: int = 0
    cut: int = 0


class TcpProxy:
    """Forwards ``127.0.0.1:port`` to a server, and misbehaves; runs inside ``async with``.

    Faults are called by hand on the proxy or on one of its :attr:`connections`; some can be left
    to chance. On real sockets a seed repeats the choices, not their effects.

    Args:
        target_port: where the server listens; it may be down.
        target_host: its address.
        seed: of what is left to chance.
        cuts_per_s: how often one connection is cut, on average.
        cut_after_bytes: each connection is cut in one direction after so many bytes, drawn from
            this range; None: it is not.

    Attributes:
        port: the proxy's own.
        connections: those that go on, the oldest first.
        counts: what it has seen.
        log: what happened.
    """

    port: int

    def __init__(
        self,
        target_port: int,
        *,
        target_host: str = "127.0.0.1",
        seed: int = 0,
        cuts_per_s: float = 0.0,
        cut_after_bytes: tuple[int, int] | None = None,
    ) -> None:
        self.target_port = target_port
        self._target_host = target_host
        self.seed = seed
        self._rng = random.Random(seed)  # noqa: S311 - to be repeated, not secret
        self._cuts_per_s = cuts_per_s
        self._cut_after_bytes = cut_after_bytes
        self._numbers = count(1)
        self._stack = AsyncExitStack()
        self.connections: list[Proxied] = []
        self.counts = Counts()
        self.log = EventLog()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
            self.port = listener.extra(SocketAttribute.local_port)
            stack.push_async_callback(listener.aclose)
            task_group = await stack.enter_async_context(anyio.create_task_group())
            stack.callback(task_group.cancel_scope.cancel)
            task_group.start_soon(listener.serve, self._serve)
            if self._cuts_per_s > 0:
                task_group.start_soon(self._cut_at_random)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._stack.__aexit__(kind, error, traceback)
        except BaseExceptionGroup as group:
            if error is not None and group.exceptions == (error,):
                raise error from None
            raise

    # Faults

    def cut_all(self, *, reset: bool = True) -> None:
        """Cut every connection; see :meth:`Proxied.cut`."""
        for connection in list(self.connections):
            connection.cut(reset=reset)

    def cut_one(self, *, reset: bool = True) -> bool:
        """Cut one connection at random; False: there is none."""
        if self.connections:
            self._rng.choice(self.connections).cut(reset=reset)
            return True
        return False

    async def _cut_at_random(self) -> None:
        while True:
            await anyio.sleep(self._rng.expovariate(self._cuts_per_s))
            self.cut_one(reset=self._rng.random() < 0.5)

    # Forwarding

    async def _serve(self, client: anyio.abc.SocketStream) -> None:
        number = next(self._numbers)
        self.counts.connections += 1
        async with client:
            try:
                server = await anyio.connect_tcp(self._target_host, self.target_port)
            except OSError:
                self.counts.refused += 1
                self._note(f"#{number} is reset: the server cannot be reached")
                reset_on_close(client)
                return
            async with server:
                await self._forward(number, client, server)

    async def _forward(
        self, number: int, client: anyio.abc.SocketStream, server: anyio.abc.SocketStream
    ) -> None:
        connection = Proxied(number, client, server, self.counts)
        if self._cut_after_bytes is not None:
            after_bytes = self._rng.randint(*self._cut_after_bytes)
            connection.cut_after(
                self._rng.choice(list(Way)), after_bytes, reset=self._rng.random() < 0.5
            )
        self._note(f"#{number} connects")
        self.connections.append(connection)
        try:
            await connection.carry()
        finally:
            self.connections.remove(connection)
            self.counts.cut += connection.was_cut
            self._note(f"#{number} " + ("is cut" if connection.was_cut else "is over"))

    def _note(self, text: str) -> None:
        self.log.add(anyio.current_time(), text)
