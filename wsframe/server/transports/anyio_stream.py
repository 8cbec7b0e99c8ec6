"""The portable transport: any ``anyio.abc.ByteStream`` on asyncio or trio.

Each connection has two tasks. The reader feeds the link and stops when reading is paused; the
writer alone sends, and nothing ever cancels it in the middle of a send, which on trio would cut a
frame in two. It ends when the link wants the stream closed, or aborts it.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import socket
import ssl

import anyio
import anyio.abc
from anyio.abc import SocketAttribute, SocketListener
from anyio.streams.tls import TLSStream

from ..link import StreamLink
from ..node import Node

log = logging.getLogger("wsframe.server")

READ_BYTES = 65_536
HIGH_WATER_BYTES = 65_536
"""More than this waiting for the stream, and the link is not writable."""
LOW_WATER_BYTES = 16_384
ACCEPT_PAUSE_S = 0.1
"""Pause after a failed accept, e.g. because no file descriptor was free."""

_STREAM_ERRORS = (
    anyio.BrokenResourceError,
    anyio.ClosedResourceError,
    anyio.EndOfStream,
    OSError,
    ssl.SSLError,
)
_CLIENT_LEFT = frozenset({errno.ECONNABORTED, errno.EPROTO, errno.EINVAL, errno.ENOTCONN})
"""What accepting a connection that is gone already fails with."""


class AnyioLink(StreamLink):
    """A peer on an anyio byte stream."""

    __slots__ = (
        "_aborted",
        "_closing",
        "_eof_sent",
        "_eof_wanted",
        "_outgoing",
        "_outgoing_bytes",
        "_readable",
        "_scope",
        "_stream",
        "_wake_writer",
    )

    def __init__(self, node: Node, stream: anyio.abc.ByteStream) -> None:
        super().__init__(node)
        self._stream = stream
        self._outgoing: list[bytes] = []
        self._outgoing_bytes = 0
        self._wake_writer = anyio.Event()
        self._readable: anyio.Event | None = None  # set while reading is paused
        self._closing = False
        self._eof_wanted = False
        self._eof_sent = False
        self._scope = anyio.CancelScope()

    async def serve(self) -> None:
        """Carry the peer until the stream is gone."""
        address = self._stream.extra(SocketAttribute.remote_address, None)
        stream = self._stream
        secure = isinstance(stream, TLSStream)
        try:
            with self._scope:
                async with anyio.create_task_group() as task_group:
                    self.connected(address[0] if isinstance(address, tuple) else "", secure)
                    task_group.start_soon(self._read)
                    await self._write()
                    task_group.cancel_scope.cancel()
                if isinstance(stream, TLSStream):
                    with contextlib.suppress(*_STREAM_ERRORS):
                        await stream.unwrap()  # say that this is the end, not an accident
        finally:
            self.stream_lost()
            with anyio.CancelScope(shield=True):
                await anyio.aclose_forcefully(self._stream)

    async def _read(self) -> None:
        receive = self._stream.receive
        while True:
            try:
                data = await receive(READ_BYTES)
            except anyio.EndOfStream:
                self.input_ended()
                return
            except _STREAM_ERRORS:
                self._transport_abort()
                return
            self.take(data)
            while self._readable is not None:
                await self._readable.wait()

    async def _write(self) -> None:
        """Send what is due; the only place that sends."""
        try:
            while True:
                if self._outgoing:
                    data = b"".join(self._outgoing)
                    self._outgoing.clear()
                    await self._stream.send(data)
                    self._outgoing_bytes -= len(data)
                    self._mark_writable()
                elif self._closing:
                    return
                elif self._eof_wanted and not self._eof_sent:
                    self._eof_sent = True
                    if not await self._send_eof():
                        return
                else:
                    self._wake_writer = anyio.Event()
                    await self._wake_writer.wait()
        except _STREAM_ERRORS:
            return

    async def _send_eof(self) -> bool:
        """Close our direction; False where only both can be closed (TLS)."""
        if self.secure:
            return False
        await self._stream.send_eof()
        return True

    def _mark_writable(self) -> None:
        if not self.writable and self._outgoing_bytes <= LOW_WATER_BYTES:
            self.writable_changed(True)

    def transport_write(self, data: bytes) -> None:
        """Let the writing task send bytes."""
        self._outgoing.append(data)
        self._outgoing_bytes += len(data)
        self._wake_writer.set()
        if self.writable and self._outgoing_bytes > HIGH_WATER_BYTES:
            self.writable_changed(False)

    def _transport_write_eof(self) -> None:
        self._eof_wanted = True
        self._wake_writer.set()

    def _transport_close(self) -> None:
        self._closing = True
        self._wake_writer.set()

    def _transport_abort(self) -> None:
        self._scope.cancel()

    def _transport_pause_reading(self) -> None:
        self._readable = anyio.Event()

    def _transport_resume_reading(self) -> None:
        readable, self._readable = self._readable, None
        if readable is not None:
            readable.set()


class AnyioListener:
    """Accepts connections with anyio, on one or more sockets."""

    def __init__(
        self, node: Node, sockets: list[socket.socket], tls: ssl.SSLContext | None
    ) -> None:
        self._node = node
        self._sockets = sockets
        self._tls = tls
        self._listeners: list[SocketListener] = []
        self._scopes: list[anyio.CancelScope] = []

    async def start(self) -> None:
        """Begin to accept."""
        for opened in self._sockets:
            self._listeners.append(await SocketListener.from_socket(opened))
        for listener in self._listeners:
            self._node.task_group.start_soon(self._accept, listener)

    async def _accept(self, listener: SocketListener) -> None:
        with anyio.CancelScope() as scope:
            self._scopes.append(scope)
            failing = False
            while True:
                try:
                    stream = await listener.accept()
                except anyio.ClosedResourceError:  # stopped while it waited
                    return
                except (OSError, anyio.BrokenResourceError) as error:  # trio's come as the latter
                    cause = error if isinstance(error, OSError) else error.__cause__
                    if isinstance(cause, OSError) and cause.errno in _CLIENT_LEFT:
                        continue
                    if not failing:  # no file descriptor is free, for example
                        log.error("cannot accept connections: %s", cause)
                    failing = True
                    await anyio.sleep(ACCEPT_PAUSE_S)
                else:
                    failing = False
                    self._node.task_group.start_soon(self._serve, stream)

    async def _serve(self, stream: anyio.abc.ByteStream) -> None:
        """Carry one peer; whatever goes wrong with it concerns nobody else."""
        _read_only_when_asked(stream)
        try:
            if self._tls is not None:
                stream = await self._secured(stream, self._tls)
            await AnyioLink(self._node, stream).serve()
        except (TimeoutError, *_STREAM_ERRORS) as error:
            log.debug("no TLS handshake: %s: %s", type(error).__name__, error)
        except Exception:
            log.exception("a connection failed")

    async def _secured(self, stream: anyio.abc.ByteStream, tls: ssl.SSLContext) -> TLSStream:
        try:
            with anyio.fail_after(self._node.config.handshake_timeout_s):
                return await TLSStream.wrap(
                    stream, server_side=True, ssl_context=tls, standard_compatible=False
                )
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.aclose_forcefully(stream)
            raise

    async def stop(self) -> None:
        """Stop accepting; connections go on."""
        for scope in self._scopes:
            scope.cancel()
        for listener in self._listeners:
            await listener.aclose()


def _read_only_when_asked(stream: anyio.abc.ByteStream) -> None:
    """Keep anyio from reading ahead of us without a bound.

    On asyncio it stops reading whenever ``receive`` has waited, but not before it has done so for
    the first time; a peer that floods from its first byte on would never let it wait.
    """
    pause_reading = getattr(getattr(stream, "_transport", None), "pause_reading", None)
    if pause_reading is not None:
        pause_reading()
