"""Every way to serve an application, each as a server in a process of its own, and its clients."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import trustme

from tests.conformance.peer import (
    BINARY,
    CLOSE,
    TEXT,
    TIMEOUT_S,
    Peer,
    frame,
    parse_head,
    request,
)
from tests.integration.contract_app import SETTINGS
from tests.running_server import RunningServer

ROOT = Path(__file__).parents[2]
JSON, MSGPACK = "wsframe.v1.json", "wsframe.v1.msgpack"
NO_MASK = b"\0\0\0\0"
GUARD_S = 90.0
"""A deadlock guard: what a test waits for comes much earlier."""


class Way(NamedTuple):
    """One way to serve."""

    name: str
    command: tuple[str, ...]
    native: bool = False
    tls: bool = False
    unix: bool = False
    prefix: str = ""


def native(transport: str, backend: str, over: str) -> Way:
    """wsframe's own server."""
    command = ("wsframe", "run", "tests.integration.contract_app:app", "--transport", transport)
    return Way(
        f"{transport}-{backend}-{over}",
        (*command, "--backend", backend),
        native=True,
        tls=over == "tls",
        unix=over == "unix",
    )


_APP = "tests.integration.contract_app:app"
_MOUNTED = "tests.integration.contract_mounted"
_UVICORN = (
    *("uvicorn", "--port", "0", "--log-level", "info", "--ws-max-size", "4000000"),
    *("--ws-ping-interval", "600", "--ws"),  # its pings fail where a client does not read
)
_HYPERCORN = ("hypercorn", "--workers", "0", "--bind", "127.0.0.1:0", "--worker-class")
WAYS = [
    *(native("asyncio", b, over) for b in ("asyncio", "uvloop") for over in ("tcp", "tls", "unix")),
    *(
        native("anyio", b, over)
        for b in ("asyncio", "uvloop", "trio")
        for over in ("tcp", "tls", "unix")
    ),
    *(
        Way(f"uvicorn-{ws}", (*_UVICORN, ws, _APP))
        for ws in ("websockets", "websockets-sansio", "wsproto")
    ),
    *(Way(f"hypercorn-{b}", (*_HYPERCORN, b, _APP)) for b in ("asyncio", "trio")),
    *(
        Way(f"{name}-{how}-lifespan", (*_UVICORN, "auto", f"{_MOUNTED}:{name}_{how}_lifespan"))
        for name in ("fastapi",)
        for how in ("with", "without")
    ),
    *(
        Way(
            f"starlette-{how}-lifespan",
            (*_UVICORN, "auto", f"{_MOUNTED}:starlette_{how}_lifespan"),
            prefix="/chat",
        )
        for how in ("with", "without")
    ),
]


class ServedApp(RunningServer):
    """A running server; ``folder`` takes its socket and certificate."""

    def __init__(self, way: Way, folder: Path, settings: Sequence[str] = ()) -> None:
        self.way = way
        self.socket_path = folder / "chat.sock"
        self._tls: ssl.SSLContext | None = None
        command = list(way.command)
        if way.unix:
            command += ["--unix-socket", str(self.socket_path)]
        elif way.native:
            command += ["--port", "0"]
        if way.tls:
            authority = trustme.CA()
            certificate = authority.issue_cert("127.0.0.1")
            file = folder / "certificate.pem"
            certificate.private_key_and_cert_chain_pem.write_to_path(str(file))
            command += ["--tls-certificate", str(file)]
            self._tls = ssl.create_default_context()
            authority.configure_trust(self._tls)
        super().__init__([*command, *settings], cwd=ROOT, settings=SETTINGS)

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _wait_for_port(self) -> int:
        pattern = r"listening on unix:()" if self.way.unix else r"\w+://127\.0\.0\.1:(\d+)"
        while line := self._lines.get(timeout=60.0):
            if found := re.search(pattern, line):
                return int(found[1] or 0)
        self.kill()
        raise AssertionError(f"the server did not start:\n{''.join(self.output)}")

    def socket(self, receive_buffer_bytes: int = 0) -> socket.socket:
        """A connected socket, over whatever the server is reached."""
        family = socket.AF_UNIX if self.way.unix else socket.AF_INET
        opened = socket.socket(family, socket.SOCK_STREAM)
        opened.settimeout(TIMEOUT_S)
        if receive_buffer_bytes:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        opened.connect(str(self.socket_path) if self.way.unix else ("127.0.0.1", self.port))
        if not self.way.unix:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self._tls.wrap_socket(opened, server_hostname="127.0.0.1") if self._tls else opened

    def get(self, path: str) -> tuple[int, Any]:
        """Status and JSON body of what a plain request is answered."""
        with self.socket() as opened:
            head = f"GET {self.way.prefix}{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            opened.sendall(head.encode())
            received = b""
            while more := opened.recv(65_536):
                received += more
        head_bytes, _, body = received.partition(b"\r\n\r\n")
        return parse_head(head_bytes).status, json.loads(body)

    def state(self) -> Any:
        """What the application says about itself."""
        return self.get("/state")[1]


