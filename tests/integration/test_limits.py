"""Limits and deadlines of the native server, on real sockets, on each transport."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.peer import CLOSE, PING, PONG, TEXT, frame, parse_head, request
from tests.integration.contract_servers import GUARD_S, Client, ServedApp, native, spoken
from tests.integration.test_transports import closing_seen, until

TRANSPORTS = [
    native("asyncio", "uvloop", "tcp"),
    native("anyio", "trio", "tcp"),
    native("asyncio", "asyncio", "tcp"),
    native("anyio", "asyncio", "tcp"),
]
STRICT = (
    "handshake_timeout_s=60",  # nobody is late whom this machine makes wait
    "close_timeout_s=0.4",
    "heartbeat_interval_s=0",
    "outbox_bytes=4194304",
)
HURRIED = ("handshake_timeout_s=0.6",)
BEATING = ("heartbeat_interval_s=0.4", "heartbeat_timeout_s=0.4")
PATIENTLY_BEATING = ("heartbeat_interval_s=0.4", "heartbeat_timeout_s=60")
Serve = Callable[..., ServedApp]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(way, id=way.name, marks=[] if place < 2 else pytest.mark.slow)
        for place, way in enumerate(TRANSPORTS)
    ],
)
def serve(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Serve]:
    """Serves the contract application with other settings; the same ones share a server."""
    with contextlib.ExitStack() as stack:
        running: dict[tuple[str, ...], ServedApp] = {}

        def start(*settings: str) -> ServedApp:
            if settings not in running:
                options = [part for each in settings for part in ("--set", each)]
                folder = tmp_path_factory.mktemp("server")
                running[settings] = stack.enter_context(ServedApp(request.param, folder, options))
            return running[settings]

        yield start


def answered(server: ServedApp, data: bytes) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON body of what some bytes are answered."""
    with server.socket() as opened:
        opened.sendall(data)
        return parse_answer(everything_from(opened))


