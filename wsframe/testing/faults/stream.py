"""The client's end of a line, as the byte stream that a client's connector returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import anyio
import anyio.abc
from anyio.abc import SocketAttribute

from .line import Line


class LineStream(anyio.abc.ByteStream):
    """The client's end of a line.

    It fails like a socket does: with BrokenResourceError once the line is lost, with EndOfStream
    after the server's last byte, with ClosedResourceError after :meth:`aclose`.

    Attributes:
        line: for faults by hand.
    """

    def __init__(self, line: Line) -> None:
        self.line = line

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """The addresses, for who asks a socket for them."""
        return {
            SocketAttribute.remote_address: lambda: ("127.0.0.1", 0),
            SocketAttribute.local_address: lambda: ("127.0.0.1", self.line.number),
        }

    async def receive(self, max_bytes: int = 65_536) -> bytes:
        """See :meth:`anyio.abc.ByteReceiveStream.receive`."""
        line = self.line
        await line.let_others_go_first()
        while True:
            if line.closed_by_client:
                raise anyio.ClosedResourceError
            if data := line.take(max_bytes):
                return data
            if line.broken:
                raise anyio.BrokenResourceError("the network lost the connection")
            if line.ended:
                raise anyio.EndOfStream
            await line.changed()

    async def send(self, item: bytes) -> None:
        """See :meth:`anyio.abc.ByteSendStream.send`; waits while too much is on its way."""
        line = self.line
        await line.let_others_go_first()
        while True:
            if line.closed_by_client:
                raise anyio.ClosedResourceError
            if line.broken or line.over or line.to_server.finished:
                raise anyio.BrokenResourceError("the network lost the connection")
            if line.room:
                line.send(item)
                return
            await line.room_made()

    async def send_eof(self) -> None:
        """See :meth:`anyio.abc.ByteStream.send_eof`."""
        await anyio.lowlevel.checkpoint()
        self.line.send_eof()

    async def aclose(self) -> None:
        """See :meth:`anyio.abc.AsyncResource.aclose`; what was sent still arrives."""
        self.line.close()
        await anyio.lowlevel.checkpoint()
