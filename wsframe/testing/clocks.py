"""Virtual time: a clock that stands still while anything can run, and jumps when nothing can.

An hour of waiting costs no time, and the order of events is the same in every run. On trio this is
``trio.testing.MockClock``; on asyncio it is a selector that, instead of sleeping until the next
timer is due, sets the clock to that moment.

Threads and virtual time do not know of each other: while a worker thread is busy
(``anyio.to_thread``, ``loop.run_in_executor``) time is real, so that no time limit runs out before
the thread had a chance. Sockets get no such grace; tests in virtual time use none.
"""

from __future__ import annotations

import asyncio
import math
import selectors
import time
from collections.abc import Callable
from concurrent.futures import Executor
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, Unpack

import anyio
import anyio.to_thread
import sniffio

if TYPE_CHECKING:
    import trio
    import trio.testing

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _JumpingSelector(selectors.DefaultSelector):
    """Looks for input without waiting for it; what it would have waited, it adds to the clock."""

    def __init__(self, threads_busy: Callable[[], bool]) -> None:
        super().__init__()
        self.now = 0.0
        self._threads_busy = threads_busy

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if timeout is None:  # no timer at all: only a thread or a signal can go on
            return super().select(None)
        if self._threads_busy():
            began = time.monotonic()
            ready = super().select(timeout)
            # Of the two, asyncio's own timer is the one that must be over when nothing came.
            self.now += time.monotonic() - began if ready else timeout
            return ready
        self.now += timeout
        return ready


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop in virtual time; ``loop.time()`` begins at 0.

    With anyio: ``anyio.run(main, backend_options={"loop_factory": VirtualClockLoop})``.
    """

    def __init__(self) -> None:
        self._executor_calls = 0
        self.thread_limiter: anyio.CapacityLimiter | None = None
        """Counts anyio's busy threads; see :func:`mind_threads`."""
        self._selector_clock = _JumpingSelector(self._threads_busy)
        super().__init__(self._selector_clock)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._selector_clock.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run in a thread; until it is done, time is real."""
        future = super().run_in_executor(executor, func, *args)
        self._executor_calls += 1
        future.add_done_callback(self._executor_call_done)
        return future

    def _executor_call_done(self, _future: asyncio.Future[Any]) -> None:
        self._executor_calls -= 1

    async def shutdown_default_executor(self, *args: Any, **options: Any) -> None:
        """Join the executor's threads; until they are done, time is real.

        Since Python 3.12 the arguments may be a time limit, and ``asyncio.Runner`` sets one.
        """
        self._executor_calls += 1
        try:
            await super().shutdown_default_executor(*args, **options)
        finally:
            self._executor_calls -= 1

    def _threads_busy(self) -> bool:
        limiter = self.thread_limiter
        return self._executor_calls > 0 or (limiter is not None and limiter.borrowed_tokens > 0)


def virtual_time(backend: str) -> dict[str, Any]:
    """Backend options for ``anyio.run`` (or anyio's fixture ``anyio_backend``) in virtual time.

    Args:
        backend: ``"asyncio"`` or ``"trio"``.

    Raises:
        ImportError: trio is not installed.
        ValueError: there is no such backend.
    """
    if backend == "asyncio":
        return {"loop_factory": VirtualClockLoop}
    if backend == "trio":
        import trio.testing

        return {"clock": trio.testing.MockClock(autojump_threshold=0)}
    raise ValueError(f"the backend is 'asyncio' or 'trio', not {backend!r}")


def mind_threads() -> None:
    """Let time be real while worker threads are busy; does nothing where time is real anyway.

    Call it inside the event loop; calling it again is harmless.
    """
    if sniffio.current_async_library() == "asyncio":
        loop = asyncio.get_running_loop()
        if isinstance(loop, VirtualClockLoop):
            loop.thread_limiter = anyio.to_thread.current_default_thread_limiter()
        return
    import trio
    import trio.testing

    clock = trio.lowlevel.current_clock()
    if isinstance(clock, trio.testing.MockClock) and clock.autojump_threshold == 0:
        _mind_trio_threads(clock, trio.to_thread.current_default_thread_limiter())


@cache
def _minded() -> trio.lowlevel.RunVar[bool]:
    import trio

    return trio.lowlevel.RunVar("threads are minded", default=False)


def _mind_trio_threads(clock: trio.testing.MockClock, limiter: trio.CapacityLimiter) -> None:
    import trio

    class RealTimeForThreads(trio.abc.Instrument):
        """Looks after every step of a task: only there a thread is asked for, or is done."""

        def after_task_step(self, _task: trio.lowlevel.Task) -> None:
            threshold = math.inf if limiter.borrowed_tokens else 0
            if clock.autojump_threshold != threshold:
                clock.autojump_threshold = threshold
                clock.rate = 1.0 if threshold else 0.0

    if not _minded().get():
        _minded().set(True)
        trio.lowlevel.add_instrument(RealTimeForThreads())
