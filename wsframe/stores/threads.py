"""Where blocking calls are made: one after the other, in a thread of their own or in the caller's.

A thread of its own is there for as long as it is needed, because one for each call would cost more
than most calls.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, ParamSpec, Protocol, TypeVar

import anyio
import sniffio

P = ParamSpec("P")
T = TypeVar("T")


class Caller(Protocol):
    """Makes blocking calls one after the other, in the order in which they were asked for."""

    def start(self) -> None:
        """Get ready, once."""

    async def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call, and return what it returns, or raise what it raises.

        Cancelling is ceasing to wait: what was asked for is done all the same.
        """

    async def finish(self, function: Callable[[], T]) -> T:
        """Call, and wait for the end of it, cancelled or not."""

    def stop(self) -> None:
        """End what ``start`` began; no call may be under way."""


class SameThread:
    """Calls at once, in the caller's thread, which waits. For simulations in virtual time."""

    def start(self) -> None:
        """Do nothing: the thread is there."""

    async def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it."""
        return function(*args, **kwargs)

    async def finish(self, function: Callable[[], T]) -> T:
        """Call it."""
        return function()

    def stop(self) -> None:
        """Do nothing."""


class OwnThread:
    """Calls in a thread of its own.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[_Job[Any] | None] = SimpleQueue()
        # The interpreter does not wait for it: a process that ends without a word may do so.
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    async def call(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Call it there; see :meth:`Caller.call`."""
        job = self._ask(lambda: function(*args, **kwargs))
        await job.done.wait()
        return job.result()

    async def finish(self, function: Callable[[], T]) -> T:
        """Call it there, and wait; see :meth:`Caller.finish`."""
        job = self._ask(function)
        with anyio.CancelScope(shield=True):
            await job.done.wait()
        return job.result()

    def _ask(self, function: Callable[[], T]) -> _Job[T]:
        job = _Job(function)
        self._jobs.put(job)
        return job

    def stop(self) -> None:
        """End the thread."""
        self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            job.run()
            del job  # what it has returned may be large


class _Job(Generic[T]):
    __slots__ = ("_error", "_function", "_value", "_wake", "done")

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self._error: BaseException | None = None
        self.done = anyio.Event()
        self._wake = _scheduler()

    def run(self) -> None:
        try:
            self._value = self._function()
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            self._error = error
        try:
            self._wake(self.done.set)
        except RuntimeError:
            # The event loop is closed: nobody waits any more.
            return

    def result(self) -> T:
        if self._error is None:
            return self._value
        try:
            raise self._error
        finally:
            self._error = None  # it knows this frame: a cycle


def _scheduler() -> Callable[[Callable[[], object]], object]:
    """Schedules calls in this thread's event loop, from any thread."""
    if sniffio.current_async_library() == "trio":
        import trio

        return trio.lowlevel.current_trio_token().run_sync_soon
    return asyncio.get_running_loop().call_soon_threadsafe
