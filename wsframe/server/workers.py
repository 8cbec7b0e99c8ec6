"""Workers: long-lived tasks that run jobs.

A new task costs more than most messages do, so tasks are kept and lent: a session that has work
borrows a worker until its queue is empty. A job is a function and its argument; it never raises,
except for cancellation.

Stopping one *message* must not stop its worker. On asyncio the task is cancelled and the
cancellation taken back when the handler has ended (``Task.uncancel``); on trio every run has a
cancel scope of its own.

Every run has a copy of the context: without it, a context variable that one user's handler sets
would be seen by the next user's. A handler that never waits, which is most of them, costs little
more than its own call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, copy_context
from functools import partial, wraps
from typing import Any, Final, ParamSpec, Protocol, TypeVar

import anyio
import anyio.abc
import sniffio

T = TypeVar("T")
P = ParamSpec("P")
Job = Callable[[Any], Coroutine[Any, Any, None]]
Make = Callable[[Any], Coroutine[Any, Any, Any]]
"""Makes the coroutine that runs user code for an owner."""
Later = Callable[..., Coroutine[Any, Any, None]]
"""``later(owner)`` or ``later(owner, begun)``: a job for what has to wait."""

LATER: Final = object()
"""What :meth:`Workers.begin` returns for user code that waits."""
MAX_IDLE_WORKERS = 1_000
"""Tasks kept for later, at most; about 3 KB each."""


class Run(Protocol):
    """What a run of user code reports to its owner."""

    def waiting(self, cancel: Callable[[], None]) -> None:
        """The code waits for the first time; ``cancel()`` stops it."""

    def ended(self) -> None:
        """The code that waited has ended."""


class Workers(Protocol):
    """A pool of tasks."""

    @property
    def busy(self) -> int:
        """Tasks that run a job now."""

    def submit(self, job: Job, argument: Any) -> None:
        """Run ``await job(argument)`` soon."""

    def begin(self, make: Make, owner: Any, later: Later) -> Any:
        """Run user code, ``make(owner)``, in a context of its own up to where it first waits.

        Where that is not possible at once, or does wait, a worker runs ``later(owner)`` or
        ``later(owner, begun)``; the latter goes on with ``contained(begun, owner)``.

        Returns:
            What the code returned, or :data:`LATER`.

        Raises:
            BaseException: what the code raised.
        """

    async def contained(self, code: Coroutine[Any, Any, Any] | Begun, run: Run) -> Any:
        """Run user code in a context of its own; it can be stopped without stopping the worker.

        Raises:
            Stopped: it was stopped by ``cancel()`` and has ended.
        """


class Stopped(Exception):
    """User code was stopped, and has ended."""


class Begun:
    """User code that has begun and waits: awaited, it goes on to its end, in its own context.

    Args:
        context: where it runs.
        coroutine: the code.
        step: what it waits for.
    """

    __slots__ = ("_context", "_coroutine", "_step")

    def __init__(self, context: Context, coroutine: Coroutine[Any, Any, Any], step: Any) -> None:
        self._context = context
        self._coroutine = coroutine
        self._step = step

    def __await__(self) -> Generator[Any, Any, Any]:
        run, coroutine, step = self._context.run, self._coroutine, self._step
        try:
            while True:
                try:
                    value = yield step
                except GeneratorExit:
                    run(coroutine.close)
                    raise
                except BaseException as error:  # noqa: BLE001 - passed on to the coroutine
                    step = run(coroutine.throw, error)
                else:
                    step = run(coroutine.send, value)
        except StopIteration as stop:
            return stop.value


def isolated(function: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, Coroutine[Any, Any, T]]:
    """Let ``function`` run in a copy of the context, so that what it sets is seen by no other."""

    @wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> T:
        coroutine = function(*args, **kwargs)
        context = copy_context()
        try:
            step = context.run(coroutine.send, None)
        except StopIteration as stop:
            result: T = stop.value
        else:
            result = await Begun(context, coroutine, step)
        return result

    return run


class _Worker:
    """An idle task, and the future that it waits for: a job and its arguments."""

    __slots__ = ("future", "task")

    def __init__(self, task: asyncio.Task[Any], future: asyncio.Future[tuple[Any, ...]]) -> None:
        self.task = task
        self.future = future


class AsyncioWorkers:
    """Workers on asyncio and uvloop. Their tasks belong to an anyio task group.

    What is submitted from a callback of the event loop begins at once, on behalf of an idle
    worker: the loop is told that the worker's task runs (``asyncio._enter_task``, which exists for
    such drivers of coroutines), and the worker takes over if the code has to wait. Most need not
    wait, and cost no turn of the loop and no switch of tasks.
    """

    def __init__(self, task_group: anyio.abc.TaskGroup) -> None:
        self._task_group = task_group
        self._idle: list[_Worker] = []
        self._left: dict[asyncio.Task[Any], tuple[Any, ...]] = {}
        self._loop = asyncio.get_running_loop()
        self._tasks = 0
        # Callbacks of transports may run in a context in which anyio does not know its backend.
        self._context = copy_context()
        self._context.run(sniffio.current_async_library_cvar.set, "asyncio")

    @property
    def busy(self) -> int:
        """See :attr:`Workers.busy`."""
        return self._tasks - len(self._idle)

    def submit(self, job: Job, argument: Any) -> None:
        """See :meth:`Workers.submit`."""
        self.begin(job, argument, partial(_do, job))

    def begin(self, make: Make, owner: Any, later: Later) -> Any:
        """See :meth:`Workers.begin`."""
        idle = self._idle
        if not idle:
            self._context.run(self._task_group.start_soon, self._work, later, owner)
            return LATER
        worker = idle.pop()
        task, future = worker.task, worker.future
        if future.done():  # somebody has cancelled the worker's wait; it returns by itself
            return self.begin(make, owner, later)
        try:
            asyncio._enter_task(self._loop, task)  # noqa: SLF001 - documented for drivers
        except RuntimeError:  # another task runs: the worker begins in its own turn
            future.set_result((later, owner))
            return LATER
        try:
            coroutine = make(owner)
            context = copy_context()
            step = context.run(coroutine.send, None)
        except StopIteration as stop:  # it never waited: nothing could have stopped it
            return stop.value
        except asyncio.CancelledError as error:
            raise _stray_cancellation() from error
        else:
            begun = Begun(context, coroutine, step)
            if future.done():  # the code has cancelled its own task, and so the worker's wait
                self._left[task] = (later, owner, begun)
            else:
                future.set_result((later, owner, begun))
            return LATER
        finally:
            asyncio._leave_task(self._loop, task)  # noqa: SLF001 - likewise
            if not future.done():
                idle.append(worker)

    async def _work(self, job: Later, *arguments: Any) -> None:
        self._tasks += 1
        try:
            await job(*arguments)
            del job, arguments  # an idle worker must keep nobody's session
            await self._serve()
        finally:
            self._tasks -= 1

    async def _serve(self) -> None:
        """Take over what has to wait."""
        idle = self._idle
        task = asyncio.current_task()
        assert task is not None
        while len(idle) < MAX_IDLE_WORKERS:
            future: asyncio.Future[tuple[Any, ...]] = self._loop.create_future()
            worker = _Worker(task, future)
            idle.append(worker)
            try:
                job, *arguments = await future
            except asyncio.CancelledError as error:
                if self._task_group.cancel_scope.cancel_called:
                    raise
                _take_back_cancellation(task)
                if task in self._left:  # cancelled by the code itself, see begin()
                    job, *arguments = self._left.pop(task)
                elif future.done() and not future.cancelled():
                    job, *arguments = future.result()  # it came between the first step and now
                else:
                    if worker in idle:
                        idle.remove(worker)
                    continue
                task.cancel(*error.args)  # it is the code that is to be cancelled, where it waits
            await job(*arguments)
            del job, arguments  # as above

    async def contained(self, code: Coroutine[Any, Any, Any] | Begun, run: Run) -> Any:
        """See :meth:`Workers.contained`."""
        if not isinstance(code, Begun):
            context = copy_context()
            try:
                step = context.run(code.send, None)
            except StopIteration as stop:  # as in begin()
                return stop.value
            except asyncio.CancelledError as error:
                raise _stray_cancellation() from error
            code = Begun(context, code, step)
        return await self._contained(code, run)

    async def _contained(self, begun: Begun, run: Run) -> Any:
        task = asyncio.current_task()
        assert task is not None
        stopped = False

        def cancel() -> None:
            nonlocal stopped
            stopped = True
            task.cancel()

        run.waiting(cancel)
        try:
            result = await begun
        except BaseException as error:
            if self._task_group.cancel_scope.cancel_called:
                raise
            if stopped:
                _take_back_cancellation(task)
                raise Stopped from None
            if isinstance(error, asyncio.CancelledError):
                _take_back_cancellation(task)
                raise _stray_cancellation() from error
            raise
        finally:
            run.ended()
        if stopped:
            _take_back_cancellation(task)
            raise Stopped
        return result


async def _do(job: Job, argument: Any, begun: Begun | None = None) -> None:
    """Run a job, or the rest of one that has begun."""
    await (job(argument) if begun is None else begun)


def _take_back_cancellation(task: asyncio.Task[Any]) -> None:
    while task.cancelling():
        task.uncancel()


def _stray_cancellation() -> RuntimeError:
    """A handler lets a cancellation through that nobody asked of it."""
    return RuntimeError("the handler was cancelled by itself, or by something it waited for")


class AnyioWorkers:
    """Workers on any anyio backend; used on trio."""

    def __init__(self, task_group: anyio.abc.TaskGroup) -> None:
        self._task_group = task_group
        self._idle: list[_Slot] = []
        self._tasks = 0

    @property
    def busy(self) -> int:
        """See :attr:`Workers.busy`."""
        return self._tasks - len(self._idle)

    def submit(self, job: Job, argument: Any) -> None:
        """See :meth:`Workers.submit`."""
        if self._idle:
            slot = self._idle.pop()
            slot.job, slot.argument = job, argument
            slot.filled.set()
        else:
            self._task_group.start_soon(self._work, job, argument)

    def begin(self, make: Make, owner: Any, later: Later) -> Any:  # noqa: ARG002 - see there
        """See :meth:`Workers.begin`; trio's primitives only work within tasks of trio."""
        self.submit(later, owner)
        return LATER

    async def _work(self, job: Job, argument: Any) -> None:
        self._tasks += 1
        try:
            while True:
                await job(argument)
                del job, argument  # an idle worker must keep nobody's session
                if len(self._idle) >= MAX_IDLE_WORKERS:
                    return
                slot = _Slot()
                self._idle.append(slot)
                await slot.filled.wait()
                job, argument = slot.job, slot.argument
        finally:
            self._tasks -= 1

    async def contained(self, code: Coroutine[Any, Any, Any] | Begun, run: Run) -> Any:
        """See :meth:`Workers.contained`."""
        assert not isinstance(code, Begun), "nothing begins outside of a worker"
        with anyio.CancelScope() as scope:
            context = copy_context()
            try:
                step = context.run(code.send, None)
            except StopIteration as stop:
                result = stop.value
            else:
                run.waiting(scope.cancel)
                try:
                    result = await Begun(context, code, step)
                finally:
                    run.ended()
            if not scope.cancel_called:
                return result
        raise Stopped


class _Slot:
    """Where an idle worker waits for its next job."""

    __slots__ = ("argument", "filled", "job")

    job: Job
    argument: Any

    def __init__(self) -> None:
        self.filled = anyio.Event()


def make_workers(task_group: anyio.abc.TaskGroup, backend: str) -> Workers:
    """The workers that fit a running backend (``"asyncio"`` or ``"trio"``)."""
    if backend == "asyncio":
        return AsyncioWorkers(task_group)
    return AnyioWorkers(task_group)