def everything_from(opened: socket.socket) -> bytes:
    """What the server sends up to the end, orderly or not."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while more := opened.recv(65_536):
            received += more
    return received


def parse_answer(received: bytes) -> tuple[int, dict[str, str], Any]:
    head, _, body = received.partition(b"\r\n\r\n")
    handshake = parse_head(head)
    return handshake.status, handshake.headers, json.loads(body) if body else None


def refused(server: ServedApp) -> tuple[int, dict[str, str], Any]:
    return answered(server, request(start="GET /ws HTTP/1.1"))


def test_one_more_than_max_connections_is_503_until_one_leaves(serve: Serve) -> None:
    server = serve("max_connections=2")
    with Client(server, query="first") as first, Client(server):
        status, headers, body = refused(server)
        assert (status, body["code"], headers["retry-after"]) == (503, "unavailable", "5")
        assert server.get("/healthz")[1]["connections"] == {"active": 2, "limit": 2}
        first.vanish()
        until(lambda: server.get("/healthz")[1]["connections"]["active"] == 1)
        with Client(server) as third:
            assert third.ask("text", n=1)["content"] == {"n": 1}


def test_one_more_from_one_address_is_429_until_one_leaves(serve: Serve) -> None:
    server = serve("max_connections_per_address=1")
    first = Client(server)
    status, headers, body = refused(server)
    assert (status, body["code"], headers["retry-after"]) == (429, "rate_limited", "5")
    first.vanish()
    until(lambda: server.get("/healthz")[1]["connections"]["active"] == 0)
    with Client(server) as second:
        assert second.handshake.status == 101


def test_heads_over_the_limits_are_refused(serve: Serve) -> None:
    server = serve("max_header_bytes=1000", "handshake_timeout_s=60")
    long_header = request(start="GET /ws HTTP/1.1", X="x" * 2_000)
    assert answered(server, long_header)[0] == 431
    assert answered(server, request(start=f"GET /{'x' * 2_000} HTTP/1.1"))[0] == 414
    with Client(server) as client:
        assert client.handshake.status == 101


def test_a_request_that_is_not_complete_in_time_is_408_and_silence_is_closed(serve: Serve) -> None:
    server = serve(*HURRIED)
    with server.socket() as silent:
        assert silent.recv(1) == b""

    answers = [b""]

    def half_a_request_is_answered() -> bool:
        with server.socket() as begun:
            begun.sendall(b"GET /ws HTTP/1.1\r\nHost: x\r\n")
            answers.append(everything_from(begun))
        return answers[-1] != b""  # where even the half came too late, nothing was asked

    until(half_a_request_is_answered)
    status, headers, body = parse_answer(answers[-1])
    assert (status, body["code"], headers["connection"]) == (408, "request_timeout", "close")


def test_a_silent_peer_is_pinged_and_dropped_with_4408(serve: Serve) -> None:
    with Client(serve(*PATIENTLY_BEATING)) as alive:
        for _ in range(2):  # whoever answers is alive, and only who is alive is pinged again
            found = alive.receive()
            assert found.opcode == PING
            alive.send(frame(PONG, found.payload))
        assert alive.ask("text", n=1)["content"] == {"n": 1}
    server = serve(*BEATING)
    with Client(server, query="silent") as silent:
        assert silent.receive().opcode == PING
        closing = silent.receive()
        assert (closing.opcode, closing.payload[:2]) == (CLOSE, (4408).to_bytes(2, "big"))
        assert closing_seen(server, "silent")[0] == 4408


def test_32_a_stopped_peer_is_dropped_and_leaves_nothing_behind(serve: Serve) -> None:
    server = serve("heartbeat_interval_s=0.4", "heartbeat_timeout_s=2")
    program = (
        "import socket\n"
        f"s = socket.create_connection(('127.0.0.1', {server.port}))\n"
        f"s.sendall({request(start='GET /ws?stopped HTTP/1.1')!r})\n"
        f"s.sendall({spoken('hang', '1')!r})\n"
        "head = b''\n"
        "while not head.endswith(b'\\r\\n\\r\\n'):\n"
        "    head += s.recv(1)\n"
        "print('ready', flush=True)\n"
        "while ping := s.recv(200):\n"  # it lives until it is stopped
        "    s.sendall(bytes([0x8A, 0x80 | len(ping) - 2]) + bytes(4) + ping[2:])\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as peer:
        try:
            assert peer.stdout is not None
            assert peer.stdout.readline() == "ready\n"
            # Not "hanging": a machine that stands still may have cost it its connection already.
            until(lambda: server.state().get("hung") == 1)
            peer.send_signal(signal.SIGSTOP)
            assert closing_seen(server, "stopped")[0] == 4408
            until(lambda: server.state()["hanging"] == 0)

            def nothing_is_left() -> bool:
                metrics = server.get("/metrics.json")[1]
                outboxes = set(metrics["outboxes"].values())
                return bool(metrics["connections"]["active"] == 0 and outboxes == {0})

            until(nothing_is_left)
        finally:
            peer.kill()


def test_29_a_peer_that_ignores_the_close_and_sends_on_is_cut_off(serve: Serve) -> None:
    server = serve(*STRICT)
    before = memory_kib(server)
    with Client(server, query="ignores") as client:
        client.say("close", "1", code=4001, reason="")
        junk = frame(TEXT, b"x" * 65_536, mask=b"\0\0\0\0")
        deadline = time.monotonic() + GUARD_S
        with pytest.raises(OSError):  # noqa: PT011 - reset or broken, as TCP has it
            while time.monotonic() < deadline:
                client._socket.sendall(junk)
        assert closing_seen(server, "ignores")[0] == 4001
    assert memory_kib(server) - before < 16 * 1024


def test_29_the_same_after_breaking_the_protocol(serve: Serve) -> None:
    server = serve(*STRICT)
    before = memory_kib(server)
    with Client(server, query="broken") as client:
        client.send(frame(TEXT, b"unmasked", mask=None))
        with pytest.raises(OSError):  # noqa: PT011
            while True:
                client._socket.sendall(b"\0" * 65_536)
        assert closing_seen(server, "broken")[0] == 1002
    assert memory_kib(server) - before < 16 * 1024


def test_pipelined_requests_of_a_client_that_never_reads_cost_no_memory(serve: Serve) -> None:
    server = serve(*STRICT)
    before = memory_kib(server)
    one = b"GET /metrics.json HTTP/1.1\r\nHost: x\r\n\r\n"
    with server.socket(receive_buffer_bytes=4_096) as opened:
        opened.setblocking(False)
        sent = 0
        deadline = time.monotonic() + 2
        with contextlib.suppress(ConnectionError):  # it may be given up, after handshake_timeout_s
            while sent < 4_000_000 and time.monotonic() < deadline:
                with contextlib.suppress(BlockingIOError):
                    sent += opened.send(one * 400)
        assert sent > 100_000
        assert server.get("/healthz")[0] == 200
        assert memory_kib(server) - before < 16 * 1024


def memory_kib(server: ServedApp) -> int:
    """Peak of the server's resident memory."""
    status = Path(f"/proc/{server.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line)


def descriptors(server: ServedApp) -> int:
    """File descriptors that the server has open."""
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


def test_33_without_file_descriptors_it_accepts_again_afterwards(serve: Serve) -> None:
    server = serve("handshake_timeout_s=60")
    limit = descriptors(server) + 20
    import resource

    resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (limit, limit))
    with Client(server) as other:
        held = [server.socket() for _ in range(60)]
        until(lambda: descriptors(server) >= limit)
        assert other.ask("text", "1", n=1)["content"] == {"n": 1}
        for opened in held:
            opened.close()
        until(lambda: descriptors(server) < limit - 10)
        with Client(server) as late:
            assert late.ask("text", n=2)["content"] == {"n": 2}
        assert other.ask("text", "2", n=3)["content"] == {"n": 3}


