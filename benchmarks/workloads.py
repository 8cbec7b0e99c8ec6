"""What is measured: the workloads, and the bars they must clear.

A figure is the median over the rounds of one run. The server's CPU time per message is compared,
not the rate: it is what stays the same when the machine is busy with something else.
"""

from __future__ import annotations

import enum
from typing import NamedTuple

from benchmarks.servers import (
    AIOHTTP,
    NODE_WS,
    PICOWS,
    STARLETTE,
    WEBSOCKETS,
    WSFRAME,
    WSFRAME_ECHO,
    WSFRAME_PLUGINS,
    Server,
)

CHAT_MESSAGE = (
    '{"id":"@ID@","type":"text","content":{"text":"Hello there, how are you today?"},'
    '"timestamp":"@ISO@"}'
)
ROOM_TEXT = "A message to all in the room, of the length that people write in one."
RAW_ROOM_MESSAGE = (
    '{"id":"@ID@","type":"said","content":{"text":"'
    + ROOM_TEXT.ljust(77, ".")
    + '","at":"@TS@"},"timestamp":"@ISO@"}'
)
PUBLISH_MESSAGE = (
    '{"id":"@ID@","type":"publish","content":{"text":"'
    + ROOM_TEXT
    + '","at":"@TS@","number":"@ID@"}}'
)
SUBSCRIBERS = 1_000
CONNECTIONS = 100


class Kind(enum.Enum):
    """What a workload does, and so which figure of the generator counts."""

    ECHO = "echo"
    CHAT = "chat"
    FANOUT = "fan-out"
    CONNECT = "connect"
    MEMORY = "memory"


class Workload(NamedTuple):
    """One column of the table."""

    name: str
    kind: Kind
    depth: int = 1
    size: int = 128
    deflate: bool = False
    checked: bool = False
    """Is each message checked against a JSON Schema, and, with wsframe, by all the plugins?"""

    @property
    def unit(self) -> str:
        return "bytes" if self.kind is Kind.MEMORY else "µs"

    @property
    def has_latency(self) -> bool:
        return self.kind is not Kind.MEMORY


ECHO_D1 = Workload("echo 128 B d1", Kind.ECHO, depth=1)
ECHO_D16 = Workload("echo 128 B d16", Kind.ECHO, depth=16)
ECHO_4K = Workload("echo 4 KiB d16", Kind.ECHO, depth=16, size=4096)
CHAT_D1 = Workload("chat d1", Kind.CHAT, depth=1)
CHAT_D8 = Workload("chat d8", Kind.CHAT, depth=8)
PLUGINS_D8 = Workload("plugins chat d8", Kind.CHAT, depth=8, checked=True)
FANOUT_D1 = Workload("fan-out d1", Kind.FANOUT, depth=1)
FANOUT_D4 = Workload("fan-out d4", Kind.FANOUT, depth=4)
CONNECT = Workload("connect", Kind.CONNECT)
MEMORY = Workload("idle memory", Kind.MEMORY)
MEMORY_DEFLATE = Workload("idle memory, deflate", Kind.MEMORY, deflate=True)

WORKLOADS = (
    ECHO_D1,
    ECHO_D16,
    ECHO_4K,
    CHAT_D1,
    CHAT_D8,
    PLUGINS_D8,
    FANOUT_D1,
    FANOUT_D4,
    CONNECT,
    MEMORY,
    MEMORY_DEFLATE,
)
PEERS = (PICOWS, NODE_WS, WEBSOCKETS, AIOHTTP, STARLETTE)


class Bar(NamedTuple):
    """wsframe needs at most ``limit`` times what ``peer`` needs for ``workload``."""

    workload: Workload
    peer: Server
    limit: float


BARS = (
    Bar(ECHO_D1, PICOWS, 1.7),
    Bar(ECHO_D16, PICOWS, 1.0),
    Bar(ECHO_4K, PICOWS, 1.5),
    Bar(CHAT_D1, NODE_WS, 1.2),
    Bar(CHAT_D8, NODE_WS, 1.0),
    Bar(CHAT_D8, PICOWS, 0.8),
    Bar(PLUGINS_D8, NODE_WS, 1.0),
    Bar(PLUGINS_D8, PICOWS, 0.3),
    Bar(FANOUT_D1, PICOWS, 1.3),
    Bar(FANOUT_D4, PICOWS, 0.7),
    Bar(CONNECT, WEBSOCKETS, 0.7),
    Bar(MEMORY, WEBSOCKETS, 0.8),
    Bar(MEMORY_DEFLATE, WEBSOCKETS, 0.5),
)
LATENCY_LIMIT = 1.0
"""The 99th percentile of the latency, against the peer of the bar."""
ECHO_4K_LIMIT_WITHOUT_MASKER = 2.3
"""The bar of ``echo 4 KiB d16`` where the extra ``fast`` is not installed."""


def subject(workload: Workload) -> Server:
    """The wsframe server that runs ``workload``: the raw echo, or an application."""
    if workload.checked:
        return WSFRAME_PLUGINS
    return WSFRAME_ECHO if workload.kind is Kind.ECHO else WSFRAME


def needed_peers(workload: Workload) -> list[Server]:
    """The peers that a bar compares ``workload`` with."""
    return [bar.peer for bar in BARS if bar.workload is workload]


def arguments(
    workload: Workload, server: Server, port: int, pid: int, seconds: float
) -> tuple[str, ...]:
    """The load generator's command line for one measurement."""
    common = ("-p", str(port), "--pid", str(pid))
    timed = ("-t", str(seconds), "-w", "1", "-d", str(workload.depth), *common)
    match workload.kind:
        case Kind.ECHO:
            return (
                *("echo", "-c", str(CONNECTIONS), "-s", str(workload.size), "--path", "/echo"),
                *timed,
            )
        case Kind.CHAT:
            return (
                *("echo", "-c", str(CONNECTIONS), "--template", CHAT_MESSAGE),
                *("--path", server.schema_path if workload.checked else server.chat_path),
                *(part for header in server.headers for part in ("--header", header)),
                *timed,
            )
        case Kind.FANOUT:
            subscriber, publisher = server.room_paths
            joins = ("--hello", server.room_hello, "--swallow", "1") if server.room_hello else ()
            message = PUBLISH_MESSAGE if server.room_hello else RAW_ROOM_MESSAGE
            return (
                *("fanout", "-c", str(SUBSCRIBERS), "--template", message, *joins),
                *("--path", subscriber, "--pub-path", publisher, *timed),
            )
        case Kind.CONNECT:
            return ("connect", "-c", "3000", "--path", server.chat_path, *common)
        case Kind.MEMORY:
            offer = ("--deflate",) if workload.deflate else ()
            return (
                *("connect", "-c", "3000", "--hold", "1", "--path", server.chat_path),
                *(*offer, *common),
            )
