"""A bad network in memory, in virtual time, from one seed."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import count
from math import inf
from types import TracebackType
from typing import Protocol, Self

import anyio
import anyio.lowlevel

from ...server.runtime import Runtime
from ...session import Identity
from .direction import TOLERANCE_S
from .event_log import EventLog
from .line import Line
from .plan import CALM, Arrival, Chance, Plan, Welcome
from .stream import LineStream


class Target(Protocol):
    """What clients connect to: an ``App``, or a ``KillableServer``."""

    @property
    def runtime(self) -> Runtime | None:
        """What runs; None: nobody listens."""


class Network:
    """Sits between clients and a server, and misbehaves.

    ``await network.connect()`` is what a client's connector does. The network runs inside
    ``async with``; at its end it drops every line.

    Args:
        target: the application, or the server that runs it.
        plan: what goes wrong by itself; by default nothing does, and faults are called by hand:
            on ``network.lines``, or for the next attempt to connect.
        seed: of all randomness. The same seed gives the same run, where clients and application
            are deterministic too; see :func:`~wsframe.testing.faults.repeatable.repeatable`.
        log_limit: how many events the log keeps.

    Attributes:
        lines: those that are not over, the oldest first.
        log: what happened.
        connected: how many attempts to connect have succeeded.
    """

    def __init__(
        self, target: Target, plan: Plan = CALM, *, seed: int = 0, log_limit: int = 1_000
    ) -> None:
        self._target = target
        self.seed = seed
        self.chance = Chance(plan, random.Random(seed))  # noqa: S311 - to be repeated, not secret
        self.log = EventLog(log_limit)
        self.lines: list[Line] = []
        self.connected = 0
        self._attempts = count(1)
        self._arranged: deque[Arrival] = deque()
        self._order = count()
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._wake = anyio.Event()
        self._nap = anyio.CancelScope()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        task_group = await self._stack.enter_async_context(anyio.create_task_group())
        self._stack.callback(task_group.cancel_scope.cancel)
        task_group.start_soon(self._run)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.drop_all("dropped: the network ends")
        while self._call_due():
            pass
        try:
            await self._stack.__aexit__(kind, error, traceback)
        except BaseExceptionGroup as group:
            if error is not None and group.exceptions == (error,):
                raise error from None
            raise

    async def connect(
        self, *, address: str = "127.0.0.1", identity: Identity | None = None
    ) -> LineStream:
        """Connect to the server.

        Args:
            address: where the client seems to come from.
            identity: who it is, whatever the application's plugins say.

        Raises:
            ConnectionRefusedError: nobody listens, or the plan says so.
            TimeoutError: nobody answered.
        """
        number = next(self._attempts)
        arrival = self._arranged.popleft() if self._arranged else self.chance.arrival(self.now())
        await anyio.sleep(arrival.after_s)
        if arrival.welcome is Welcome.TIMED_OUT:
            self.note(f"#{number} is not answered")
            raise TimeoutError("the network did not answer")
        runtime = self._target.runtime
        if arrival.welcome is Welcome.REFUSED or runtime is None or not runtime.ready:
            self.note(f"#{number} is refused")
            raise ConnectionRefusedError("the network refused the connection")
        self.note(f"#{number} connects")
        self.connected += 1
        line = Line(
            self, number, runtime.node, lag_s=arrival.lag_s, address=address, identity=identity
        )
        self.lines.append(line)
        return LineStream(line)

    # Faults

    def drop_all(self, why: str = "dropped") -> None:
        """Drop every line; see :meth:`Line.drop`."""
        for line in list(self.lines):
            line.drop(why)

    def refuse(self, attempts: int = 1) -> None:
        """Refuse the next attempts to connect."""
        self._arranged.extend([Arrival(Welcome.REFUSED, 0.0, 0.0)] * attempts)

    def time_out(self, attempts: int = 1, *, after_s: float = 10.0) -> None:
        """Do not answer the next attempts to connect."""
        self._arranged.extend([Arrival(Welcome.TIMED_OUT, after_s, 0.0)] * attempts)

    def slow_down(self, attempts: int = 1, *, connect_s: float = 0.0, lag_s: float) -> None:
        """Make the next lines slow: a later one overtakes them.

        Args:
            attempts: how many.
            connect_s: how long it takes to connect.
            lag_s: what each chunk takes in addition, in both directions.
        """
        self._arranged.extend([Arrival(Welcome.CONNECTED, connect_s, lag_s)] * attempts)

    # What lines need

    def now(self) -> float:
        """The event loop's clock."""
        return anyio.current_time()

    def at(self, when: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` at ``when``, after what was planned for that moment before."""
        heapq.heappush(self._timers, (when, next(self._order), callback))
        self._hasten(when)

    def soon(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` in the network's next turn, after what was planned before."""
        self.at(self.now(), callback)

    def note(self, text: str, *, minor: bool = False) -> None:
        """Log what happens; see :meth:`EventLog.add`."""
        self.log.add(self.now(), text, minor=minor)

    def line_over(self, line: Line) -> None:
        """Forget a line that is gone at both ends."""
        self.lines.remove(line)

    async def _run(self) -> None:
        while True:
            while self._call_due():
                await anyio.lowlevel.checkpoint()
            await self._sleep_until(self._timers[0][0] if self._timers else inf)

    async def _sleep_until(self, when: float) -> None:
        self._wake = anyio.Event()
        with anyio.CancelScope(deadline=when) as self._nap:
            await self._wake.wait()

    def _hasten(self, when: float) -> None:
        """Sleep no longer than until ``when``."""
        if when <= self.now() + TOLERANCE_S:
            self._wake.set()
        elif when < self._nap.deadline:
            self._nap.deadline = when

    def _call_due(self) -> bool:
        """Call what is due; returns whether others may go on before the rest of it."""
        timers, chance = self._timers, self.chance
        while timers and timers[0][0] <= self.now() + TOLERANCE_S:
            heapq.heappop(timers)[2]()
            if chance.yields():
                return True
        return False