@contextlib.contextmanager
def stalled_handshakes(server: ServedApp) -> Iterator[list[socket.socket]]:
    """Hundreds who connect and say nothing, or half of it."""
    with contextlib.ExitStack() as stack:
        stalled = [stack.enter_context(server.socket()) for _ in range(800)]
        for opened in stalled[::2]:
            with contextlib.suppress(ConnectionError):  # its time was over before
                opened.sendall(b"GET /ws HTTP/1.1\r\nHost")
        yield stalled


@pytest.mark.slow
def test_7_a_thousand_stalled_handshakes_do_not_keep_a_good_client_out(serve: Serve) -> None:
    patient = serve("handshake_timeout_s=120")
    with stalled_handshakes(patient), Client(patient) as client:
        assert client.ask("text", n=1)["content"] == {"n": 1}


@pytest.mark.slow
def test_7_stalled_handshakes_are_ended_in_time(serve: Serve) -> None:
    with stalled_handshakes(serve("handshake_timeout_s=2")) as stalled:
        for opened in stalled:
            received = everything_from(opened)
            assert received == b"" or received.startswith(b"HTTP/1.1 408 ")


@pytest.mark.slow
def test_35_a_storm_of_reconnects_comes_in_and_the_rest_is_told_when_to_return(
    serve: Serve,
) -> None:
    server = serve("max_connections=300", "heartbeat_interval_s=0")
    clients: list[Client] = []
    try:
        for _ in range(400):
            clients.append(Client(server))  # noqa: PERF401 - to be closed one by one
        admitted = [c for c in clients if c.handshake.status == 101]
        assert len(admitted) == 300
        turned_away = [c for c in clients if c.handshake.status != 101]
        assert {c.handshake.status for c in turned_away} == {503}
        assert all(c.handshake.headers["retry-after"] for c in turned_away)
        for client in admitted:
            client.say("text", "1", n=1)
        assert all(client.hear()["content"] == {"n": 1} for client in admitted)
    finally:
        for client in clients:
            client.vanish()
    until(lambda: server.get("/healthz")[1]["connections"]["active"] == 0)
    with Client(server) as again:
        assert again.ask("text", n=2)["content"] == {"n": 2}


def test_31_one_in_ten_never_reads_and_the_others_get_everything(serve: Serve) -> None:
    server = serve(*STRICT)
    deaf = Client(server, receive_buffer_bytes=4_096, protocol=None, query="deaf")
    readers = [Client(server, protocol=None) for _ in range(9)]
    heard: list[list[int]] = [[] for _ in readers]

    def read(client: Client, into: list[int]) -> None:
        while len(into) < 300:
            into.append(client.hear()["content"]["n"])

    def all_heard(count: int) -> bool:
        return min(map(len, heard)) >= count

    threads = [
        threading.Thread(target=read, args=pair, daemon=True)
        for pair in zip(readers, heard, strict=True)
    ]
    for thread in threads:
        thread.start()
    with Client(server) as speaker:
        for number in range(300):
            speaker.ask("tell", f"t{number}", n=number, padding="x" * 32_768)
            if number % 20 == 19:  # only the deaf one may be far behind
                until(partial(all_heard, number))
    for thread in threads:
        thread.join(GUARD_S)
    assert all(numbers == list(range(300)) for numbers in heard)
    assert closing_seen(server, "deaf")[0] == 1013
    for client in (deaf, *readers):
        client.vanish()
