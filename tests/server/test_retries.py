"""Handlers that are run again after an error marked retryable."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.server.harness import running
from wsframe import App, HandlerError

pytestmark = pytest.mark.anyio


class Flaky:
    """Fails a number of times, then answers."""

    def __init__(self, failures: int, error: BaseException) -> None:
        self.failures = failures
        self.error = error
        self.times: list[float] = []

    async def __call__(self, message: Any, connection: Any) -> Any:
        self.times.append(anyio.current_time())
        if len(self.times) <= self.failures:
            raise self.error
        return {"attempt": len(self.times)}


LATER = HandlerError("app.later", retryable=True)


async def test_it_runs_again_until_it_succeeds_with_growing_pauses() -> None:
    flaky = Flaky(3, LATER)
    app = App()
    app.add_handler("do", flaky, retries=3)
    async with running(app) as server:
        client = server.connect()
        assert (await client.ask("do"))["content"] == {"attempt": 4}
        assert len(client.received) == 1
        pauses = [b - a for a, b in zip(flaky.times, flaky.times[1:], strict=False)]
        for pause, middle in zip(pauses, (0.05, 0.1, 0.2), strict=True):
            assert 0.4 * middle <= pause <= 1.6 * middle


async def test_the_last_error_is_the_answer() -> None:
    flaky = Flaky(9, LATER)
    app = App(max_retries=2)
    app.add_handler("do", flaky)
    async with running(app) as server:
        assert await server.connect().error("do") == "app.later"
        assert len(flaky.times) == 3


@pytest.mark.parametrize("error", [HandlerError("app.never"), LookupError("x")])
async def test_other_errors_are_not_retried(error: BaseException) -> None:
    flaky = Flaky(1, error)
    app = App()
    app.add_handler("do", flaky, retries=5)
    async with running(app) as server:
        await server.connect().error("do")
        assert len(flaky.times) == 1


async def test_the_time_limit_is_for_all_attempts_together() -> None:
    flaky = Flaky(100, LATER)
    app = App()
    app.add_handler("do", flaky, retries=100, timeout_s=3)
    async with running(app) as server:
        start = anyio.current_time()
        assert await server.connect().error("do") == "timeout"
        assert anyio.current_time() - start < 4


async def test_a_message_can_be_cancelled_between_two_attempts() -> None:
    flaky = Flaky(100, LATER)
    app = App()
    app.add_handler("do", flaky, retries=100, timeout_s=None)
    async with running(app) as server:
        client = server.connect()
        client.send("do", id="x")
        await server.pass_time(1)
        await client.ask("cancel", {"id": "x"})
        attempts = len(flaky.times)
        await server.pass_time(100)
        assert len(flaky.times) == attempts


async def test_a_stream_is_retried_as_long_as_no_part_was_sent() -> None:
    app = App()
    attempts = []

    @app.handler("ask", retries=5)
    async def ask(message: Any, connection: Any) -> Any:
        attempts.append(1)
        if len(attempts) < 3:
            raise LATER
        yield "part"
        raise LATER

    async with running(app) as server:
        client = server.connect()
        assert await client.error("ask", id="x") == "app.later"
        assert client.parts("x") == ["part"]
        assert len(attempts) == 3


async def test_middleware_runs_with_each_attempt() -> None:
    flaky = Flaky(1, LATER)
    app = App()
    app.add_handler("do", flaky, retries=1)
    seen = []

    async def count(message: Any, connection: Any, call_next: Any) -> Any:
        seen.append(message.id)
        return await call_next(message, connection)

    app.use(count)
    async with running(app) as server:
        await server.connect().ask("do", id="x")
        assert seen == ["x", "x"]
