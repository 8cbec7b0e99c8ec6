"""The fast transport: an ``asyncio.Protocol``, for asyncio and uvloop.

The link *is* the protocol object: bytes go from the event loop's callback straight into the
sans-IO core, and frames go out with one ``transport.write`` per link and turn of the loop (see
:mod:`wsframe.server.turns`).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any, cast

from ..intake import SLICE_BYTES
from ..link import StreamLink
from ..node import Node


class AsyncioLink(StreamLink, asyncio.Protocol):
    """A peer on an asyncio transport."""

    __slots__ = ("_transport", "transport_write")

    _transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self.transport_write = self._transport.write
        address = transport.get_extra_info("peername")
        self.connected(
            address[0] if isinstance(address, tuple) else "",
            transport.get_extra_info("ssl_object") is not None,
        )

    def data_received(self, data: bytes) -> None:
        turns = self.context.turns
        if len(data) > SLICE_BYTES:  # reading is paused, which cannot wait
            turns.handle()
            self.take(data)
        else:
            turns.received(self, data)

    def eof_received(self) -> bool:
        self.context.turns.handle()  # what came before it
        self.input_ended()
        # The transport is closed by the link, when it is done. Over TLS it closes by itself.
        return not self.secure

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's
        self.context.turns.handle()  # what came before that
        self.stream_lost()

    def pause_writing(self) -> None:
        self.writable_changed(False)

    def resume_writing(self) -> None:
        self.writable_changed(True)

    def _transport_write_eof(self) -> None:
        if not self._transport.can_write_eof() or self._transport.is_closing():
            self._transport.close()
            return
        try:
            self._transport.write_eof()
        except OSError:  # the peer has reset the connection, and the loop has not told us yet
            self._transport.abort()

    def _transport_close(self) -> None:
        self._transport.close()

    def _transport_abort(self) -> None:
        self._transport.abort()

    def _transport_pause_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def _transport_resume_reading(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()


class AsyncioListener:
    """Accepts connections on one or more sockets.

    asyncio's own servers go on accepting a second after no file descriptor was free, and so does
    uvloop's; they are used as they are.
    """

    def __init__(
        self, node: Node, sockets: list[socket.socket], tls: ssl.SSLContext | None
    ) -> None:
        self._node = node
        self._sockets = sockets
        self._tls = tls
        self._servers: list[asyncio.AbstractServer] = []

    async def start(self) -> None:
        """Begin to accept."""
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {"backlog": self._node.config.backlog}
        if self._tls is not None:
            options["ssl"] = self._tls
            options["ssl_handshake_timeout"] = self._node.config.handshake_timeout_s
        for listening in self._sockets:
            if listening.family == getattr(socket, "AF_UNIX", None):
                server = await loop.create_unix_server(self._make_link, sock=listening, **options)
            else:
                server = await loop.create_server(self._make_link, sock=listening, **options)
            self._servers.append(server)

    def _make_link(self) -> AsyncioLink:
        return AsyncioLink(self._node)

    async def stop(self) -> None:
        """Stop accepting; connections go on."""
        for server in self._servers:
            server.close()
        await asyncio.sleep(0)
