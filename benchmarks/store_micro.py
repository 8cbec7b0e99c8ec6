"""What a store costs, by itself: ``python -m benchmarks.store_micro``.

Chat messages in a second: each is accepted and answered in one batch of 500 of them, a session
acknowledges every 32nd, and remembers 256 answers. Compare runs of one interpreter on one machine
and one file system only.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import sqlite3
import tempfile
import time
from itertools import product
from pathlib import Path
from typing import Any

import anyio

from wsframe.session import ANONYMOUS
from wsframe.stores import (
    Accepted,
    Answered,
    AnswersForgotten,
    Change,
    Forgotten,
    Opened,
    SqliteStore,
)

from .protocol_micro import text_of

BATCH = 500
ACKNOWLEDGED = 32
REMEMBERED = 256


def conversation(sessions: int, batches: int, *, messages_apart: bool) -> list[list[Change]]:
    """Batches of messages of random sessions, always the same ones.

    Args:
        messages_apart: a message is answered in the batch after the one that accepts it.
    """
    chance = random.Random(1)
    frame = text_of(150)
    counts = [0] * sessions
    made: list[list[Change]] = []
    answers: list[Change] = []
    for batch in range(batches):
        changes: list[Change] = [*answers]
        answers = []
        for place in range(BATCH):
            which = chance.randrange(sessions)
            counts[which] += 1
            number, session_id = counts[which], f"session-{which:08d}"
            message_id = f"k3q9-{batch:x}-{place:x}"
            changes.append(Accepted(session_id, 1, message_id))
            answered = answers if messages_apart else changes
            answered.append(Answered(session_id, 1, message_id, number, frame, True))
            if number % ACKNOWLEDGED == 0:
                answered.append(Forgotten(session_id, 1, number))
                if number > REMEMBERED:
                    answered.append(AnswersForgotten(session_id, 1, number - REMEMBERED))
        made.append(changes)
    return made


async def messages_per_s(path: Path, durability: Any, made: list[list[Change]]) -> float:
    store = SqliteStore(path, durability=durability)
    await store.start("benchmark", now=0)
    names = dict.fromkeys(change.session_id for changes in made for change in changes)
    await store.commit([Opened(name, 1, bytes(32), "json", ANONYMOUS) for name in names])
    began = time.perf_counter()
    for changes in made:
        await store.commit(changes)
    took = time.perf_counter() - began
    await store.stop()
    return len(made) * BATCH / took


def main() -> None:
    parser = argparse.ArgumentParser(description="Costs of the SQLite store.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--batches", type=int, default=100, help="of 500 messages each")
    parser.add_argument("--folder", help="where the files are written; default: a temporary one")
    parser.add_argument("--rounds", type=int, default=3, help="of which the best counts")
    options = parser.parse_args()
    result: dict[str, float | str] = {
        "interpreter": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite3.sqlite_version,
    }
    for durability, sessions, apart in product(
        ("batched", "strict"), (50, 1_000, 10_000), (False, True)
    ):
        made = conversation(sessions, options.batches, messages_apart=apart)
        best = 0.0
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory(dir=options.folder) as folder:
                path = Path(folder) / "benchmark.db"
                best = max(best, anyio.run(messages_per_s, path, durability, made))
        answered = "answered in the next batch" if apart else "answered at once"
        result[f"{durability}, {sessions} sessions, {answered}"] = round(best)
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:58} {value}")


if __name__ == "__main__":
    main()
