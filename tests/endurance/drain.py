"""A server that is asked to stop while many clients talk to it, and then started again."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread

from tests.endurance import database
from tests.endurance.crowd import LightClient
from tests.endurance.kills import APPLICATION, LAST_ANSWERS_S, ROOT, ran_into, stored
from tests.endurance.runs import Runs, runs_begun
from tests.endurance.storm import Crowd, allow_files
from tests.endurance.talkers import Talker
from wsframe.testing.faults import Promise, ServerProcess

DRAIN_TIMEOUT_S = 240.0
"""Much more than a slow machine needs: the drain ends with the last stream, not with this."""
RECONNECT_AFTER_MS = 200
PARTS, PART_PAUSE_S = 10, 0.3


class Probe:
    """What a load balancer asks, on one connection that it keeps."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        self.found: list[tuple[int, str]] = []

    def ask(self) -> tuple[int, str]:
        self._connection.request("GET", "/readyz")
        answer = self._connection.getresponse()
        self.found.append((answer.status, json.loads(answer.read())["status"]))
        return self.found[-1]

    def close(self) -> None:
        self._connection.close()


async def drained(
    folder: Path,
    *,
    clients: int,
    light_clients: int,
    seed: int,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Counter[str], list[str]]:
    """Stop a server with SIGTERM under load, start it again, and see everybody come back.

    Args:
        folder: for the store.
        clients: Python clients, which go on asking meanwhile.
        light_clients: each with a stream running, and one more message during the drain.
        seed: of what the clients do.
        say: is told how it goes.

    Returns:
        What was counted, and what is wrong.
    """
    allow_files()
    counts: Counter[str] = Counter()
    promise, runs, broken = Promise(seed=seed), Runs(), list[str]()
    settings = stored(
        folder,
        drain_timeout_s=DRAIN_TIMEOUT_S,
        reconnect_after_ms=RECONNECT_AFTER_MS,
        max_connections=2 * (clients + light_clients) + 10,
        handshake_timeout_s=DRAIN_TIMEOUT_S,  # so long a connection may wait between two requests
    )
    with ServerProcess(APPLICATION, cwd=ROOT, settings=settings) as server:
        crowd = Crowd(server.port, light_clients, seed)
        talkers = [
            Talker(
                server.ws_url,
                f"c{number}",
                witness=promise.witness(f"client {number}"),
                runs=runs,
                counts=counts,
                seed=f"{seed}/{number}",
            )
            for number in range(clients)
        ]
        async with anyio.create_task_group() as tasks:
            await crowd.come()
            for talker in talkers:
                tasks.start_soon(talker.talk)
            probe = Probe(server.port)
            broken += _unless(await anyio.to_thread.run_sync(probe.ask), (200, "ok"))
            for client in crowd.clients:
                content = {"to": PARTS, "pauseS": PART_PAUSE_S, "held": True}
                client.ask("count", content, parts=PARTS)
            await crowd.until(lambda client: client.begun, "answered in part")
            server.ask_to_stop()
            asked_at = time.monotonic()
            await crowd.until(lambda client: bool(client.events), "told")
            broken += _unless(await anyio.to_thread.run_sync(probe.ask), (503, "draining"))
            probe.close()
            for client in crowd.clients:
                client.ask("text", {})
            # However late that is, the server is still draining: its streams wait for us.
            await crowd.until(lambda _: _refused(crowd) >= light_clients, "refused")
            (folder / "chat.db.let_go").touch()
            code = await anyio.to_thread.run_sync(server.ended)
            counts["drained after, ms"] = round(1_000 * (time.monotonic() - asked_at))
            say(f"exit code {code} after {counts['drained after, ms']} ms")
            broken += _unless(code, 0)
            broken += await anyio.to_thread.run_sync(database.broken, folder / "chat.db")
            await anyio.to_thread.run_sync(server.restart)
            counts["resumed after, ms"] = round(1_000 * await crowd.until(_came_back, "resumed"))
            await crowd.all_answered()
            for talker in talkers:
                talker.stopping = True
            tasks.cancel_scope.deadline = anyio.current_time() + LAST_ANSWERS_S
        broken += told_to_come_back(crowd)
        await crowd.leave()
        assert "Traceback" not in server.transcript, server.transcript
    if counts["drained after, ms"] > DRAIN_TIMEOUT_S * 1_000:
        broken.append("drain_timeout_s is over")
    ran_into(broken, promise, counts)
    return counts + crowd.counts, broken + crowd.broken() + runs.broken(folder / "chat.db")


def told_to_come_back(crowd: Crowd) -> list[str]:
    """What is wrong with how the light clients were told."""
    broken = []
    for number, client in enumerate(crowd.clients):
        delays = [each.get("reconnectAfterMs", 0) for each in client.events]
        right = len(delays) == 1 and RECONNECT_AFTER_MS <= delays[0] <= 2 * RECONNECT_AFTER_MS
        if not right or client.close_codes != {1012: 1}:
            broken.append(f"light client {number} heard {client.events}, {client.close_codes}")
    if _refused(crowd) != len(crowd.clients):
        broken.append(f"{_refused(crowd)} new messages were refused as draining")
    if crowd.counts["retried: interrupted"]:
        broken.append(f"{crowd.counts['retried: interrupted']} messages were interrupted")
    return broken


def _refused(crowd: Crowd) -> int:
    return crowd.counts["retried: draining"]


def _came_back(client: LightClient) -> bool:
    """Whether it is there once more: it may not have noticed yet that the server has ended."""
    return client.times_ready > 1


def _unless(found: Any, expected: Any) -> list[str]:
    return [] if found == expected else [f"{found} instead of {expected}"]


async def ended_at_once(folder: Path) -> tuple[int, float]:
    """Send a second signal during a drain; returns the exit code, and how many seconds it took."""
    settings = stored(folder, drain_timeout_s=600)
    with ServerProcess(APPLICATION, cwd=ROOT, settings=settings) as server:
        crowd = Crowd(server.port, 10, 0)
        await crowd.come()
        for client in crowd.clients:
            client.ask("work", {"forS": 600})
        # A message that comes after the signal is refused, and there is nothing to wait for.
        await crowd.until(lambda _: runs_begun(folder / "chat.db") == 10, "at work")
        server.ask_to_stop()
        await crowd.until(lambda client: bool(client.events), "told")
        begun = time.monotonic()
        server.ask_to_stop()
        code = await asyncio.to_thread(server.ended)
        took_s = time.monotonic() - begun
        await asyncio.to_thread(server.restart)
        await crowd.until(_came_back, "resumed")
        assert crowd.counts["resumed"] == 10, crowd.counts
        assert code == 128 + signal.SIGTERM
        await crowd.leave()
    return code, took_s
