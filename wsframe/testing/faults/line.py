"""A line: one stream between a client and a server, through a bad network.

The server's end is a link in memory like those of the test client; between it and the client's
end there are two :class:`~wsframe.testing.faults.direction.Direction`. Whatever happens, happens
in the network's own turn of the event loop, never inside a call of either end.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

import anyio
import anyio.lowlevel

from ...server.node import Node
from ...session import Identity
from ..memory import MemoryLink
from .direction import Direction
from .plan import Chance, Cut, Drop, Fault, Ghost, HalfClose, Stall, Way


class Surroundings(Protocol):
    """What a line needs of its network."""

    chance: Chance

    def now(self) -> float:
        """The event loop's clock."""

    def at(self, when: float, callback: Callable[[], None]) -> None:
        """Call ``callback`` at ``when``."""

    def soon(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` in the network's next turn."""

    def note(self, text: str, *, minor: bool = False) -> None:
        """Log what happens."""

    def line_over(self, line: Line) -> None:
        """A line is gone at both ends."""


class ServerEnd(MemoryLink):
    """The server's end of a line."""

    __slots__ = ("_reading_again",)

    def __init__(
        self,
        node: Node,
        line: Line,
        *,
        schedule: Callable[[Callable[[], None]], None],
        address: str,
        identity: Identity | None,
    ) -> None:
        self._reading_again = line.wake
        super().__init__(node, line, address=address, identity=identity, schedule=schedule)

    def _transport_resume_reading(self) -> None:
        super()._transport_resume_reading()
        self._reading_again()


class Line:
    """One stream through the network; every fault can be called by hand.

    Attributes:
        number: counts the lines of a network, from 1.
        over: it is gone at both ends.
        broken: the client's end fails.
        ended: the client reads to the end of what has arrived, and then the end of the stream.
    """

    def __init__(
        self,
        network: Surroundings,
        number: int,
        node: Node,
        *,
        lag_s: float,
        address: str,
        identity: Identity | None,
    ) -> None:
        self._network = network
        self.number = number
        self.to_server = Direction(network.chance, lag_s)
        self.to_client = Direction(network.chance, lag_s)
        self._window_bytes = network.chance.plan.window_bytes
        self._inbox: deque[bytes] = deque()
        self._inbox_bytes = 0
        self._changed = anyio.Event()
        self._client_held_back = False
        self._planned_at: float | None = None
        self._server_gone = False
        self._server_held_back = False
        self.closed_by_client = False
        self.broken = False
        self.ended = False
        self.over = False
        self.link = ServerEnd(node, self, schedule=network.soon, address=address, identity=identity)
        self._sow()

    def __repr__(self) -> str:
        return f"<line #{self.number}>"

    # Faults

    def drop(self, why: str = "dropped") -> None:
        """Lose the line at both ends at once, with everything that is on its way."""
        if not self.over:
            self._note(why)
            self._over()
            self.link.drop()

    def cut(self, way: Way, after_bytes: int) -> None:
        """Let so many bytes still arrive, then drop the line."""
        self._note(f"is to be cut after {after_bytes} more bytes {way.value}")
        self._direction(way).cut(after_bytes)
        self.wake()

    def stall(self, way: Way, for_s: float, *, dies: bool = False) -> None:
        """Let nothing arrive for ``for_s`` seconds; then go on, or drop the line."""
        self._note(f"stalls {way.value} for {for_s:.3f} s" + (", then dies" if dies else ""))
        until = self._network.now() + for_s
        self._direction(way).hold(until)
        self._network.at(until, self._died if dies else self.wake)

    def half_close(self, way: Way) -> None:
        """End one direction, after what is on its way."""
        self._note(f"is closed {way.value}")
        self._direction(way).finish(self._network.now())
        self._change()
        self.wake()

    def ghost(self, for_s: float) -> None:
        """Lose the client's end at once; what it has sent reaches the server ``for_s`` later."""
        if self.over:
            return
        self._note(f"is lost by the client; the server hears of it {for_s:.3f} s later")
        self._break()
        until = self._network.now() + for_s
        self.to_server.hold(until)
        self._network.at(until, self._laid)

    def suffer(self, fault: Fault) -> None:
        """Have a fault of a plan."""
        match fault:
            case Drop():
                self.drop()
            case Cut(way, after_bytes):
                self.cut(way, after_bytes)
            case Stall(way, for_s, dies):
                self.stall(way, for_s, dies=dies)
            case HalfClose(way):
                self.half_close(way)
            case Ghost(for_s):
                self.ghost(for_s)

    def _sow(self) -> None:
        """Plan the next fault."""
        found = self._network.chance.next_fault(self._network.now())
        if found is not None:
            after_s, fault = found
            self._network.at(self._network.now() + after_s, lambda: self._reap(fault))

    def _reap(self, fault: Fault) -> None:
        if not self.over:
            self.suffer(fault)
            self._sow()

    def _died(self) -> None:
        self.drop("died after its stall")

    def _laid(self) -> None:
        self._advance()
        self.drop("was noticed to be lost")

    # The client's end

    @property
    def room(self) -> bool:
        """May the client send?"""
        return self.to_server.size < self._window_bytes

    @property
    def readable(self) -> bool:
        """Has the client something to read, or an end to hear of?"""
        return bool(self._inbox) or self.ended or self.broken

    async def let_others_go_first(self) -> None:
        """What each call of the client's begins with: it can be cancelled, and others may go on."""
        if self._network.chance.yields():
            await anyio.lowlevel.checkpoint()
        else:
            await anyio.lowlevel.checkpoint_if_cancelled()

    async def changed(self) -> None:
        """Wait until something has changed for the client: what it can read, or whether."""
        await self._changed.wait()

    async def room_made(self) -> None:
        """Wait until something has changed for the client, and be it that there is room."""
        self._client_held_back = True
        await self._changed.wait()

    def send(self, data: bytes) -> None:
        """Send bytes to the server."""
        self.to_server.put(data, self._network.now())
        self.wake()

    def send_eof(self) -> None:
        """Close the client's direction."""
        self.to_server.finish(self._network.now())
        self.wake()

    def take(self, max_bytes: int) -> bytes:
        """What has arrived at the client: one chunk; b"" when nothing has."""
        if not self._inbox:
            return b""
        data = self._inbox.popleft()
        if len(data) > max_bytes:
            self._inbox.appendleft(data[max_bytes:])
            data = data[:max_bytes]
        self._inbox_bytes -= len(data)
        self._hold_server_back()
        return data

    def close(self) -> None:
        """Close the client's end; what it has sent still arrives."""
        if not self.closed_by_client:
            self.closed_by_client = True
            self._inbox.clear()
            self._inbox_bytes = 0
            self._change()
            if not self.over and not self.broken:
                self._note("is closed by the client")
                self.send_eof()

    # The server's end

    def data_received(self, data: bytes) -> None:
        """The server has written."""
        self.to_client.put(data, self._network.now())
        self._hold_server_back()
        self.wake()

    def input_ended(self) -> None:
        """The server has closed its direction."""
        self.to_client.finish(self._network.now())
        self.wake()

    def stream_lost(self) -> None:
        """The server has closed, given up or died."""
        if self.over:
            return
        self._server_gone = True
        if self.link.closed_by_server or self._network.chance.survives_kill():
            self._note("is closed by the server")
            if self.to_client.ended:
                self._over(keep_inbox=True)
            else:
                self.input_ended()
        else:
            self._note("is lost by the server")
            self._over()

    # Between the two

    def wake(self) -> None:
        """See to it that what arrives is delivered in time."""
        times = [at for at in (self._next_to_server(), self.to_client.next_at()) if at is not None]
        if times and not self.over:
            at = max(min(times), self._network.now())
            if self._planned_at is None or at < self._planned_at:
                self._planned_at = at
                self._network.at(at, self._advance)

    def _next_to_server(self) -> float | None:
        at = self.to_server.next_at()
        return at if self._server_gone or self.link.server_reads else None

    def _advance(self) -> None:
        """Deliver what has arrived."""
        self._planned_at = None
        if self.over:
            return
        now = self._network.now()
        if self._server_gone or self.link.server_reads:
            self._deliver_to_server(self.to_server.arrived(now))
        if not self.over:
            self._deliver_to_client(self.to_client.arrived(now))
        if self.readable or (self._client_held_back and self.room):
            self._change()
        self.wake()

    def _deliver_to_server(self, chunks: list[bytes]) -> None:
        if chunks and self._server_gone:  # nobody is there: a reset is the answer
            self.drop("is reset: the server is gone")
            return
        for chunk in chunks:
            self._note(f"→ server {len(chunk)} bytes", minor=True)
            self.link.send(chunk)
        if self.to_server.severed:
            self.drop("cut on the way to the server")
        elif self.to_server.ended and not self._server_gone:
            self.link.send_eof()

    def _deliver_to_client(self, chunks: list[bytes]) -> None:
        gone = self.closed_by_client or self.broken
        if chunks and self.closed_by_client and not self.broken:
            self.drop("is reset: the client is gone")
            return
        for chunk in chunks if not gone else ():
            self._note(f"→ client {len(chunk)} bytes", minor=True)
            self._inbox.append(chunk)
            self._inbox_bytes += len(chunk)
        self._hold_server_back()
        if self.to_client.severed and not gone:
            self._cut_to_client()
        elif self.to_client.ended:
            self.ended = True
            if self._server_gone:
                self._over(keep_inbox=True)

    def _cut_to_client(self) -> None:
        self._note("cut on the way to the client")
        self._over(keep_inbox=True)
        self.link.drop()

    def _hold_server_back(self) -> None:
        waiting = self.to_client.size + self._inbox_bytes
        if not self._server_held_back and waiting > self._window_bytes:
            self._server_held_back = True
            self.link.pause_peer()
        elif self._server_held_back and waiting <= self._window_bytes // 2:
            self._server_held_back = False
            self.link.resume_peer()

    def _break(self) -> None:
        """Fail at the client's end."""
        self.broken = True
        self._inbox.clear()
        self._inbox_bytes = 0
        self._change()

    def _over(self, *, keep_inbox: bool = False) -> None:
        """Be gone at both ends; what has arrived at the client may still be read."""
        self.over = True
        self.to_server.clear()
        self.to_client.clear()
        if keep_inbox:
            self.broken = self.broken or not self.ended
            self._change()
        else:
            self._break()
        self._network.line_over(self)

    def _change(self) -> None:
        self._client_held_back = False
        self._changed.set()
        self._changed = anyio.Event()

    def _direction(self, way: Way) -> Direction:
        return self.to_server if way is Way.TO_SERVER else self.to_client

    def _note(self, text: str, *, minor: bool = False) -> None:
        self._network.note(f"#{self.number} {text}", minor=minor)
