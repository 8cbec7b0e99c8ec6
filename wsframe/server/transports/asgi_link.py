"""A peer behind an ASGI server, as the layers above see it.

The server speaks WebSocket; frames are taken apart again, because ASGI carries payloads.
Compression, heartbeats and the TCP side are the server's.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

import anyio

from ...protocol.frames import payload_of
from ...protocol.http import Request
from ..link import Phase

if TYPE_CHECKING:
    from ..runtime import Runtime

log = logging.getLogger("wsframe.server")

Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

HIGH_WATER_BYTES = 65_536
GOODBYE_S = 1.0
"""How long the close frame to a peer may take when the server cancels us."""
MESSAGES_PER_TURN = 200
"""So many are taken before others have their turn: a server may have a whole read full of them."""
_CLOSE = b""


class AsgiLink:
    """A peer behind an ASGI server."""

    __slots__ = (
        "_close",
        "_closing",
        "_outgoing",
        "_outgoing_bytes",
        "_phase",
        "_receive",
        "_runtime",
        "_scope",
        "_send",
        "_wake_writer",
        "owner",
        "request",
        "subprotocol",
        "writable",
    )

    def __init__(
        self,
        runtime: Runtime,
        request: Request,
        subprotocol: str | None,
        receive: Receive,
        send: Send,
    ) -> None:
        self.request = request
        self.subprotocol = subprotocol
        self.writable = True
        self.owner: Any = None
        self._runtime = runtime
        self._receive = receive
        self._send = send
        self._phase = Phase.OPEN
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._close = (1006, "")
        self._wake_writer = anyio.Event()
        self._closing = anyio.Event()
        self._scope = anyio.CancelScope()

    @property
    def idle(self) -> bool:
        return False  # each server writes for itself

    def write_together(self, links: list[Any], frame: bytes) -> None:
        raise NotImplementedError  # none is idle

    @property
    def open(self) -> bool:
        return self._phase is Phase.OPEN

    async def serve(self) -> None:
        """Accept the peer, and carry it until it is gone."""
        try:
            with self._scope:
                if not await self._sent(
                    {"type": "websocket.accept", "subprotocol": self.subprotocol}
                ):
                    return
                async with anyio.create_task_group() as task_group:
                    task_group.start_soon(self._write)
                    task_group.start_soon(self._give_up)
                    await self._read()
                    task_group.cancel_scope.cancel()
        except anyio.get_cancelled_exc_class():  # by the server, which stops
            if self._phase is Phase.OPEN:
                with anyio.move_on_after(GOODBYE_S, shield=True):
                    await self._sent(_event_of(_CLOSE, (1012, "the server restarts")))
            raise
        finally:
            self._end()

    def _end(self) -> None:
        if self._phase is not Phase.CLOSED:
            self._phase = Phase.CLOSED
            self._runtime.dispatcher.link_closed(self, *self._close)

    async def _read(self) -> None:
        message_received = self._runtime.dispatcher.message_received
        limit = self._runtime.config.max_message_bytes
        taken = 0
        while True:
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                if self._phase is Phase.OPEN:
                    self._close = event.get("code", 1005), event.get("reason") or ""
                return
            text = event.get("text")
            payload: str | bytes = text if text is not None else event.get("bytes", b"")
            size = len(payload) if text is None else len(text.encode())
            self._runtime.node.bytes_received += size
            if self._phase is not Phase.OPEN:
                continue
            if size > limit:
                self.close(1009, "message too big")
            else:
                message_received(self, payload)
            taken += 1
            if taken % MESSAGES_PER_TURN == 0:
                await anyio.lowlevel.checkpoint()

    async def _write(self) -> None:
        """Send what is due; the only place that sends."""
        while True:
            if not self._outgoing:
                if not self.writable:
                    self.writable = True
                    self._runtime.dispatcher.writable_changed(self)
                    continue
                self._wake_writer = anyio.Event()
                await self._wake_writer.wait()
            frames, self._outgoing = self._outgoing, []
            self._outgoing_bytes = 0
            for frame in frames:
                if not await self._sent(_event_of(frame, self._close)):
                    self.abort()
                    return

    async def _give_up(self) -> None:
        """End a close that takes too long: not every server does, and a send may hang."""
        await self._closing.wait()
        await anyio.sleep(self._runtime.config.close_timeout_s)
        self.abort()

    async def _sent(self, event: Event) -> bool:
        """Send an event; False: the peer is gone."""
        try:
            await self._send(event)
        except Exception as error:  # noqa: BLE001 - servers differ in how they say so
            log.debug("send failed: %s: %s", type(error).__name__, error)
            return False
        return True

    def write(self, frame: bytes) -> None:
        """Send one uncompressed server frame."""
        if self._phase is Phase.OPEN:
            self._queue(frame)
            self._runtime.node.bytes_sent += len(frame)
            self._outgoing_bytes += len(frame)
            if self.writable and self._outgoing_bytes > HIGH_WATER_BYTES:
                self.writable = False
                self._runtime.dispatcher.writable_changed(self)

    def _queue(self, frame: bytes) -> None:
        self._outgoing.append(frame)
        self._wake_writer.set()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Start the close handshake."""
        if self._phase is Phase.OPEN:
            self._phase = Phase.CLOSING
            self._close = code, reason
            self._queue(_CLOSE)
            self._closing.set()

    def fail(self, code: int, reason: str) -> None:
        """Close because of the peer, without what is queued."""
        self._outgoing.clear()
        self.close(code, reason)

    def abort(self) -> None:
        """Drop the peer at once, even where the server does not let go of it."""
        self._end()
        self._scope.cancel()


def _event_of(frame: bytes, close: tuple[int, str]) -> Event:
    if frame == _CLOSE:
        return {"type": "websocket.close", "code": close[0], "reason": close[1]}
    payload = payload_of(frame)
    if frame[0] & 0x0F == 1:
        return {"type": "websocket.send", "text": payload.decode()}
    return {"type": "websocket.send", "bytes": payload}
