"""What it costs to keep the promise: ``python -m benchmarks.keeping_micro``.

Sessions that began with ``init`` are numbered, entered into the ledger and kept in the outbox until
they are acknowledged, with every 32nd message. The same messages go to sessions whose ledger and
outbox are replaced by ones that do nothing. The difference, and what calling those costs, is what
the three add to a message: microseconds of CPU, the least of many rounds that take turns. Exit code
0 when it is within the limit, 1 when it is not.
"""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import uvloop

from wsframe.protocol.frames import encode_frame
from wsframe.server.lifecycle import Host
from wsframe.session import Ledger, Outbox, Verdict
from wsframe.testing.connector import MemoryServer

from .apps.chat import app
from .message_micro import KEY, REQUEST, Bench, Sink
from .workloads import CHAT_MESSAGE

LIMIT_US = 3.0
CONNECTIONS = 50
MESSAGES = 8  # of one connection in one round: short ones, so that some are undisturbed
ROUNDS = 1_000
ACKNOWLEDGED_EVERY = 32
UPGRADE = REQUEST[:-2] + b"Sec-WebSocket-Protocol: wsframe.v1.json\r\n\r\n"
INIT = encode_frame(1, b'{"id":"init","type":"init","content":{}}', mask=KEY)


class NoLedger(Ledger[Any]):
    """Enters nothing and remembers nothing."""

    __slots__ = ()

    def admit(self, message_id: str, entry: Any) -> Verdict:  # noqa: ARG002 - a stand-in
        return _NEW

    def settle(self, message_id: str, answer: bytes | None) -> bool:  # noqa: ARG002 - likewise
        return True


class NoOutbox(Outbox):
    """Numbers nothing and keeps nothing."""

    __slots__ = ()

    def written(self, frame: bytes) -> None:
        pass

    def acknowledge(self, number: int) -> bool:  # noqa: ARG002 - likewise
        return True


_NEW = Verdict.NEW


class Keeping:
    """Two groups of sessions, which differ in whether they keep anything."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._bench = Bench(node)
        self._sent = 0

    async def start(self) -> None:
        self.full = await self._sessions()
        self.bare = await self._sessions()
        for link in self.bare:
            session = link.owner.session
            session.ledger = NoLedger(max_in_flight=64, max_messages=1, max_bytes=1)
            session.outbox = NoOutbox(max_messages=1, max_bytes=1)

    async def _sessions(self) -> list[Sink]:
        links = [Sink(self._node) for _ in range(CONNECTIONS)]
        for link in links:
            await self._bench.feed([(link, UPGRADE)])
            await self._bench.feed([(link, INIT)])
            assert link.owner.session.outbox.keep, "the session has begun"
        return links

    def _next_messages(self) -> list[bytes]:
        """What each connection sends in the next round."""
        found = []
        for _ in range(MESSAGES):
            self._sent += 1
            text = CHAT_MESSAGE.replace("@ID@", f"wl{self._sent:014}")
            text = text.replace("@ISO@", "2026-01-31T10:00:00.000Z")
            if self._sent % ACKNOWLEDGED_EVERY == 0:
                text = f'{text[:-1]},"ack":{self._sent - 1}}}'
            found.append(encode_frame(1, text.encode(), mask=KEY))
        return found

    async def difference(self, depth: int) -> tuple[float, float]:
        """Seconds a message takes with and without, ``depth`` messages in each read."""
        best = {True: float("inf"), False: float("inf")}
        for _ in range(ROUNDS):
            messages = self._next_messages()
            reads = [b"".join(messages[at : at + depth]) for at in range(0, MESSAGES, depth)]
            for keeps, links in ((True, self.full), (False, self.bare)):
                fed = [(link, data) for data in reads for link in links]
                before = sum(link.written for link in links)
                start = time.process_time()
                await self._bench.feed(fed)
                took = (time.process_time() - start) / (MESSAGES * CONNECTIONS)
                assert sum(link.written for link in links) - before > 150 * MESSAGES * CONNECTIONS
                best[keeps] = min(best[keeps], took)
        return best[True], best[False]


def stand_in_calls() -> float:
    """Seconds that the calls of the stand-ins take which a message makes."""
    ledger = NoLedger(max_in_flight=1, max_messages=1, max_bytes=1)
    outbox = NoOutbox(max_messages=1, max_bytes=1)
    best = float("inf")
    for _ in range(50):
        start = time.process_time()
        for _ in range(2_000):
            ledger.admit("id", None)
            ledger.settle("id", b"")
            outbox.written(b"")
        best = min(best, (time.process_time() - start) / 2_000)
    return best


async def measure(report: Callable[[str, float], None]) -> float:
    """Reports each figure; returns the largest sum that a message is charged with."""
    host = Host(MemoryServer(app))
    await host.start()
    assert app.runtime is not None
    keeping = Keeping(app.runtime.node)
    await keeping.start()
    calls = stand_in_calls() * 1e6
    report("calls of the stand-ins", calls)
    worst = 0.0
    for depth in (1, 8):
        full, bare = await keeping.difference(depth)
        report(f"d{depth}, all kept", full * 1e6)
        report(f"d{depth}, nothing kept", bare * 1e6)
        report(f"d{depth}, keeping adds", (full - bare) * 1e6 + calls)
        worst = max(worst, (full - bare) * 1e6 + calls)
        await asyncio.sleep(0)
    await host.stop()
    return worst


def main() -> int:
    argparse.ArgumentParser(description="What numbering, ledger and outbox cost.").parse_args()
    print(f"{'interpreter':30} {platform.python_implementation()} {platform.python_version()}")
    worst = uvloop.run(measure(lambda name, value: print(f"{name:30} {value:.2f}")))
    print(f"{'limit':30} {LIMIT_US:.2f}")
    return 0 if worst <= LIMIT_US else 1


if __name__ == "__main__":
    sys.exit(main())
