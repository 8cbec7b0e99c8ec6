"""SIGKILL at any moment: what was acknowledged is there, and nothing is half there."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stores import killed_process
from wsframe.stores import SqliteStore

KILLS = 20


@pytest.mark.slow
@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("durability", ["batched", "strict"])
async def test_what_was_acknowledged_before_a_kill_is_there_and_nothing_is_half_there(
    durability: str, tmp_path: Path, source_tree: Path
) -> None:
    chance = random.Random(durability)
    path = tmp_path / "s.db"
    before = 0
    for _ in range(KILLS):
        acknowledged = live_and_die(path, durability, source_tree, chance.randrange(1, 60))
        assert acknowledged > before
        before = await check(path, acknowledged)


def live_and_die(path: Path, durability: str, source_tree: Path, batches: int) -> int:
    """Kill a writer after so many of its batches; returns the last number it has told of."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.stores.killed_process", str(path), durability],
        stdout=subprocess.PIPE,
        cwd=source_tree,
        text=True,
    ) as writer:
        assert writer.stdout is not None
        told = [next(writer.stdout) for _ in range(batches)]
        writer.kill()
        told += writer.stdout
    # The last line may be cut off.
    return int([line for line in told if line.endswith("\n")][-1])


async def check(path: Path, acknowledged: int) -> int:
    store = SqliteStore(path, threaded=False)
    await store.start("checker", now=0)
    connection = store._file.connection  # type: ignore[union-attr]
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    numbers = set()
    for session_id in killed_process.SESSIONS:
        found = await store.claim(session_id, now=0)
        assert found is not None
        assert found.interrupted == ()
        frames = await store.frames(session_id, after=found.forgotten, limit=1_000)
        assert list(frames) == [b"%d" % n for n in range(found.forgotten + 1, found.count + 1)]
        assert found.forgotten == max(found.count - 50, 0)
        numbers.add(found.count)
    await store.stop()
    (number,) = numbers
    assert number >= acknowledged
    return int(number)
