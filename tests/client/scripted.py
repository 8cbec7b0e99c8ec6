"""A server in memory that does what a test's script says, on real bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import anyio.abc

from wsframe.client import Client
from wsframe.messages import Message, codec_for
from wsframe.protocol.connection import Role, WebSocket
from wsframe.protocol.deflate import Deflate, DeflateSettings, negotiate
from wsframe.protocol.events import CloseReceived, Event, Failed, Ping, Pong
from wsframe.protocol.handshake import accept_response, check_upgrade, choose_subprotocol
from wsframe.protocol.http import RequestParser
from wsframe.protocol.request import Request

URL = "ws://chat.example/ws"


class MemoryStream(anyio.abc.ByteStream):
    """One end of a byte stream; a write waits while the other end has not read enough."""

    def __init__(self, sender: Any, receiver: Any) -> None:
        self._sender = sender
        self._receiver = receiver
        self._rest = b""
        self.closed = False

    async def receive(self, max_bytes: int = 65536) -> bytes:
        data: bytes = self._rest or await self._receiver.receive()
        self._rest = data[max_bytes:]
        return data[:max_bytes]

    async def send(self, item: bytes) -> None:
        await self._sender.send(bytes(item))

    async def send_eof(self) -> None:
        self._sender.close()

    async def aclose(self) -> None:
        self.closed = True
        self._sender.close()
        self._receiver.close()


def stream_pair(writes: float = 100) -> tuple[MemoryStream, MemoryStream]:
    """Two ends of a stream that holds so many writes until they are read."""
    to_b, from_a = anyio.create_memory_object_stream[bytes](writes)
    to_a, from_b = anyio.create_memory_object_stream[bytes](writes)
    return MemoryStream(to_b, from_b), MemoryStream(to_a, from_a)


class Peer:
    """The server's end of one connection."""

    def __init__(self, stream: MemoryStream, client_stream: MemoryStream) -> None:
        self.stream = stream
        self.client_stream = client_stream
        self.websocket: WebSocket | None = None
        self.codec = codec_for(None)
        self.request: Request | None = None
        self.bearer: str | None = None
        self.pings = 0
        self._events: deque[Event] = deque()

    async def read_request(self) -> Request:
        parser = RequestParser(16_384)
        while (request := parser.receive_data(await self.stream.receive())) is None:
            pass
        self.request = request
        return request

    async def accept(self, *, deflate: bool = False, subprotocol: bool = True) -> None:
        """Agree to the WebSocket."""
        upgrade = check_upgrade(await self.read_request())
        self.bearer = upgrade.bearer
        chosen = choose_subprotocol(upgrade.subprotocols) if subprotocol else None
        agreed: tuple[Deflate, str] | None = None
        if deflate:
            agreed = negotiate(upgrade.extensions, DeflateSettings(min_bytes=1))
        await self.stream.send(
            accept_response(upgrade, subprotocol=chosen, extensions=agreed[1] if agreed else None)
        )
        self.codec = codec_for(chosen)
        self.websocket = WebSocket(
            Role.SERVER, max_message_bytes=10_000_000, deflate=agreed[0] if agreed else None
        )

    async def refuse(self, status: int, *headers: str) -> None:
        """Answer the handshake with another status."""
        await self.read_request()
        lines = [f"HTTP/1.1 {status} x", "Content-Length: 0", *headers, "", ""]
        await self.stream.send("\r\n".join(lines).encode())

    async def receive(self) -> Message[Any]:
        """The client's next message; raises anyio.EndOfStream at its goodbye."""
        event = await self.receive_event()
        if isinstance(event, CloseReceived):
            raise anyio.EndOfStream
        assert isinstance(event, (str, bytes)), event
        return self.codec.decode(event)

    async def receive_event(self) -> Event:
        """The next thing other than a ping or pong."""
        assert self.websocket is not None
        while True:
            while self._events:
                event = self._events.popleft()
                if isinstance(event, Ping):
                    self.pings += 1
                elif not isinstance(event, Pong):
                    return event
            self._events.extend(self.websocket.receive_data(await self.stream.receive()))
            for data in self.websocket.output:
                with suppress(anyio.BrokenResourceError):  # the client may be gone already
                    await self.stream.send(data)
            self.websocket.output.clear()

    async def closed(self) -> CloseReceived:
        """Read on until the client says goodbye."""
        while True:
            event = await self.receive_event()
            assert not isinstance(event, Failed)
            if isinstance(event, CloseReceived):
                return event

    async def goodbye(self) -> None:
        """Nothing more comes from the client but the end, in order."""
        event = await self.receive_event()
        assert isinstance(event, CloseReceived), event
        assert event.code == 1000
        await self.stream.aclose()

    async def send(self, type: str, content: Any = None, **fields: Any) -> None:
        message = Message(type=type, content={} if content is None else content, **fields)
        await self.send_message(message)

    async def send_message(self, message: Message[Any]) -> None:
        assert self.websocket is not None
        payload = self.codec.encode(message)
        await self.stream.send(
            self.websocket.send_binary(payload)
            if self.codec.binary
            else self.websocket.send_text(payload)
        )

    async def answer(self, message: Message[Any], content: Any = None) -> None:
        """The final answer to a message."""
        await self.send(message.type, content, reply_to=message.id, final=True)

    async def part(self, message: Message[Any], content: Any) -> None:
        await self.send(message.type, content, reply_to=message.id, final=False)

    async def error(self, message: Message[Any], code: str, **more: Any) -> None:
        content = {"code": code, "message": "no", "retryable": False, **more}
        await self.send("error", content, reply_to=message.id, final=True)

    async def close(self, code: int, reason: str = "") -> None:
        """Close in order; returns when the client has answered."""
        assert self.websocket is not None
        await self.stream.send(self.websocket.close(code, reason))
        await self.closed()
        await self.stream.aclose()

    async def drop(self) -> None:
        """Lose the connection without a word."""
        await self.stream.aclose()

    async def begin(self, session_id: str = "s1", **content: Any) -> Message[Any]:
        """Agree to the WebSocket and answer ``init``; returns the client's."""
        await self.accept()
        return await self.welcome(session_id, **content)

    async def welcome(self, session_id: str = "s1", **content: Any) -> Message[Any]:
        """Answer ``init``; returns the client's."""
        init = await self.receive()
        assert init.type == "init"
        await self.answer(
            init,
            {
                "sessionId": session_id,
                "secret": f"secret of {session_id}",
                "resumed": False,
                "seq": 0,
                "gap": None,
                "inFlight": [],
                "heartbeat": {"intervalMs": 0, "timeoutMs": 0},
                "limits": {"maxMessageBytes": 1_000_000, "maxInFlight": 100},
                **content,
            },
        )
        return init

    async def resume(self, seq: int, **content: Any) -> Message[Any]:
        """Agree to the WebSocket, and that the session goes on."""
        return await self.begin(resumed=True, seq=seq, **content)