class Client(Peer):
    """A WebSocket client that speaks wsframe's messages."""

    def __init__(
        self,
        server: ServedApp,
        *,
        protocol: str | None = JSON,
        query: str = "",
        behind: bytes = b"",
        extensions: str | None = None,
        receive_buffer_bytes: int = 0,
        path: str = "/ws",
    ) -> None:
        self._socket = server.socket(receive_buffer_bytes)
        self._received = bytearray()
        self._inflater = None
        headers = {} if protocol is None else {"Sec_WebSocket_Protocol": protocol}
        target = f"{server.way.prefix}{path}" + (f"?{query}" if query else "")
        try:
            opening = request(start=f"GET {target} HTTP/1.1", extensions=extensions, **headers)
            self._socket.sendall(opening + behind)
            self.handshake = self.read_handshake()
        except BaseException:
            self._socket.close()
            raise
        self.extensions = self.handshake.headers.get("sec-websocket-extensions", "")
        self.protocol = self.handshake.headers.get("sec-websocket-protocol")

    def say(self, message_type: str, message_id: str | None = None, **content: Any) -> None:
        """Sends one message."""
        self.send(spoken(message_type, message_id, **content))

    def hear(self) -> Any:
        """The next message of the server."""
        payload = self.message()
        return (
            msgspec.msgpack.decode(payload) if isinstance(payload, bytes) else json.loads(payload)
        )

    def ask(self, message_type: str, message_id: str = "1", **content: Any) -> Any:
        """Sends a message and waits for its final answer."""
        self.say(message_type, message_id, **content)
        while True:
            answer = self.hear()
            if answer.get("replyTo") == message_id and answer["final"]:
                return answer

    def ended_with(self) -> tuple[int | None, bytes]:
        """Skips messages up to the close frame, answers it, and waits for the end of TCP."""
        while (found := self._next_frame()) is not None and found.opcode != CLOSE:
            pass
        assert found is not None, "the connection ended without a close frame"
        self._send(frame(CLOSE, found.payload[:2]))
        with contextlib.suppress(OSError):
            while self._socket.recv(65_536):
                pass
        code = int.from_bytes(found.payload[:2], "big") if found.payload else None
        return code, found.payload[2:]

    def end(self) -> None:
        """Waits for the end of TCP, whatever comes before."""
        with contextlib.suppress(ConnectionError):
            while self._socket.recv(65_536):
                pass

    def vanish(self) -> None:
        """Leaves without a word."""
        self._socket.close()


def spoken(message_type: str, message_id: str | None = None, **content: Any) -> bytes:
    """The frame of a message in JSON."""
    message = {"type": message_type, "content": content}
    if message_id is not None:
        message["id"] = message_id
    return frame(TEXT, json.dumps(message).encode(), mask=NO_MASK)


def packed(message: Any) -> bytes:
    """The frame of a message in MessagePack."""
    return frame(BINARY, msgspec.msgpack.encode(message))
