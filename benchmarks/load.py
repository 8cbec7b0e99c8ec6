"""The bundled load generator, for where wsload cannot be built: one process, asyncio or uvloop.

It takes the part of wsload's command line that :mod:`benchmarks.workloads` uses, and
``--ack-every``, which wsload does not have. It checks every reply as wsload does, and prints the
same JSON fields. It needs more CPU than the fastest servers do, so rates say little here; the
server's CPU time per message still does.

    python -m benchmarks.load echo    -p PORT -c 100 -d 16 -s 128 --path /echo
    python -m benchmarks.load echo    -p PORT -c 100 -d 8 --path /ws --template '{"id":"@ID@",…}'
    python -m benchmarks.load fanout  -p PORT -c 1000 --template … --path /room --pub-path /publish
    python -m benchmarks.load connect -p PORT -c 3000 --hold 1 --pid PID
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import psutil  # type: ignore[import-untyped]

from benchmarks.load_wire import (
    ACCEPT,
    BINARY,
    CLOSE,
    KEY,
    PING,
    PONG,
    TEXT,
    Template,
    WrongAnswer,
    client_frame,
    server_frames,
)

READY_TIMEOUT_S = 60.0
LAST_REPLIES_S = 30.0
LOOK_AGAIN_S = 0.02
ID = re.compile(rb"wl\d{14}")
SENT = re.compile(rb"wts(\d{19})")


class Load:
    """What all connections share: the options, the counts, the latencies."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.template = Template(options.template) if options.template else None
        self.numbers = itertools.count()
        self.measuring = False
        self.stopping = False
        self.count = 0
        self.latencies_s: list[float] = []
        self.problems: list[str] = []
        self.closed = 0
        self.deflated = 0
        self.outstanding: dict[bytes, int] = {}
        """Fan-out: deliveries still missing, by message id."""

    def body(self, number: int) -> tuple[int, bytes]:
        if self.template is not None:
            return TEXT, self.template.render(number)
        size: int = self.options.size
        head = b"wl%014d" % number
        return BINARY, (head + b"raw payload 0123456789abcdef " * (size // 29 + 1))[:size]

    def delivered(self, latency_s: float) -> None:
        if self.measuring:
            self.count += 1
            self.latencies_s.append(latency_s)

    def problem(self, text: str) -> None:
        self.problems.append(text)


class Client(asyncio.Protocol):
    """One connection: handshake, then what its mode does with each message."""

    def __init__(self, load: Load, path: str, hello: str | None, swallow: int) -> None:
        self.load = load
        self.path = path
        self.hello = hello
        self.swallow = swallow
        self.buffer = bytearray()
        self.upgraded = False
        self.started_at = time.perf_counter()
        self.ready: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.in_flight: deque[tuple[bytes, bytes, float]] = deque()
        self.received = 0
        self.on_message: Callable[[bytes], None] = lambda _: None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self.transport: Any = transport
        offer = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        spoken = self.load.options.subprotocol
        subprotocol = b"Sec-WebSocket-Protocol: %b\r\n" % spoken.encode() if spoken else b""
        self.transport.write(
            b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Key: %b\r\nSec-WebSocket-Version: 13\r\n%b%b\r\n"
            % (
                self.path.encode(),
                self.load.options.port,
                KEY,
                subprotocol,
                offer if self.load.options.deflate else b"",
            )
        )

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.upgraded and not self.read_answer():
            return
        try:
            for opcode, payload in server_frames(self.buffer):
                self.frame(opcode, payload)
        except WrongAnswer as problem:
            self.load.problem(str(problem))
            self.transport.close()

    def read_answer(self) -> bool:
        """Takes the answer to the handshake off the buffer; False while it is not whole."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = bytes(self.buffer[:end])
        del self.buffer[: end + 4]
        if not head.startswith(b"HTTP/1.1 101") or ACCEPT not in head:
            self.load.problem(head.split(b"\r\n")[0].decode(errors="replace"))
            self.transport.close()
            return False
        self.load.deflated += b"permessage-deflate" in head
        self.upgraded = True
        if self.hello is not None:
            self.send(TEXT, Template(self.hello).render(next(self.load.numbers)))
        if not self.swallow:
            self.become_ready()
        return True

    def become_ready(self) -> None:
        if not self.ready.done():
            self.ready.set_result(time.perf_counter() - self.started_at)

    def frame(self, opcode: int, payload: bytes) -> None:
        if opcode in (TEXT, BINARY):
            if self.swallow:
                self.swallow -= 1
                if not self.swallow:
                    self.become_ready()
            else:
                self.on_message(payload)
        elif opcode == PING:
            self.send(PONG, payload)
        elif opcode == CLOSE:
            self.transport.close()

    def send(self, opcode: int, payload: bytes) -> None:
        self.transport.write(client_frame(opcode, payload))

    def ask(self, count: int) -> None:
        """Sends ``count`` requests at once."""
        frames = []
        for _ in range(count):
            number = next(self.load.numbers)
            opcode, payload = self.load.body(number)
            self.in_flight.append((b"wl%014d" % number, payload, time.perf_counter()))
            frames.append(client_frame(opcode, payload))
        self.transport.write(b"".join(frames))

    def reply(self, payload: bytes) -> None:
        id_, sent, at = self.in_flight.popleft()
        right = payload == sent if self.load.template is None else id_ in payload
        if not right:
            self.load.problem("a wrong reply, or one out of order")
        self.load.delivered(time.perf_counter() - at)
        self.received += 1
        ack_every = self.load.options.ack_every
        if ack_every and self.received % ack_every == 0:
            self.send(TEXT, b'{"type":"ack","ack":%d}' % self.received)
        if not self.load.stopping:
            self.ask(1)

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(WrongAnswer("closed during the handshake"))
        elif not self.load.stopping:
            self.load.closed += 1


async def open_one(load: Load, path: str, hello: str | None = None, swallow: int = 0) -> Client:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(
        lambda: Client(load, path, hello, swallow), "127.0.0.1", load.options.port
    )
    async with asyncio.timeout(READY_TIMEOUT_S):
        await client.ready
    return client


async def open_all(load: Load, path: str, *, hello: str | None, swallow: int) -> list[Client]:
    clients: list[Client] = []
    free = asyncio.Semaphore(load.options.concurrent)

    async def one() -> None:
        async with free:
            clients.append(await open_one(load, path, hello, swallow))

    await asyncio.gather(*(one() for _ in range(load.options.conns)))
    return clients


def cpu_s(pid: int | None) -> float:
    """User and system time of a process and its descendants, in seconds."""
    if pid is None:
        return 0.0
    root = psutil.Process(pid)
    times = [process.cpu_times() for process in (root, *root.children(recursive=True))]
    return float(sum(time.user + time.system for time in times))


def resident_bytes(pid: int | None) -> int:
    if pid is None:
        return 0
    root = psutil.Process(pid)
    return sum(int(p.memory_info().rss) for p in (root, *root.children(recursive=True)))


async def timed(load: Load, missing: Callable[[], int]) -> dict[str, Any]:
    """Warms up, measures, and waits for the last replies."""
    options = load.options
    await asyncio.sleep(options.warmup)
    load.measuring = True
    before, started = cpu_s(options.pid), time.perf_counter()
    await asyncio.sleep(options.secs)
    took, used = time.perf_counter() - started, cpu_s(options.pid) - before
    load.measuring, load.stopping = False, True
    for _ in range(round(LAST_REPLIES_S / LOOK_AGAIN_S)):
        if missing():
            await asyncio.sleep(LOOK_AGAIN_S)
    if missing():
        load.problem(f"{missing()} messages unanswered")
    return report(load, took, used, load.count)


async def echo(load: Load) -> dict[str, Any]:
    options = load.options
    clients = await open_all(load, options.path, hello=options.hello, swallow=options.swallow)
    for client in clients:
        client.on_message = client.reply
        client.ask(options.depth)
    return await timed(load, lambda: sum(len(client.in_flight) for client in clients))


async def fanout(load: Load) -> dict[str, Any]:
    options = load.options
    clients = await open_all(load, options.path, hello=options.hello, swallow=options.swallow)
    publisher = await open_one(load, options.pub_path or options.path)

    def publish() -> None:
        while not load.stopping and len(load.outstanding) < options.depth:
            number = next(load.numbers)
            load.outstanding[b"wl%014d" % number] = len(clients)
            publisher.send(*load.body(number))

    def delivery(payload: bytes) -> None:
        id_, sent = ID.search(payload), SENT.search(payload)
        if id_ is None or sent is None:
            return
        left = load.outstanding.get(id_[0])
        if left is None:
            load.problem("a message delivered twice")
            return
        load.delivered((time.time_ns() - int(sent[1])) / 1e9)
        if left > 1:
            load.outstanding[id_[0]] = left - 1
        else:
            del load.outstanding[id_[0]]
            publish()

    for client in clients:
        client.on_message = delivery
    publish()
    return await timed(load, lambda: len(load.outstanding))


async def connect(load: Load) -> dict[str, Any]:
    options = load.options
    resident, before = resident_bytes(options.pid), cpu_s(options.pid)
    started = time.perf_counter()
    clients = await open_all(load, options.path, hello=None, swallow=0)
    took, used = time.perf_counter() - started, cpu_s(options.pid) - before
    await asyncio.sleep(options.hold)
    load.latencies_s = [client.ready.result() for client in clients]
    held = resident_bytes(options.pid)
    load.stopping = True
    extra = {
        "alive": len(clients) - load.closed,
        "deflated": load.deflated,
        "rss_before": resident,
        "rss_after": held,
        "rss_per_conn": (held - resident) / len(clients),
    }
    return report(load, took, used, len(clients)) | extra


def report(load: Load, took: float, used: float, count: int) -> dict[str, Any]:
    options = load.options
    ordered = sorted(load.latencies_s) or [0.0]

    def at(share: float) -> float:
        return round(ordered[min(int(share * len(ordered)), len(ordered) - 1)] * 1e6, 1)

    return {
        "mode": options.mode,
        "conns": options.conns,
        "depth": options.depth,
        "secs": round(took, 3),
        "count": count,
        "rate": round(count / took, 1),
        "lat_us": {"p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "max": at(1.0)},
        "closed": load.closed,
        "problems": len(load.problems),
        "cpu": {
            "server": round(used / took, 3),
            "server_us_each": round(used * 1e6 / count, 2) if count else 0.0,
        },
    }


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("mode", choices=("echo", "fanout", "connect"))
    parser.add_argument("-p", "--port", type=int, required=True)
    parser.add_argument("-c", "--conns", type=int, default=100)
    parser.add_argument("-C", "--concurrent", type=int, default=64)
    parser.add_argument("-d", "--depth", type=int, default=1)
    parser.add_argument("-s", "--size", type=int, default=128)
    parser.add_argument("-t", "--secs", type=float, default=5)
    parser.add_argument("-w", "--warmup", type=float, default=1)
    parser.add_argument("--path", default="/")
    parser.add_argument("--pub-path")
    parser.add_argument("--template")
    parser.add_argument("--hello")
    parser.add_argument("--swallow", type=int, default=0)
    parser.add_argument("--subprotocol")
    parser.add_argument("--ack-every", type=int, default=0, help="echo, in sessions of wsframe")
    parser.add_argument("--hold", type=float, default=0)
    parser.add_argument("--pid", type=int)
    parser.add_argument("--deflate", action="store_true")
    return parser.parse_args()


async def run(options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    load = Load(options)
    modes = {"echo": echo, "fanout": fanout, "connect": connect}
    return await modes[options.mode](load), load.problems


def main() -> int:
    """Prints one JSON line; 0: every reply came and was right, 1: not so, 2: no connection."""
    try:
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] | None = uvloop.new_event_loop
    except ImportError:
        factory = None
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            result, problems = runner.run(run(parse()))
    except (OSError, TimeoutError, WrongAnswer) as error:
        print(f"load: {error}", file=sys.stderr)
        return 2
    print(json.dumps(result))
    for problem in dict.fromkeys(problems):
        print(f"load: {problem}", file=sys.stderr)
    return 1 if problems or result["closed"] else 0


if __name__ == "__main__":
    sys.exit(main())
