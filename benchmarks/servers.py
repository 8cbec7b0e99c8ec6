"""The servers that are measured: wsframe, and its peers.

Each one can be started on a port, pinned to one core. Whether a peer can run here (is the package
installed, is there a Node?) is found out once, and the reason printed where it can't.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import importlib.metadata
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

from wsframe.testing.faults import free_port

ROOT = Path(__file__).resolve().parent.parent
PEERS = ROOT / "benchmarks" / "peers"
START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
TOKEN_SECRET = "only for measuring, and long enough for it"


class CannotRun(Exception):
    """A server cannot be started here; the message says why."""


class Server(NamedTuple):
    """One server process: how it is started and what it needs."""

    name: str
    command: tuple[str, ...]
    packages: tuple[str, ...] = ()
    """Distributions a Python server needs."""
    node: bool = False
    room_hello: str | None = None
    """What a connection sends to be in the room; None: its path is enough."""
    room_paths: tuple[str, str] = ("/room", "/publish")
    """Where subscribers and the publisher connect."""
    chat_path: str = "/chat"
    schema_path: str = "/schema"
    headers: tuple[str, ...] = ()
    """What a client sends along in its handshake."""

    def version(self) -> str:
        """What is measured, with versions; raises CannotRun where something is missing."""
        if self.node:
            return f"ws {node_ws_version()}, Node {node_version()}"
        versions = []
        for package in self.packages:
            try:
                versions.append(f"{package} {importlib.metadata.version(package)}")
            except importlib.metadata.PackageNotFoundError:
                raise CannotRun(f"the package {package} is not installed") from None
        return ", ".join(versions)


def node_version() -> str:
    node = shutil.which("node")
    if node is None:
        raise CannotRun("node is not installed")
    found = subprocess.run((node, "--version"), capture_output=True, text=True, check=True)
    return found.stdout.strip().removeprefix("v")


def node_ws_version() -> str:
    """Installs the npm packages beside the server that needs them, and says which ``ws`` it is."""
    node_version()
    modules = PEERS / "node_modules"
    manifest = modules / "ws" / "package.json"
    missing = not (manifest.exists() and (modules / "ajv").exists())
    npm = shutil.which("npm")
    if missing and npm is not None:
        command = (npm, "install", "--no-package-lock", "--no-audit", "--no-fund", "--silent")
        subprocess.run(command, cwd=PEERS, capture_output=True, timeout=120, check=False)
    if not (manifest.exists() and (modules / "ajv").exists()):
        raise CannotRun("the npm packages are not installed (npm install in benchmarks/peers)")
    text = manifest.read_text()
    version = text.split('"version": "', 1)[1].split('"', 1)[0]
    native = (PEERS / "node_modules" / "bufferutil").exists()
    return f"{version} ({'with' if native else 'without'} bufferutil)"


def access_token() -> str:
    """A JSON Web Token (RFC 7519), signed with HS256, for ``benchmarks.apps.plugins``."""
    claims = {"sub": "ann", "exp": int(time.time()) + 86_400, "scope": "chat"}
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT"}, claims)
    ]
    signature = hmac.digest(TOKEN_SECRET.encode(), b".".join(parts), "sha256")
    return b".".join((*parts, base64.urlsafe_b64encode(signature).rstrip(b"="))).decode()


def python_module(name: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", name, *arguments)


JOIN = '{"type":"join","content":{"room":"lobby"}}'
WSFRAME = Server(
    "wsframe",
    python_module("benchmarks.apps.chat"),
    ("wsframe", "uvloop"),
    room_hello=JOIN,
    room_paths=("/ws", "/ws"),
    chat_path="/ws",
)
WSFRAME_PLUGINS = Server(
    "wsframe",
    python_module("benchmarks.apps.plugins"),
    ("wsframe", "wsframe-validation", "uvloop"),
    schema_path="/ws",
    headers=(f"Authorization: Bearer {access_token()}",),
)
WSFRAME_ECHO = Server(
    "wsframe", python_module("wsframe.testing.echo", "--deflate"), ("wsframe", "uvloop")
)
PICOWS = Server("picows", python_module("benchmarks.peers.picows_server"), ("picows", "uvloop"))
NODE_WS = Server("Node ws", ("node", str(PEERS / "ws_server.js")), node=True)
WEBSOCKETS = Server(
    "websockets", python_module("benchmarks.peers.websockets_server"), ("websockets", "uvloop")
)
AIOHTTP = Server("aiohttp", python_module("benchmarks.peers.aiohttp_server"), ("aiohttp", "uvloop"))
STARLETTE = Server(
    "Starlette",
    python_module("benchmarks.peers.starlette_server"),
    ("starlette", "uvicorn", "websockets", "uvloop"),
)


@contextlib.contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """Keeps processes that are started in the block on ``core``; None: on any."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def wait_until_listening(process: subprocess.Popen[bytes], port: int, log: IO[bytes]) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            log.seek(0)
            last = (log.read().decode(errors="replace").strip().splitlines() or ["no output"])[-1]
            raise CannotRun(f"ended with exit code {process.returncode}: {last}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise CannotRun(f"did not listen within {START_TIMEOUT_S:.0f} s")


@contextlib.contextmanager
def running(server: Server, core: int | None) -> Iterator[tuple[int, int]]:
    """Runs ``server`` on ``core`` for as long as the block; yields its port and process id."""
    port = free_port()
    with tempfile.TemporaryFile() as log:
        with pinned(core):
            process = subprocess.Popen(
                (*server.command, "--host", "127.0.0.1", "--port", str(port)),
                cwd=ROOT,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until_listening(process, port, log)
            yield port, process.pid
        finally:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
