"""The loop's clock is the one that the loop sleeps by; tasks outlive the hook that starts them."""

from __future__ import annotations

import anyio
import pytest

from wsframe import Background, loop_clock

pytestmark = pytest.mark.anyio


async def test_the_clock_is_the_one_that_the_loop_sleeps_by() -> None:
    now = loop_clock()
    before, between, after = now(), anyio.current_time(), now()
    assert before <= between <= after
    await anyio.sleep(0.01)
    assert now() > before


async def test_it_goes_on_behind_who_started_it_and_stop_waits_until_it_has_ended() -> None:
    log: list[str] = []
    begun = anyio.Event()

    async def work() -> None:
        log.append("begun")
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0)
            log.append("ended")

    task = Background(work, name="test")
    task.start()
    assert log == []
    await begun.wait()
    await task.stop()
    assert log == ["begun", "ended"]


async def test_what_has_ended_by_itself_is_stopped_without_waiting() -> None:
    ended = anyio.Event()

    async def work() -> None:
        ended.set()

    task = Background(work, name="test")
    task.start()
    await ended.wait()
    await task.stop()


async def test_what_is_stopped_before_its_first_step_never_takes_it() -> None:
    log: list[str] = []

    async def work() -> None:
        await anyio.sleep(0)
        log.append("went on")

    task = Background(work, name="test")
    task.start()
    await task.stop()
    assert log == []
