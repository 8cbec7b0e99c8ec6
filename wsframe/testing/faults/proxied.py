"""One connection through a TCP proxy."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import anyio
import anyio.abc
from anyio.abc import SocketAttribute

from .plan import Way

READ_BYTES: Final = 16_384
_LOST: Final = (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)


@dataclass
class Tally:
    """Bytes that were forwarded."""

    bytes_to_server: int = 0
    bytes_to_client: int = 0

    def add(self, way: Way, count: int) -> None:
        """Count bytes."""
        if way is Way.TO_SERVER:
            self.bytes_to_server += count
        else:
            self.bytes_to_client += count


@dataclass
class _Lane:
    """One direction: whether bytes may pass, and how many."""

    source: anyio.abc.SocketStream
    sink: anyio.abc.SocketStream
    left: int | None = None
    reset: bool = False
    passable: anyio.Event = field(default_factory=anyio.Event)
    closed: bool = False

    def admit(self, data: bytes) -> bytes:
        """What of ``data`` still passes."""
        if self.left is None:
            return data
        data = data[: self.left]
        self.left -= len(data)
        return data


class Proxied:
    """One connection; every fault can be called by hand.

    Attributes:
        number: counts the connections of a proxy, from 1.
        was_cut: it did not end by itself.
    """

    def __init__(
        self,
        number: int,
        client: anyio.abc.SocketStream,
        server: anyio.abc.SocketStream,
        tally: Tally,
    ) -> None:
        self.number = number
        self.was_cut = False
        self._tally = tally
        self._scope = anyio.CancelScope()
        self._lanes = {
            Way.TO_SERVER: _Lane(client, server),
            Way.TO_CLIENT: _Lane(server, client),
        }
        for lane in self._lanes.values():
            lane.passable.set()

    def cut(self, *, reset: bool = True) -> None:
        """Cut it now.

        Args:
            reset: both ends get a reset (RST) instead of an end of the stream (FIN).
        """
        self.was_cut = True
        if reset:
            for lane in self._lanes.values():
                reset_on_close(lane.sink)
        self._scope.cancel()

    def cut_after(self, way: Way, after_bytes: int, *, reset: bool = False) -> None:
        """Cut it once so many more bytes have gone one way, wherever in a frame that is."""
        lane = self._lanes[way]
        lane.left, lane.reset = after_bytes, reset

    def stall(self, way: Way) -> None:
        """Let nothing pass one way, and read nothing more, so that the sender is held back."""
        lane = self._lanes[way]
        if lane.passable.is_set():
            lane.passable = anyio.Event()

    def resume(self, way: Way) -> None:
        """Take back :meth:`stall`."""
        self._lanes[way].passable.set()

    def half_close(self, way: Way) -> None:
        """End one direction; what comes that way later is lost."""
        lane = self._lanes[way]
        if not lane.closed:
            lane.closed = True
            _shut(lane.sink)

    async def carry(self) -> None:
        """Forward until both directions have ended, or it is cut."""
        with self._scope:
            async with anyio.create_task_group() as task_group:
                for way in Way:
                    task_group.start_soon(self._carry, way)

    async def _carry(self, way: Way) -> None:
        lane = self._lanes[way]
        try:
            while True:
                data = await lane.source.receive(READ_BYTES)
                while not lane.passable.is_set():
                    await lane.passable.wait()
                if lane.closed:
                    continue
                passing = lane.admit(data)
                await lane.sink.send(passing)
                self._tally.add(way, len(passing))
                if lane.left == 0:
                    self.cut(reset=lane.reset)
        except anyio.EndOfStream:
            while not lane.passable.is_set():
                await lane.passable.wait()
            self.half_close(way)
        except _LOST:
            for other in self._lanes.values():
                reset_on_close(other.sink)
            self._scope.cancel()


def reset_on_close(stream: anyio.abc.SocketStream) -> None:
    """Make the end of a stream a reset: whoever reads it gets an error (SO_LINGER, 0 s)."""
    raw = stream.extra(SocketAttribute.raw_socket)
    with suppress(OSError):  # it is closed already
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _shut(stream: anyio.abc.SocketStream) -> None:
    with suppress(OSError):  # it is gone at that end: what reads from there says so
        stream.extra(SocketAttribute.raw_socket).shutdown(socket.SHUT_WR)
