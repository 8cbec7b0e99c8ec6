"""What goes wrong below and above a native server's transport, on real sockets."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.conformance.peer import close_frame, frame, request
from tests.integration.contract_servers import GUARD_S, Client, ServedApp, native, spoken
from tests.integration.test_transports import closing_seen, until
from wsframe import App

TLS = [
    native("asyncio", "uvloop", "tls"),
    native("anyio", "trio", "tls"),
    native("asyncio", "asyncio", "tls"),
    native("anyio", "asyncio", "tls"),
]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(way, id=way.name, marks=[] if place < 2 else pytest.mark.slow)
        for place, way in enumerate(TLS)
    ],
)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServedApp]:
    settings = ["--set", "handshake_timeout_s=60"]  # nobody is late whom this machine makes wait
    with ServedApp(request.param, tmp_path_factory.mktemp("server"), settings) as running:
        yield running
    assert "Traceback" not in "".join(running.output)


def reset(opened: socket.socket) -> None:
    """Leaves with a TCP reset."""
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    opened.close()


def test_what_speaks_no_tls_is_dropped_and_costs_no_traceback(server: ServedApp) -> None:
    for data in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff"):
        with socket.create_connection(("127.0.0.1", server.port), GUARD_S) as plain:
            plain.sendall(data)
            plain.shutdown(socket.SHUT_WR)
            while plain.recv(4_096):  # an alert, perhaps, and the end
                pass
    with Client(server) as client:
        assert client.ask("text", n=1)["content"] == {"n": 1}


def test_what_says_nothing_instead_of_tls_is_dropped_in_time(
    server: ServedApp, tmp_path: Path
) -> None:
    with ServedApp(server.way, tmp_path, ["--set", "handshake_timeout_s=0.6"]) as hurried:
        with socket.create_connection(("127.0.0.1", hurried.port), GUARD_S) as silent:
            assert silent.recv(1) == b""
        assert hurried.stop() == 0
        assert "Traceback" not in "".join(hurried.output)


def test_a_client_that_resets_at_any_point_costs_nobody_anything(server: ServedApp) -> None:
    for when in range(20):
        reset(socket.create_connection(("127.0.0.1", server.port), GUARD_S))
        opened = server.socket()
        raw = opened.detach() if when % 2 else None
        if raw is not None:
            reset(socket.socket(fileno=raw))
        else:
            opened.sendall(request(start="GET /ws HTTP/1.1")[: 20 * when])
            opened.close()
    client = Client(server, query="resets")
    client.say("parts", "1", n=10_000, bytes=1_000)
    reset(socket.socket(fileno=client._socket.detach()))
    assert closing_seen(server, "resets")[0] == 1006
    with Client(server) as other:
        assert other.ask("text", n=1)["content"] == {"n": 1}


def test_tls_that_ends_without_a_goodbye_is_1006_and_with_one_is_clean(server: ServedApp) -> None:
    client = Client(server, query="cut")
    client.ask("text")
    socket.socket(fileno=client._socket.detach()).close()
    assert closing_seen(server, "cut")[0] == 1006
    with Client(server, query="clean") as polite:
        polite.ask("text")
        polite.send(close_frame(1000))
        assert polite.ended_with()[0] == 1000
        assert isinstance(polite._socket, ssl.SSLSocket)
    assert closing_seen(server, "clean")[0] == 1000


def test_the_answers_to_a_request_that_breaks_off_are_whole(server: ServedApp) -> None:
    with server.socket() as opened:
        opened.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 3)
        received = b""
        while received.count(b'"status": "ok"') < 3:
            more = opened.recv(65_536)
            assert more
            received += more


@pytest.mark.parametrize("asynclib", ["asyncio", "trio"])
def test_34_whatever_a_handler_raises_is_answered_and_hurts_nobody(asynclib: str) -> None:
    faults: dict[str, Any] = {
        "exception": lambda: RuntimeError("internals"),
        "exit": lambda: SystemExit("internals"),
        "group": lambda: BaseExceptionGroup("internals", [SystemExit(1), ValueError("internals")]),
        "base": lambda: BaseException("internals"),
    }
    app = App()

    @app.handler("fail")
    async def fail(message: Any, connection: Any) -> Any:
        if message.content["wait"]:
            await anyio.lowlevel.checkpoint()
        error = faults[message.content["fault"]]()
        raise error

    @app.handler("text")
    async def text(message: Any, connection: Any) -> Any:
        return message.content

    def talk(address: str) -> None:
        port = int(address.rpartition(":")[2].partition("/")[0])
        way = native("asyncio", "asyncio", "tcp")
        served: Any = type("Served", (), {"way": way, "port": port, "_tls": None})()
        served.socket = lambda size=0: ServedApp.socket(served, size)
        with Client(served) as victim, Client(served) as other:
            for number, fault in enumerate(faults):
                for wait in (False, True):
                    answer = victim.ask("fail", f"{number}{wait}", fault=fault, wait=wait)
                    assert answer["content"]["code"] == "handler_failed"
                    assert "internals" not in str(answer)
                    assert other.ask("text", f"{number}{wait}", n=1)["content"] == {"n": 1}

    async def run() -> None:
        transport = "anyio" if asynclib == "trio" else "asyncio"
        address = await app.start(port=0, transport=transport)
        try:
            await anyio.to_thread.run_sync(talk, address)
        finally:
            await app.stop()

    anyio.run(run, backend=asynclib)


def test_a_half_closed_client_still_gets_what_it_asked_for(tmp_path: Path) -> None:
    with ServedApp(native("asyncio", "asyncio", "tcp"), tmp_path) as server:
        with server.socket() as opened:
            opened.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            opened.shutdown(socket.SHUT_WR)
            received = b""
            while more := opened.recv(65_536):
                received += more
            assert b'"status": "ok"' in received
        with Client(server, query="half") as client:
            client.send(spoken("hang", "1"), frame(0x9, b"last"))
            assert client.receive().payload == b"last"
            client.end_of_stream()
            client.end()
        assert closing_seen(server, "half")[0] == 1006
        until(lambda: server.state()["hanging"] == 0)
