"""One client that asks at a steady pace and prints when, and how long each answer took.

    python -m tests.endurance.steady ws://127.0.0.1:3001/ws

A process of its own: in that of the crowd it would measure the crowd.
"""

from __future__ import annotations

import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

import anyio

from wsframe.client import Client

PAUSE_S = 0.02
ROOT = Path(__file__).parents[2]


async def ask_for_ever(url: str) -> None:
    async with Client(url, open_timeout_s=300, timeout_s=300) as client:
        print("begins", flush=True)
        while True:
            begun = time.monotonic()
            await client.request("text", {})
            print(begun, time.monotonic() - begun, client.status, flush=True)
            await anyio.sleep(PAUSE_S)


class SteadyClient:
    """Runs it, and keeps what it prints."""

    def __init__(self, url: str, file: Path) -> None:
        self._file = file
        with file.open("w") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.endurance.steady", url], cwd=ROOT, stdout=output
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.kill()
        self._process.wait()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def begun(self) -> bool:
        return "begins" in self._file.read_text()

    async def answered(self, *, since: float, within_s: float) -> bool:
        """Has it been answered since that time, or is it before another ``within_s`` are over?"""
        with anyio.move_on_after(within_s):
            while self.running and not self.latencies_ms(since, math.inf):
                await anyio.sleep(0.1)
        return bool(self.latencies_ms(since, math.inf))

    def latencies_ms(self, since: float, until: float) -> list[float]:
        """Of what was answered in a time of ``time.monotonic()``, the shortest first."""
        lines = [line.split() for line in self._file.read_text().splitlines()[1:]]
        asked = [(float(line[0]), float(line[1]) * 1_000) for line in lines if len(line) == 3]
        return sorted(
            latency for begun, latency in asked if since <= begun + latency / 1_000 < until
        )

    def summary(self, since: float, until: float) -> str:
        """The same in words."""
        found = self.latencies_ms(since, until)
        if not found:
            return "no answer"
        p50, p99 = found[len(found) // 2], found[len(found) * 99 // 100]
        return (
            f"{len(found)} answers in {until - since:.1f} s, "
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {found[-1]:.1f} ms"
        )


if __name__ == "__main__":
    anyio.run(ask_for_ever, sys.argv[1])
