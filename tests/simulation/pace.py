"""Trio without what only real time, real sockets and onlookers need.

A run in virtual time takes ten thousand turns of the event loop for a hundred requests, and most of
them are one step of one task: what the loop does beside that step is what a run costs. Nothing here
changes what a run does, except that input, of which there is none, is looked for only when nothing
else can go on. All of it is trio's own inside, and goes with the version in ``constraints.txt``.
"""

from __future__ import annotations

import gc
import math
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import anyio
import trio
import trio.testing
from trio._core import _run as trio_run
from trio._core._wakeup_socketpair import WakeupSocketpair

from wsframe.testing.faults import Network

MockClock = trio.testing.MockClock
LONG_S = 86_400.0
"""So long the loop may sleep: for ever, unless the clock jumps."""


@contextmanager
def brisk() -> Iterator[None]:
    """Let trio do nothing in vain; put it around ``anyio.run`` in virtual time.

    Cycles of garbage are not looked for meanwhile: when one is found depends on what the process
    has done before, and a stream that is found in one is abandoned then.
    """
    collects = gc.isenabled()
    gc.disable()
    with ExitStack() as stack:
        for target, name, replacement in (
            (MockClock, "current_time", _current_time),
            (MockClock, "deadline_to_sleep_time", _deadline_to_sleep_time),
            (MockClock, "_autojump", _autojump),
            (anyio, "current_time", trio.current_time),
            (anyio, "sleep", _sleep),
            (trio_run, "Instruments", _NoInstruments),
            (trio_run, "_r", _Shuffle()),
            (trio_run.TheIOManager, "get_events", _events_when_idle(trio_run.TheIOManager)),
            (WakeupSocketpair, "wakeup_thread_and_signal_safe", _wake),
            (WakeupSocketpair, "wait_woken", _wait_woken),
        ):
            stack.enter_context(mock.patch.object(target, name, replacement))
        try:
            yield
        finally:
            _woken.clear()
            _sleeping.clear()
            if collects:
                gc.enable()


# The clock: it stands still, or jumps; how fast real time goes does not matter.


def _current_time(self: Any) -> float:
    now: float = self._virtual_base
    return now


def _deadline_to_sleep_time(self: Any, deadline: float) -> float:
    return 0.0 if deadline <= self._virtual_base else LONG_S


def _autojump(self: Any) -> None:
    """Jump to the next deadline, and not a rounding error before it."""
    deadline = trio_run.GLOBAL_RUN_CONTEXT.runner.deadlines.next_deadline()
    if self._virtual_base < deadline < math.inf:
        self._virtual_base = deadline


class _Alarm:
    """Wakes a task at a moment, where trio would cancel it: that costs it an exception."""

    __slots__ = ("_registered_deadline", "_task", "_waits")

    def __init__(self) -> None:
        self._registered_deadline = math.inf  # the name is trio's
        self._waits = False

    async def wait(self, when: float) -> None:
        self._task = trio.lowlevel.current_task()
        self._waits = True
        self.set(when)
        await trio.lowlevel.wait_task_rescheduled(self._abort)

    def set(self, when: float) -> None:
        deadlines: Any = trio_run.GLOBAL_RUN_CONTEXT.runner.deadlines
        if self._registered_deadline < math.inf:
            deadlines.remove(self._registered_deadline, self)
        self._registered_deadline = when
        if when < math.inf:
            deadlines.add(when, self)

    def hasten(self, when: float) -> None:
        """Ring at ``when`` if that is earlier, and if the task still waits."""
        if self._waits and when < self._registered_deadline:
            self.set(when)

    def _cancel(self, _reason: Any) -> None:
        self._waits = False
        self.set(math.inf)
        trio.lowlevel.reschedule(self._task)

    def _abort(self, _raise_cancel: Any) -> trio.lowlevel.Abort:
        self._waits = False
        self.set(math.inf)
        return trio.lowlevel.Abort.SUCCEEDED


async def _sleep(delay: float) -> None:
    if delay > 0:
        await _Alarm().wait(trio.current_time() + delay)
    else:
        await trio.lowlevel.checkpoint()


class BriskNetwork(Network):
    """A network that is woken by an alarm."""

    _alarm = _Alarm()

    async def _sleep_until(self, when: float) -> None:
        self._alarm = _Alarm()
        await self._alarm.wait(when)

    def _hasten(self, when: float) -> None:
        self._alarm.hasten(when)


# The order of tasks that can go on at once


class _Shuffle(random.Random):
    def shuffle(self, x: Any) -> None:
        if len(x) > 1:
            super().shuffle(x)


# Who might look on: nobody


class _NoInstruments(dict[str, Any]):
    def __init__(self, incoming: Any) -> None:
        assert not incoming, "nobody looks on in the simulation"
        super().__init__()


# Input, and calls from elsewhere: both are within the one thread.


def _events_when_idle(manager: Any) -> Any:
    get_events = manager.get_events

    def events_when_idle(self: Any, timeout: float) -> Any:
        if trio_run.GLOBAL_RUN_CONTEXT.runner.runq:
            return ()
        return get_events(self, timeout)

    return events_when_idle


_woken: set[WakeupSocketpair] = set()
_sleeping: dict[WakeupSocketpair, trio.lowlevel.Task] = {}


def _wake(self: WakeupSocketpair) -> None:
    task = _sleeping.pop(self, None)
    if task is None:
        _woken.add(self)
    else:
        trio.lowlevel.reschedule(task)


async def _wait_woken(self: WakeupSocketpair) -> None:
    if self not in _woken:
        _sleeping[self] = trio.lowlevel.current_task()

        def abort(_raise_cancel: Any) -> trio.lowlevel.Abort:
            del _sleeping[self]
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)
    _woken.discard(self)
