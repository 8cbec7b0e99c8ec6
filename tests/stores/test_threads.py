"""Blocking calls in one long-lived thread."""

from __future__ import annotations

import sys
import threading
from typing import Any

import anyio
import pytest

from wsframe.stores.threads import OwnThread

pytestmark = pytest.mark.anyio


@pytest.fixture(
    params=["asyncio", ("asyncio", {"use_uvloop": True}), "trio"],
    ids=["asyncio", "uvloop", "trio"],
)
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    return request.param


async def test_every_call_is_made_in_the_same_thread_which_is_not_the_callers() -> None:
    caller = OwnThread("test")
    caller.start()
    threads = {await caller.call(threading.get_ident) for _ in range(10)}
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    caller.stop()


async def test_it_ends_when_it_is_told_so() -> None:
    caller = OwnThread("a thread to be found")
    caller.start()
    assert await caller.call(threading.current_thread) in threading.enumerate()
    caller.stop()
    assert "a thread to be found" not in [each.name for each in threading.enumerate()]


async def test_what_a_call_raises_is_raised_and_the_next_one_works() -> None:
    caller = OwnThread("test")
    caller.start()
    with pytest.raises(ZeroDivisionError):
        await caller.call(divmod, 1, 0)
    with pytest.raises(SystemExit):
        await caller.call(sys.exit)  # exit() would close this process's standard input
    assert await caller.call(divmod, 7, 2) == (3, 1)
    caller.stop()


async def test_calls_are_made_in_the_order_in_which_they_were_asked_for() -> None:
    caller = OwnThread("test")
    caller.start()
    asked: list[int] = []
    made: list[int] = []

    async def ask(place: int) -> None:
        asked.append(place)  # a backend may begin tasks in any order
        await caller.call(made.append, place)

    async with anyio.create_task_group() as tasks:
        for place in range(50):
            tasks.start_soon(ask, place)
    assert made == asked
    assert len(made) == 50
    caller.stop()


async def test_a_cancelled_caller_waits_no_more_and_the_call_is_made() -> None:
    caller = OwnThread("test")
    caller.start()
    go_on, made = threading.Event(), []

    def held_up() -> None:
        go_on.wait()
        made.append("done")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(caller.call, held_up)
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert made == []
    go_on.set()
    await caller.call(made.append, "next")
    assert made == ["done", "next"]
    caller.stop()


async def test_finish_waits_though_it_is_cancelled() -> None:
    caller = OwnThread("test")
    caller.start()
    made: list[str] = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        await caller.finish(lambda: made.append("done"))
    assert made == ["done"]
    caller.stop()


def test_a_call_may_outlive_the_event_loop_that_asked_for_it() -> None:
    caller = OwnThread("test")
    caller.start()
    go_on, made = threading.Event(), []

    async def leave_early() -> None:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await caller.call(go_on.wait)

    anyio.run(leave_early)
    go_on.set()

    async def another_loop() -> None:
        await caller.call(made.append, "works")

    anyio.run(another_loop, backend="trio")
    assert made == ["works"]
    caller.stop()
