"""A process that writes to a store until it is killed: ``killed_process.py <file> <durability>``.

Each batch gives each of the sessions the same next number, and is printed when it is committed.
"""

from __future__ import annotations

import sys

import anyio

from wsframe.session import ANONYMOUS
from wsframe.stores import Accepted, Answered, Change, Forgotten, Opened, SqliteStore

SESSIONS = tuple(f"session-{place}" for place in range(5))


def batch(number: int, epoch: int) -> list[Change]:
    """One numbered answer for each session, in two changes, and what it forgets."""
    changes: list[Change] = []
    for session_id in SESSIONS:
        message_id = f"m{number}"
        changes += [
            Accepted(session_id, epoch, message_id),
            Answered(session_id, epoch, message_id, number, b"%d" % number, False),
            Forgotten(session_id, epoch, number - 50),
        ]
    return changes


async def write(path: str, durability: str) -> None:
    store = SqliteStore(path, durability=durability)  # type: ignore[arg-type]
    await store.start("node", now=0)
    await store.commit([Opened(each, 1, bytes(32), "json", ANONYMOUS) for each in SESSIONS])
    heads = [await store.claim(each, now=0) for each in SESSIONS]
    assert heads[0] is not None
    number, epoch = heads[0].count, heads[0].epoch
    while True:
        number += 1
        assert await store.commit(batch(number, epoch)) == frozenset()
        print(number, flush=True)


if __name__ == "__main__":
    anyio.run(write, *sys.argv[1:])
