"""A byte stream in memory between a client and a running application.

The server's end is a real :class:`~wsframe.server.link.StreamLink`, like those on sockets: the
bytes are the wire's, the handshake, the limits, deadlines and back pressure are the server's own.
Each end hears of the other in a later turn of the event loop, never inside its own call.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import sniffio

from ..server.link import Phase, StreamLink
from ..server.node import Node
from ..server.transports.anyio_stream import HIGH_WATER_BYTES, LOW_WATER_BYTES
from ..session import Identity


class Peer(Protocol):
    """The client's end of a stream."""

    def data_received(self, data: bytes) -> None:
        """Bytes came from the server."""

    def input_ended(self) -> None:
        """The server will send nothing more."""

    def stream_lost(self) -> None:
        """The stream is gone."""


class MemoryLink(StreamLink):
    """The server's end of a stream in memory, with the wires to the client's end.

    Args:
        node: whose link it is.
        peer: the client's end.
        address: the peer's address, as the server is to see it.
        identity: who the peer is; None: whoever plugins take it for.
        schedule: calls a function soon, in order; None: the event loop does.
    """

    __slots__ = (
        "_closing",
        "_delivering",
        "_ended_by_peer",
        "_eof_due",
        "_feeding",
        "_from_peer",
        "_lost",
        "_peer",
        "_peer_reads",
        "_schedule",
        "_server_reads",
        "_to_peer",
        "_to_peer_bytes",
        "_write_ended",
        "identity",
    )

    def __init__(
        self,
        node: Node,
        peer: Peer,
        *,
        address: str,
        identity: Identity | None = None,
        schedule: Callable[[Callable[[], None]], Any] | None = None,
    ) -> None:
        super().__init__(node)
        self.identity = identity
        self._peer = peer
        self._schedule = schedule or _scheduler()
        self._from_peer: deque[bytes] = deque()
        self._to_peer: deque[bytes] = deque()
        self._to_peer_bytes = 0
        self._server_reads = True
        self._peer_reads = True
        self._ended_by_peer = False  # the peer has closed its direction; the server is to hear it
        self._write_ended = False  # the server has closed its direction
        self._eof_due = False  # … and the peer is to hear it
        self._closing = False
        self._lost = False
        self._feeding = False
        self._delivering = False
        self.connected(address, secure=False)

    # The client's side

    def send(self, data: bytes) -> None:
        """Send bytes to the server; they are lost if the stream is."""
        self._from_peer.append(data)
        self._feed_soon()

    def send_eof(self) -> None:
        """Close the client's direction."""
        self._ended_by_peer = True
        self._feed_soon()

    def drop(self) -> None:
        """Lose the stream at once, with everything that is on its way."""
        self._schedule(self._lose)

    def orphan(self) -> None:
        """The server's process is gone: the client loses the stream, and the server hears nothing.

        What the server writes from now on goes nowhere.
        """
        if not self._lost:
            self._lost = True
            self._from_peer.clear()
            self._to_peer.clear()
            self.phase = Phase.CLOSED
            self.context.links.pop(self, None)
            self._schedule(self._peer.stream_lost)

    @property
    def server_reads(self) -> bool:
        """Does the server take what the client sends?"""
        return self._server_reads

    @property
    def closed_by_server(self) -> bool:
        """Has the server closed the stream, after all it had to say?"""
        return self._closing

    def pause_peer(self) -> None:
        """The client stops reading: what the server writes piles up."""
        self._peer_reads = False

    def resume_peer(self) -> None:
        """The client reads again."""
        self._peer_reads = True
        self._deliver_soon()

    # Between the two

    def _feed_soon(self) -> None:
        if not self._feeding:
            self._feeding = True
            self._schedule(self._feed)

    def _feed(self) -> None:
        """Hand the server what the client has sent, as far as the server reads."""
        self._feeding = False
        while self._server_reads and self._from_peer and not self._lost:
            self.take(self._from_peer.popleft())
        if self._server_reads and self._ended_by_peer and not self._lost:
            self._ended_by_peer = False
            self.input_ended()

    def _deliver_soon(self) -> None:
        if not self._delivering:
            self._delivering = True
            self._schedule(self._deliver)

    def _deliver(self) -> None:
        """Hand the client what the server has written, as far as the client reads."""
        self._delivering = False
        while self._peer_reads and self._to_peer and not self._lost:
            data = self._to_peer.popleft()
            self._to_peer_bytes -= len(data)
            self._peer.data_received(data)
        if self._lost:
            return
        if not self.writable and self._to_peer_bytes <= LOW_WATER_BYTES:
            self._set_writable(True)
        if not self._to_peer and self._peer_reads:
            if self._closing:
                self._lose()
            elif self._eof_due:
                self._eof_due = False
                self._peer.input_ended()

    def _set_writable(self, writable: bool) -> None:
        self.writable = writable
        if self.phase is Phase.OPEN:
            self.context.endpoint.writable_changed(self)

    def _lose(self) -> None:
        if not self._lost:
            self._lost = True
            self._from_peer.clear()
            self._to_peer.clear()
            self.stream_lost()
            self._peer.stream_lost()

    # What the link asks of its transport

    def transport_write(self, data: bytes) -> None:
        """Put bytes on their way to the client's end."""
        if self._closing or self._write_ended or self._lost:
            return
        self._to_peer.append(data)
        self._to_peer_bytes += len(data)
        if self.writable and self._to_peer_bytes > HIGH_WATER_BYTES:
            self._set_writable(False)
        self._deliver_soon()

    def _transport_write_eof(self) -> None:
        if not self._write_ended:
            self._write_ended = self._eof_due = True
        self._deliver_soon()

    def _transport_close(self) -> None:
        self._closing = True
        self._deliver_soon()

    def _transport_abort(self) -> None:
        self.drop()

    def _transport_pause_reading(self) -> None:
        self._server_reads = False

    def _transport_resume_reading(self) -> None:
        self._server_reads = True
        self._feed_soon()


def _scheduler() -> Callable[[Callable[[], None]], Any]:
    """A way to call a function from the event loop soon, in order."""
    backend = sniffio.current_async_library()
    if backend == "asyncio":
        # Outside of a task, anyio learns from the context only which event loop it is in.
        context = contextvars.copy_context()
        context.run(sniffio.current_async_library_cvar.set, backend)
        return partial(asyncio.get_running_loop().call_soon, context=context)
    token = sys.modules["trio"].lowlevel.current_trio_token()
    schedule: Callable[[Callable[[], None]], Any] = token.run_sync_soon
    return schedule
