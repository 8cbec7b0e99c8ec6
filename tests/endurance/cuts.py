"""TCP connections that are cut again and again, with streams on them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import anyio

from tests.endurance.crowd import LightClient
from tests.endurance.kills import APPLICATION, LAST_ANSWERS_S, ROOT, ran_into, stored
from tests.endurance.runs import Runs
from tests.endurance.storm import GATHER_TIMEOUT_S
from tests.endurance.talkers import Talker
from wsframe.testing.faults import Promise, ServerProcess, TcpProxy, Way

BETWEEN_S = 0.15
"""From one cut to the next, on average."""
MOST_BYTES = 600
"""A cut after so many more bytes, at most, is in the middle of a frame as a rule."""
PARTS, PART_PAUSE_S = 20, 0.03


def _ask_on(crowd: list[LightClient]) -> None:
    """Let each have a stream running."""
    for client in crowd:
        if not client.waiting:
            client.ask("count", {"to": PARTS, "pauseS": PART_PAUSE_S}, parts=PARTS)


async def _once_more(
    proxy: TcpProxy, crowd: list[LightClient], talkers: list[Talker], counts: Counter[str]
) -> None:
    """Cut everybody at once when all are there and have had parts of more than one stream.

    On a slow machine most of the cuts before came too early to be in the middle of anything.
    """

    def resumed() -> int:
        return counts["resumed"] + counts["status resumed"]

    with anyio.move_on_after(GATHER_TIMEOUT_S):
        while not (
            all(client.ready.is_set() for client in crowd)
            and all(talker.connected for talker in talkers)
            and counts["parts"] > PARTS * len(crowd)
        ):
            _ask_on(crowd)
            await anyio.sleep(0.05)
        _ask_on(crowd)
        expected = resumed() + len(crowd) + len(talkers)
        proxy.cut_all()
        while resumed() < expected:
            await anyio.sleep(0.05)


async def cut(
    folder: Path,
    *,
    cuts: int,
    clients: int,
    light_clients: int,
    seed: int,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Counter[str], list[str]]:
    """Cut connections one by one, at once or after some more bytes, with and without a reset.

    Args:
        folder: for the store.
        cuts: how many.
        clients: Python clients, which ask for answers and streams.
        light_clients: with a stream always running.
        seed: of the cuts, and of what the clients do.
        say: is told how it goes.

    Returns:
        What was counted, and what is wrong.
    """
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    promise, runs = Promise(seed=seed), Runs()
    with ServerProcess(APPLICATION, cwd=ROOT, settings=stored(folder)) as server:
        async with TcpProxy(server.port, seed=seed) as proxy, anyio.create_task_group() as tasks:
            talkers = [
                Talker(
                    f"ws://127.0.0.1:{proxy.port}/ws",
                    f"c{number}",
                    witness=promise.witness(f"client {number}"),
                    runs=runs,
                    counts=counts,
                    seed=f"{seed}/{number}",
                )
                for number in range(clients)
            ]
            crowd = [
                LightClient(
                    proxy.port,
                    f"l{number}",
                    witness=promise.witness(f"light client {number}"),
                    counts=counts,
                    rng=random.Random(f"{seed}/l{number}"),
                )
                for number in range(light_clients)
            ]
            for talker in talkers:
                tasks.start_soon(talker.talk)
            lives = [asyncio.create_task(client.live()) for client in crowd]
            while proxy.counts.cut < cuts:
                await anyio.sleep(rng.expovariate(1 / BETWEEN_S))
                _ask_on(crowd)
                if proxy.connections:
                    victim, reset = rng.choice(proxy.connections), rng.random() < 0.5
                    if rng.random() < 0.5:
                        victim.cut(reset=reset)
                    else:
                        after_bytes = rng.randrange(1, MOST_BYTES)
                        victim.cut_after(rng.choice(list(Way)), after_bytes, reset=reset)
                if proxy.counts.cut % 100 == 99:
                    say(f"{proxy.counts.cut} cuts, {dict(counts)}")
            await _once_more(proxy, crowd, talkers, counts)
            counts["cuts"] = proxy.counts.cut
            tasks.cancel_scope.deadline = anyio.current_time() + LAST_ANSWERS_S
            for talker in talkers:
                talker.stopping = True
            while any(client.waiting for client in crowd):
                await anyio.sleep(0.05)
            for client in crowd:
                client.leave()
            await asyncio.gather(*lives)
        assert "Traceback" not in server.transcript, server.transcript
    broken: list[str] = []
    ran_into(broken, promise, counts)
    broken += [f"{counts['NOT RESUMED']} times NOT RESUMED"] * bool(counts["NOT RESUMED"])
    return counts, broken + runs.broken(folder / "chat.db")
