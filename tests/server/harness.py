"""A running application without sockets: clients whose links end in lists."""

from __future__ import annotations

import asyncio
import contextvars
import importlib.metadata
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

import anyio
import msgspec
import sniffio

from tests.schema_check import assert_valid
from wsframe import App, Identity, Request
from wsframe.messages import Codec, codec_for
from wsframe.protocol.closing import is_sendable
from wsframe.protocol.frames import payload_of
from wsframe.server.connection import Connection
from wsframe.server.runtime import Runtime
from wsframe.session import ANONYMOUS

JSON = "wsframe.v1.json"
MSGPACK = "wsframe.v1.msgpack"
A_MOMENT_S = 0.000_001
"""Virtual time passes only when nothing is left to do, so this is long enough for everything."""


class FakeLink:
    """A peer that is no socket. What is written to it is a list of messages."""

    def __init__(self, server: Server, subprotocol: str | None) -> None:
        self.server = server
        self.request = Request("GET", "/ws", address="192.0.2.1")
        self.subprotocol = subprotocol
        self.codec: Codec = codec_for(subprotocol)
        self.writable = True
        self.owner: Any = None
        self.received: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self.failed = False
        self.ended = False
        self.leaves_when_told = True

    @property
    def open(self) -> bool:
        return self.closed is None

    @property
    def idle(self) -> bool:
        return self.open

    def write_together(self, links: list[FakeLink], frame: bytes) -> None:
        for link in links:
            assert link.idle
            link.write(frame)

    def write(self, frame: bytes) -> None:
        if not self.open:
            return
        payload = payload_of(frame)
        assert_valid(payload, self.codec.binary)
        decode = msgspec.msgpack.decode if self.codec.binary else msgspec.json.decode
        self.received.append(decode(payload))

    def close(self, code: int = 1000, reason: str = "") -> None:
        if not is_sendable(code):
            raise ValueError(f"close code {code} must not be sent")
        self._close(code, reason)

    def fail(self, code: int, reason: str) -> None:
        self.failed = True
        self._close(code, reason)

    def abort(self) -> None:
        self._close(1006, "")

    def _close(self, code: int, reason: str) -> None:
        if self.open:
            self.closed = (code, reason)
            if self.leaves_when_told:
                self.server.soon(self.end, code, reason)

    def end(self, code: int, reason: str = "") -> None:
        """The peer is gone."""
        if not self.ended:
            self.ended = True
            if self.closed is None:
                self.closed = (code, reason)
            self.server.runtime.dispatcher.link_closed(self, code, reason)


class Client:
    """What a test does as a client."""

    def __init__(self, server: Server, subprotocol: str | None, identity: Identity) -> None:
        self.server = server
        self.link = FakeLink(server, subprotocol)
        self.sent = 0
        server.runtime.doorway.opened(self.link, identity)

    @property
    def connection(self) -> Connection:
        connection = self.link.owner
        assert isinstance(connection, Connection)
        return connection

    @property
    def received(self) -> list[dict[str, Any]]:
        return self.link.received

    @property
    def closed(self) -> tuple[int, str] | None:
        return self.link.closed

    @property
    def close_code(self) -> int | None:
        return None if self.link.closed is None else self.link.closed[0]

    @property
    def count(self) -> int:
        """How many numbered messages came, as a client counts them."""
        return sum(
            message["type"] not in ("init", "pong") and not message.get("transient")
            for message in self.received
        )

    def raw(self, payload: str | bytes) -> None:
        """Let a payload arrive, as a transport's callback hands it up."""
        self.server.from_callback(self._arrive, payload)

    def _arrive(self, payload: str | bytes) -> None:
        if self.link.open:
            self.server.runtime.dispatcher.message_received(self.link, payload)

    def send(self, message_type: str, content: Any = None, **fields: Any) -> str:
        """Send a message; ``id=None`` for one without an id."""
        self.sent += 1
        message: dict[str, Any] = {"id": str(self.sent), "type": message_type, **fields}
        if content is not None:
            message["content"] = content
        if message["id"] is None:
            del message["id"]
        if self.link.codec.binary:
            self.raw(msgspec.msgpack.encode(message))
        else:
            self.raw(json.dumps(message))
        return str(message.get("id"))

    async def ask(self, message_type: str, content: Any = None, **fields: Any) -> dict[str, Any]:
        """Send a message and wait for its final answer."""
        return await self.answer(self.send(message_type, content, **fields))

    async def error(self, message_type: str, content: Any = None, **fields: Any) -> str:
        """Send a message that is answered with an error; the error's code."""
        answer = await self.ask(message_type, content, **fields)
        assert answer["type"] == "error", answer
        return str(answer["content"]["code"])

    async def answer(self, message_id: str, *, within_s: float = 100) -> dict[str, Any]:
        """Wait for the one final answer of a message."""
        with anyio.fail_after(within_s):
            while not self.finals(message_id):
                await anyio.sleep(0.01)
        await self.server.quiet()
        (final,) = self.finals(message_id)
        return final

    def finals(self, message_id: str) -> list[dict[str, Any]]:
        return [
            each for each in self.received if each.get("replyTo") == message_id and each["final"]
        ]

    def parts(self, message_id: str) -> list[Any]:
        return [
            each["content"]
            for each in self.received
            if each.get("replyTo") == message_id and not each["final"]
        ]

    def contents(self, message_type: str) -> list[Any]:
        return [each["content"] for each in self.received if each["type"] == message_type]

    def stop_reading(self) -> None:
        self.link.writable = False
        self.server.runtime.dispatcher.writable_changed(self.link)

    def read_again(self) -> None:
        self.link.writable = True
        self.server.runtime.dispatcher.writable_changed(self.link)

    async def leave(self, code: int = 1001) -> None:
        self.link.end(code)
        await self.server.quiet()


class Server:
    """An application that runs, as seen by a test."""

    def __init__(self, app: App, runtime: Runtime) -> None:
        self.app = app
        self.runtime = runtime
        self.clients: list[Client] = []
        self.killed = False
        """End without a word: what the store does not have is lost."""
        self.on_asyncio = sniffio.current_async_library() == "asyncio"

    def connect(self, subprotocol: str | None = None, *, identity: Identity = ANONYMOUS) -> Client:
        client = Client(self, subprotocol, identity)
        self.clients.append(client)
        return client

    def from_callback(self, function: Any, *arguments: Any) -> None:
        """Call from where transports call: on asyncio from the loop itself, outside of any task."""
        if self.on_asyncio:
            loop = asyncio.get_running_loop()
            loop.call_soon(function, *arguments, context=contextvars.Context())
        else:
            function(*arguments)

    def soon(self, function: Any, *arguments: Any) -> None:
        self.runtime.node.call_soon(lambda: function(*arguments))

    async def quiet(self) -> None:
        """Wait until everything is done that needs no time to pass."""
        await anyio.sleep(A_MOMENT_S)

    async def pass_time(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    @property
    def metrics(self) -> Mapping[str, Any]:
        return self.app.metrics()

    @property
    def busy(self) -> int:
        return self.runtime.node.workers.busy


@asynccontextmanager
async def running(app: App) -> AsyncIterator[Server]:
    """Run an application without a listener, and without the plugins that are installed here."""
    with patch.object(importlib.metadata, "entry_points", return_value=()):
        runtime = app.prepare()
    async with anyio.create_task_group() as task_group:
        await task_group.start(runtime.node.run)
        try:
            await runtime.begin(app)
            runtime.ready = True
            server = Server(app, runtime)
            yield server
            if not server.killed:
                await runtime.end(app)
        finally:
            runtime.node.stop()
            app.release()