class Server:
    """Waits for connections; each attempt of the client is one peer."""

    def __init__(self, writes: float) -> None:
        self._writes = writes
        self._send, self._receive = anyio.create_memory_object_stream[Peer](100)
        self._peers: list[Peer] = []
        self.attempts_at: list[float] = []
        self.refusing = False

    async def connect(self) -> anyio.abc.ByteStream:
        """The client's connector."""
        self.attempts_at.append(anyio.current_time())
        if self.refusing:
            raise ConnectionRefusedError("nobody is there")
        theirs, ours = stream_pair(self._writes)
        peer = Peer(ours, theirs)
        self._peers.append(peer)
        await self._send.send(peer)
        return theirs

    async def peer(self) -> Peer:
        """The next connection, before its handshake."""
        return await self._receive.receive()

    async def begin(self, session_id: str = "s1", **content: Any) -> Peer:
        """The next connection, with a new session."""
        peer = await self.peer()
        await peer.begin(session_id, **content)
        return peer

    def finish(self) -> None:
        """Nobody will connect any more: whoever waits for it gets anyio.EndOfStream."""
        self._send.close()

    async def aclose(self) -> None:
        """Close this end of everything; returns after a look at whether the client has too."""
        self._send.close()
        self._receive.close()
        left = [peer for peer in self._peers if not peer.client_stream.closed]
        for peer in self._peers:
            await peer.stream.aclose()
            await peer.client_stream.aclose()
        assert not left, "the client left a stream open"


Script = Callable[[Server], Awaitable[None]]


@asynccontextmanager
async def serve(script: Script, *, writes: float = 100) -> AsyncIterator[Server]:
    """A server that does all of ``script`` while the body runs."""
    server = Server(writes)
    done = anyio.Event()

    async def run() -> None:
        await script(server)
        done.set()

    try:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            yield server
            with anyio.move_on_after(10_000):
                await done.wait()
            assert done.is_set(), "the script was not played to its end"
    finally:
        with anyio.CancelScope(shield=True):
            await server.aclose()


def client_of(server: Server, **settings: Any) -> Client:
    """A client without jitter (each pause is half of its limit) and without ``ack`` messages."""
    settings = {"random": lambda: 0.5, "ack_delay_s": 1e9, **settings}
    return Client(URL, connector=server.connect, **settings)


async def settle(seconds: float = 0) -> None:
    """Let everything happen that is due by then."""
    await anyio.sleep(seconds + 1e-6)
