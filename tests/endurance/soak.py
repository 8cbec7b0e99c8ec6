"""Clients that come and go for a long time; what the server takes of the machine meanwhile."""

from __future__ import annotations

import json
import math
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import psutil

from tests.endurance import database
from tests.endurance.crowd import LightClient
from tests.endurance.kills import APPLICATION, ROOT, ran_into, stored
from tests.endurance.runs import Runs
from tests.endurance.talkers import Talker
from wsframe.client import Client
from wsframe.testing.faults import Promise, ServerProcess, TcpProxy
from wsframe.testing.faults.promise import Witness

STAY_S = (5.0, 60.0)
RESUME_WINDOW_S = 30
HEARTBEAT_S = 10
MAX_GROWTH = {
    "rss_kib": (0.10, 4_096),
    "tasks": (0.25, 20),
    "fds": (0.25, 20),
    "threads": (0.0, 1),
    "sessions": (0.25, 20),
    "messages": (0.35, 300),
    "running": (0.5, 30),
    "database_kib": (0.35, 512),
}
"""By how much of what it was, and by how much besides, a figure may be larger at the end."""


class Soak:
    """Slots, each with one client after the other.

    Args:
        folder: for the store.
        minutes: how long it goes on.
        slots: clients at a time.
        rate: requests per second of all of them together, about.
        seed: of what is left to chance.
        figures: a file to append the figures to, one line of JSON each.
        figures_every_s: how often they are taken.
        say: is told how it goes.
    """

    def __init__(
        self,
        folder: Path,
        *,
        minutes: float,
        slots: int,
        rate: float,
        seed: int,
        figures: Path,
        figures_every_s: float = 60.0,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._folder = folder
        self._minutes = minutes
        self._slots = slots
        self._pause_s = 2 * slots / rate
        self._seed = seed
        self._file = figures
        self._every_s = figures_every_s
        self._say = say
        self._stopping = False
        self.counts: Counter[str] = Counter()
        self.broken: list[str] = []
        self.figures: list[dict[str, Any]] = []

    async def run(self) -> tuple[Counter[str], list[str]]:
        """Run it; returns what was counted, and what is wrong."""
        settings = stored(
            self._folder,
            resume_window_s=RESUME_WINDOW_S,
            heartbeat_interval_s=HEARTBEAT_S,
            heartbeat_timeout_s=HEARTBEAT_S,
        )
        with ServerProcess(APPLICATION, cwd=ROOT, settings=settings) as server:
            self._say(f"server: process {server.pid}; this one: {os.getpid()}; {self._file}")
            async with (
                TcpProxy(server.port, seed=self._seed, cuts_per_s=0.2) as proxy,
                Client(server.ws_url) as watcher,
                anyio.create_task_group() as tasks,
            ):
                for number in range(self._slots):
                    tasks.start_soon(self._slot, proxy.port, number)
                await self._watch(server.pid, watcher)
                self._stopping = True
                tasks.cancel_scope.deadline = anyio.current_time() + 120
            assert "Traceback" not in server.transcript, server.transcript
            self.counts["cut"] = proxy.counts.cut
        self.broken += await anyio.to_thread.run_sync(database.broken, self._folder / "chat.db")
        return self.counts, self.broken + growth(self.figures)

    async def _slot(self, port: int, number: int) -> None:
        rng = random.Random(f"{self._seed}/{number}")
        visit = 0
        while not self._stopping:
            visit += 1
            name = f"s{number}v{visit}"
            promise, counts = Promise(seed=self._seed), Counter[str]()
            witness = promise.witness(name)
            stay_s = rng.uniform(*STAY_S)
            if rng.random() < 0.3:
                client = LightClient(
                    port, name, witness=witness, counts=counts, rng=random.Random(name)
                )
                await client.vanish_after(stay_s, self._pause_s)
                counts["vanished"] += 1
                broken = [text for text in promise.broken() if "was not answered" not in text]
                self.broken += broken
                self.broken += [f"{name}: not resumed"] * counts["NOT RESUMED"]
            else:
                await self._visit(port, name, stay_s, witness, counts)
                ran_into(self.broken, promise, counts)
                counts["left"] += 1
            self.counts += counts

    async def _visit(
        self, port: int, name: str, stay_s: float, witness: Witness, counts: Counter[str]
    ) -> None:
        talker = Talker(
            f"ws://127.0.0.1:{port}/ws",
            name,
            witness=witness,
            runs=Runs(),
            counts=counts,
            seed=f"{self._seed}/{name}",
            pause_s=self._pause_s,
        )
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(talker.talk)
            with anyio.move_on_after(stay_s):
                while not self._stopping:
                    await anyio.sleep(0.5)
            talker.stopping = True

    async def _watch(self, pid: int, watcher: Client) -> None:
        begun = anyio.current_time()
        process = psutil.Process(pid)
        samples = math.ceil(self._minutes * 60 / self._every_s)
        for number in range(samples + 1):
            await anyio.sleep_until(begun + number * self._every_s)
            inside = (await watcher.request("figures")).content
            found = {
                "minute": round((anyio.current_time() - begun) / 60, 2),
                "rss_kib": process.memory_info().rss // 1024,
                "fds": process.num_fds(),
                "threads": process.num_threads(),
                "tasks": inside["tasks"],
                **await anyio.to_thread.run_sync(database.rows, self._folder / "chat.db"),
                "database_kib": (self._folder / "chat.db").stat().st_size // 1024,
                "wal_kib": (self._folder / "chat.db-wal").stat().st_size // 1024,
                "cpu_s": round(sum(process.cpu_times()[:2]), 1),
                "answered": self.counts["answered"],
                "resumed": self.counts["status resumed"],
                "vanished": self.counts["vanished"],
                "left": self.counts["left"],
                "broken": len(self.broken),
                "time": time.strftime("%H:%M:%S"),
            }
            self.figures.append(found)
            with self._file.open("a") as file:
                file.write(json.dumps(found) + "\n")
            if number % 10 == 0:
                self._say(json.dumps(found))


def growth(figures: list[dict[str, Any]]) -> list[str]:
    """What has grown, from the first part of a run, once everything is there, to the last one."""
    warm = len(figures) // 6
    part = max(1, len(figures) // 6)
    if len(figures) < 6:
        return [f"only {len(figures)} figures: nothing can be said about growth"]
    broken = []
    for name, (share, besides) in MAX_GROWTH.items():
        early = [each[name] for each in figures[warm : warm + part]]
        late = [each[name] for each in figures[-part:]]
        before, after = sum(early) / len(early), sum(late) / len(late)
        if after > before * (1 + share) + besides:
            broken.append(f"{name} has grown from {before:,.0f} to {after:,.0f}")
    return broken
