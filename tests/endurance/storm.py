"""A crowd that loses its connections in one moment and comes back at once."""

from __future__ import annotations

import asyncio
import math
import random
import resource
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil

from tests.endurance.crowd import LightClient
from tests.endurance.kills import APPLICATION, ROOT, stored
from tests.endurance.steady import SteadyClient
from wsframe.testing.faults import Promise, ServerProcess

PARTS = 6
GATHER_TIMEOUT_S = 120.0
"""The crowd comes, and comes back, within this, or the run has failed."""
NEW_AT_A_TIME = 50


class Crowd:
    """Many light clients of one server."""

    def __init__(self, port: int, size: int, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self.promise = Promise(seed=seed)
        self.clients = [
            LightClient(
                port,
                f"l{number}",
                witness=self.promise.witness(f"light client {number}"),
                counts=self.counts,
                rng=random.Random(f"{seed}/{number}"),
            )
            for number in range(size)
        ]
        self._lives: list[asyncio.Task[None]] = []

    async def come(self) -> None:
        """Everybody connects, one batch after the other."""
        for start in range(0, len(self.clients), NEW_AT_A_TIME):
            batch = self.clients[start : start + NEW_AT_A_TIME]
            self._lives += [asyncio.create_task(client.live()) for client in batch]
            await asyncio.gather(*(client.ready.wait() for client in batch))

    async def until(self, condition: Callable[[LightClient], bool], what: str) -> float:
        """Wait until it holds for every client; returns how many seconds that took."""
        begun = time.monotonic()
        while missing := sum(not condition(client) for client in self.clients):
            if time.monotonic() - begun > GATHER_TIMEOUT_S:
                raise AssertionError(f"{missing} of {len(self.clients)} clients: not {what}")
            await asyncio.sleep(0.05)
        return time.monotonic() - begun

    async def all_answered(self) -> None:
        await self.until(lambda client: not client.waiting, "answered")

    async def leave(self) -> None:
        """Everybody ends its session."""
        for client in self.clients:
            client.leave()
        await asyncio.wait(self._lives, timeout=GATHER_TIMEOUT_S)
        for life in self._lives:
            life.cancel()
        await asyncio.gather(*self._lives, return_exceptions=True)

    def broken(self) -> list[str]:
        """What of the promise was broken."""
        found = self.promise.broken()
        for name in ("NOT RESUMED", "GAPS"):
            if self.counts[name]:
                found.append(f"{self.counts[name]} times {name}")
        return found


async def _go_on_until_answered(crowd: Crowd, steady: SteadyClient, since: float) -> None:
    """Cut whoever is back, again and again, as long as the storm keeps a steady client waiting.

    So it is answered during the storm, on a machine of any speed, or the storm never lets it be.
    """
    while (
        steady.running
        and not steady.latencies_ms(since, math.inf)
        and time.monotonic() < since + GATHER_TIMEOUT_S
    ):
        await asyncio.sleep(0.05)
        for client in crowd.clients:
            if client.ready.is_set():
                client.cut()


def cpu_time_s(pid: int) -> float:
    """What a process has used of the machine, which other processes do not change."""
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def allow_files() -> None:
    """Open as many sockets as the machine allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def storm(
    folder: Path,
    *,
    clients: int,
    seed: int,
    restart: bool = False,
    part_pause_s: float = 3.0,
    calm_s: float = 5.0,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Counter[str], list[str]]:
    """Cut every client of a crowd at one moment, each with a stream running.

    Args:
        folder: for the store, and what a steady client prints.
        clients: of the crowd.
        seed: of their pauses.
        restart: the server is killed and started again at that moment.
        part_pause_s: between the parts of each stream.
        calm_s: so long a steady client is looked at before and after.
        say: is told how it goes.

    Returns:
        What was counted, and what is wrong.
    """
    allow_files()
    settings = stored(folder, max_connections=2 * clients + 100, durability="strict")
    with ServerProcess(APPLICATION, cwd=ROOT, settings=settings) as server:
        crowd = Crowd(server.port, clients, seed)
        await crowd.come()
        say(f"{clients} clients are there")
        with SteadyClient(server.ws_url, folder / "steady.txt") as steady:
            while not steady.begun and steady.running:
                await asyncio.sleep(0.1)
            calm_at = time.monotonic()
            for number, client in enumerate(crowd.clients):
                client.ask("count", {"to": PARTS, "pauseS": part_pause_s}, parts=PARTS)
                if number % NEW_AT_A_TIME == 0:
                    await asyncio.sleep(calm_s * NEW_AT_A_TIME / clients)
            cut_at = time.monotonic()
            cpu_s = 0.0 if restart else cpu_time_s(server.pid)
            if restart:
                await asyncio.to_thread(server.kill)
            for client in crowd.clients:
                client.cut()
            if restart:
                await asyncio.to_thread(server.restart)
            else:
                await _go_on_until_answered(crowd, steady, cut_at)
            await crowd.until(lambda client: client.ready.is_set(), "resumed")
            back_at = time.monotonic()
            cpu_s = cpu_time_s(server.pid) - cpu_s
            say(f"all are back after {back_at - cut_at:.1f} s")
            for client in crowd.clients:
                client.ask("text", {})
            await crowd.all_answered()
            over_at = time.monotonic()
            await asyncio.sleep(calm_s)
            say(f"a steady client before: {steady.summary(calm_at, cut_at)}")
            say(f"                during: {steady.summary(cut_at, back_at)}")
            say(f"                 after: {steady.summary(over_at, over_at + calm_s)}")
            broken = [] if steady.running else ["the steady client has ended"]
            if not restart and not steady.latencies_ms(cut_at, back_at):
                broken.append("the steady client was not answered during the storm")
            if not await steady.answered(since=cut_at, within_s=GATHER_TIMEOUT_S):
                broken.append("the steady client was never answered again")
        await crowd.leave()
        assert "Traceback" not in server.transcript, server.transcript
    crowd.counts["back after, ms"] = round(1_000 * (back_at - cut_at))
    crowd.counts["of these CPU time, ms"] = round(1_000 * cpu_s)
    return crowd.counts, broken + crowd.broken()
