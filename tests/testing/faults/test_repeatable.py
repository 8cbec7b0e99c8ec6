"""The same seed gives the same run: each event at the same moment."""

from __future__ import annotations

import random
from typing import Any

import anyio
import pytest

from tests.testing.faults.conftest import make_app
from tests.testing.faults.raw_client import RawClient
from wsframe.errors import ConnectionClosed
from wsframe.testing import virtual_time
from wsframe.testing.faults import ROUGH, KillableServer, Network, Plan, repeatable

LOST = (anyio.EndOfStream, anyio.BrokenResourceError, OSError, ConnectionClosed)


async def persist(network: Network, until_s: float) -> None:
    """Ask again and again, on a new line when the last is lost."""
    asked = 0
    while anyio.current_time() < until_s:
        try:
            async with await network.connect() as stream:
                client = RawClient(stream)
                with anyio.fail_after(3):
                    await client.open()
                    while anyio.current_time() < until_s:
                        asked += 1
                        await client.answer("text", {"text": "x" * asked}, str(asked))
                        await client.answer("count", {"to": 3}, f"count {asked}")
        except LOST:
            await anyio.sleep(random.random())


async def scenario(plan: Plan, seed: int) -> tuple[list[str], int]:
    server = KillableServer(make_app)
    async with server, Network(server, plan, seed=seed, log_limit=100_000) as network:
        async with anyio.create_task_group() as task_group:
            for _ in range(4):
                task_group.start_soon(persist, network, 40.0)
            for _ in range(3):
                await anyio.sleep(10)
                await server.restart()
        return network.log.lines, network.connected


def run(backend: str, seed: int, plan: Plan = ROUGH) -> tuple[list[str], int]:
    options: dict[str, Any] = virtual_time(backend)
    with repeatable(seed):
        return anyio.run(scenario, plan, seed, backend=backend, backend_options=options)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_same_seed_gives_the_same_run(backend: str) -> None:
    first, connected = run(backend, 1)
    assert connected > 20
    assert run(backend, 1) == (first, connected)
    assert run(backend, 2) != (first, connected)


def test_everything_that_can_happen_does() -> None:
    lines, _ = run("asyncio", 5)
    for happened in (
        "connects", "is refused", "dropped", "cut on the way to the server",
        "cut on the way to the client", "stalls to server", "stalls to client", "then dies",
        "is closed to server", "is closed to client", "lost by the client", "→ server", "→ client",
        "is closed by the client", "by the server",
    ):  # fmt: skip
        assert any(happened in line for line in lines), happened


def test_a_calm_plan_has_no_fault() -> None:
    lines, _ = run("asyncio", 1, Plan())
    for fault in ("dropped\n", "cut", "stalls", "is closed to", "lost by the client"):
        assert not any(fault in f"{line}\n" for line in lines), fault


def test_randomness_is_afterwards_as_it_was() -> None:
    import trio

    trio_run: Any = trio._core._run  # type: ignore[attr-defined]
    before = random.getstate(), trio_run._r.getstate(), trio_run._ALLOW_DETERMINISTIC_SCHEDULING
    with repeatable(3):
        random.random()
        assert trio_run._ALLOW_DETERMINISTIC_SCHEDULING
    after = random.getstate(), trio_run._r.getstate(), trio_run._ALLOW_DETERMINISTIC_SCHEDULING
    assert after == before


def test_without_trio_the_rest_is_repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(__import__("sys").modules, "trio._core._run", raising=False)
    drawn = []
    for _ in range(2):
        with repeatable(4):
            drawn.append(random.random())
    assert drawn[0] == drawn[1]
