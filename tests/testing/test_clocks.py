"""Virtual time."""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial
from typing import Any

import anyio
import pytest

from wsframe.testing import VirtualClockLoop, virtual_time
from wsframe.testing.clocks import mind_threads

DAY_S = 86_400.0


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_day_passes_in_no_time(backend: str) -> None:
    order: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await anyio.sleep(seconds)
        order.append(name)

    async def main() -> float:
        began = anyio.current_time()
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(sleeper, "late", DAY_S)
            task_group.start_soon(sleeper, "early", 1)
        return anyio.current_time() - began

    began = time.monotonic()
    passed = anyio.run(main, backend=backend, backend_options=virtual_time(backend))
    assert passed == pytest.approx(DAY_S)
    assert order == ["early", "late"]
    assert time.monotonic() - began < 600


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_time_does_not_run_ahead_of_a_thread(backend: str) -> None:
    async def main() -> float:
        mind_threads()
        mind_threads()
        began = anyio.current_time()
        with anyio.fail_after(DAY_S):
            await anyio.to_thread.run_sync(time.sleep, 0.1)
        return anyio.current_time() - began

    passed = anyio.run(main, backend=backend, backend_options=virtual_time(backend))
    assert passed < 600


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_thread_that_takes_too_long_is_timed_out_in_real_time(backend: str) -> None:
    timed_out = threading.Event()

    async def main() -> None:
        mind_threads()
        try:
            with anyio.fail_after(0.05):
                await anyio.to_thread.run_sync(timed_out.wait, abandon_on_cancel=True)
        finally:
            timed_out.set()

    with pytest.raises(TimeoutError):
        anyio.run(main, backend=backend, backend_options=virtual_time(backend))


def test_time_does_not_run_ahead_of_an_executor() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(DAY_S):
            await loop.run_in_executor(None, partial(time.sleep, 0.1))
        return loop.time()

    loop = VirtualClockLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        assert runner.run(main()) < 600


def test_time_does_not_run_ahead_of_an_executor_that_shuts_down() -> None:
    began, ended = threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        time.sleep(0.1)
        ended.set()

    async def main() -> float:
        loop = asyncio.get_running_loop()
        call = loop.run_in_executor(None, work)
        began.wait()
        call.cancel()  # only the shutdown minds the thread now
        async with asyncio.timeout(DAY_S):
            await loop.shutdown_default_executor()
        assert ended.is_set()
        return loop.time()

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        assert runner.run(main()) < 600


def test_without_any_timer_the_loop_waits_for_threads() -> None:
    async def main() -> str:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()
        loop.run_in_executor(None, lambda: loop.call_soon_threadsafe(answer.set_result, "here"))
        return await answer

    with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
        assert runner.run(main()) == "here"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_real_time_is_left_alone(backend: str) -> None:
    async def main() -> Any:
        mind_threads()
        began = anyio.current_time()
        await anyio.to_thread.run_sync(time.sleep, 0.05)
        return anyio.current_time() - began

    assert anyio.run(main, backend=backend) >= 0.04


def test_there_is_no_other_backend() -> None:
    with pytest.raises(ValueError, match="'asyncio' or 'trio', not 'curio'"):
        virtual_time("curio")
