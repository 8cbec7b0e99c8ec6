"""What a message costs from bytes to bytes: ``python -m benchmarks.message_micro``.

The application of ``benchmarks/apps/chat.py``, or of ``benchmarks/apps/plugins.py``, runs without
sockets; frames go into links whose answers go nowhere. Microseconds of CPU for one message or
delivery (the least of several rounds). Compare runs of one interpreter on one machine only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from typing import Any

import uvloop

from wsframe import App
from wsframe.protocol.frames import encode_frame
from wsframe.server.lifecycle import Host
from wsframe.server.link import StreamLink
from wsframe.testing.connector import MemoryServer

from .apps import chat, plugins
from .servers import access_token
from .workloads import CHAT_MESSAGE, PUBLISH_MESSAGE, SUBSCRIBERS

CONNECTIONS = 100
MESSAGES = 8  # of one connection in one round: short ones, so that some are undisturbed
ROUNDS = 200
TURNS_TO_OPEN = 100
KEY = b"\x37\xfa\x21\x3d"
REQUEST = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Authorization: Bearer " + access_token().encode() + b"\r\n\r\n"
)


class Sink(StreamLink):
    """A link that counts what is written to it."""

    __slots__ = ("written",)

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.written = 0
        self.connected("127.0.0.1", secure=False)

    def transport_write(self, data: bytes) -> None:
        self.written += len(data)

    def _transport_close(self) -> None:
        self.stream_lost()

    _transport_abort = _transport_write_eof = _transport_close

    def _transport_pause_reading(self) -> None: ...

    def _transport_resume_reading(self) -> None: ...


def frames(template: str, total: int) -> Iterator[bytes]:
    """So many messages as a client sends them, each with an id of its own."""
    for number in _numbers:
        text = template.replace("@ID@", f"wl{number:014}")
        text = text.replace("@TS@", f"wts{number:019}").replace("@ISO@", "2026-01-31T10:00:00.000Z")
        yield encode_frame(1, text.encode(), mask=KEY)
        total -= 1
        if not total:
            return


_numbers = count()


class Bench:
    """The running application and what is done to it."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._loop = asyncio.get_running_loop()

    async def links(self, number: int) -> list[Sink]:
        """So many open links."""
        made = [Sink(self._node) for _ in range(number)]
        for link in made:
            await self._from_loop(link.take, REQUEST)
        for _ in range(TURNS_TO_OPEN):  # plugins decide in tasks
            await asyncio.sleep(0)
        assert all(link.open for link in made)
        return made

    async def chat(self, depth: int) -> float:
        """Chat messages, ``depth`` of them in each read."""
        links = await self.links(CONNECTIONS)
        best = float("inf")
        for _ in range(ROUNDS):
            reads = [
                (link, b"".join(frames(CHAT_MESSAGE, depth)))
                for _ in range(MESSAGES // depth)
                for link in links
            ]
            before = sum(link.written for link in links)
            took = await self._measured(reads)
            assert sum(link.written for link in links) - before > 150 * MESSAGES * CONNECTIONS
            best = min(best, took / (MESSAGES * CONNECTIONS))
        return best

    async def fan_out(self, depth: int) -> float:
        """Messages to everybody in a room, ``depth`` of them in each read."""
        publisher, *subscribers = await self.links(1 + SUBSCRIBERS)
        for link in subscribers:
            (join,) = frames('{"id":"@ID@","type":"join","content":{"room":"lobby"}}', 1)
            await self._from_loop(link.take, join)
        best = float("inf")
        for _ in range(ROUNDS):
            reads = [(publisher, b"".join(frames(PUBLISH_MESSAGE, depth))) for _ in range(4)]
            took = await self._measured(reads)
            best = min(best, took / (len(reads) * depth * SUBSCRIBERS))
        return best

    async def _measured(self, reads: list[tuple[Sink, bytes]]) -> float:
        """CPU seconds until everything is handled."""
        start = time.process_time()
        await self.feed(reads)
        return time.process_time() - start

    async def feed(self, reads: list[tuple[Sink, bytes]]) -> None:
        """Let links take what comes; a turn of the loop for every 20 reads."""
        for first in range(0, len(reads), 20):
            await self._from_loop(_feed, reads[first : first + 20])

    async def _from_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        """Call as a transport does: from the event loop, outside of any task."""
        self._loop.call_soon(function, *arguments)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def _feed(reads: list[tuple[Sink, bytes]]) -> None:
    for link, data in reads:
        link.take(data)


async def measure(app: App, cases: dict[str, Case]) -> dict[str, float]:
    """The costs of cases in one application."""
    host = Host(MemoryServer(app))
    await host.start()
    assert app.runtime is not None
    bench = Bench(app.runtime.node)
    found = {name: round(await run(bench) * 1e6, 3) for name, run in cases.items()}
    await host.stop()
    return found


Case = Callable[[Bench], Awaitable[float]]

CASES: dict[App, dict[str, Case]] = {
    chat.app: {
        "chat, d1": lambda bench: bench.chat(1),
        "chat, d8": lambda bench: bench.chat(8),
        "fan-out, d1": lambda bench: bench.fan_out(1),
        "fan-out, d4": lambda bench: bench.fan_out(4),
    },
    plugins.app: {"plugins chat, d8": lambda bench: bench.chat(8)},
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Costs of a message, from bytes to bytes.")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--only", default="", help="run the cases whose name contains this")
    options = parser.parse_args()
    result: dict[str, float | str] = {
        "interpreter": f"{platform.python_implementation()} {platform.python_version()}"
    }
    for app, cases in CASES.items():
        chosen = {name: run for name, run in cases.items() if options.only in name}
        if chosen:
            result.update(uvloop.run(measure(app, chosen)))
    if options.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f"{name:45} {value}")


if __name__ == "__main__":
    main()
