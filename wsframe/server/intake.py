"""The intake of a link: what it takes of a peer's bytes in one turn of the event loop.

A read may be of 256 KiB. Full of tiny messages that have to go through wsproto, it would hold the
event loop for more than a second, and everybody else with it. So a long read is taken in slices,
with a turn of the loop between two of them. Meanwhile the transport reads nothing, and the end of
the input waits. When the stream is lost, so is what was not taken yet.
"""

from __future__ import annotations

from ..protocol.connection import WebSocket
from ..protocol.states import State
from .roles import LinkContext

SLICE_BYTES = 16_384
"""So much is taken in one turn: about 60 ms of the costliest messages there are."""
_DEAF = (State.CLOSED, State.FAILED)
"""In these a WebSocket drops whatever comes, at no cost."""


class Backlog:
    """Received bytes that wait for their turn.

    Attributes:
        scheduled: the next slice will be taken in the next turn of the loop.
    """

    __slots__ = ("_data", "_position", "scheduled")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0
        self.scheduled = False

    def __bool__(self) -> bool:
        return self._position < len(self._data)

    def add(self, data: bytes) -> None:
        """Put ``data`` behind what waits."""
        self._data = self._data[self._position :] + data
        self._position = 0

    def take(self) -> bytes:
        """The next slice."""
        start = self._position
        self._position = start + SLICE_BYTES
        return self._data[start : self._position]


class Intake:
    """The receiving side of a link."""

    __slots__ = ("_backlog", "_ended", "_paused", "_websocket")

    context: LinkContext

    def __init__(self) -> None:
        self._websocket: WebSocket | None = None
        self._backlog: Backlog | None = None  # while there is one, the transport does not read
        self._paused = False
        self._ended = False  # the peer will send nothing more

    def take(self, data: bytes) -> None:
        """Take bytes from the peer."""
        self.context.bytes_received += len(data)
        self.feed(data)

    def feed(self, data: bytes) -> None:
        """Take bytes that came; many of them in several turns of the event loop."""
        if len(data) > SLICE_BYTES or self._backlog is not None:
            data = self._first_slice(data)
        try:
            self._take(data)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs this peer alone
            self.failed(error)

    def input_ended(self) -> None:
        """The peer will send nothing more."""
        self._ended = True
        if self._backlog is None:  # that comes first
            self._end_input()

    def pause_reading(self) -> None:
        """Take nothing more from the peer until :meth:`resume_reading`."""
        if not self._paused:
            self._paused = True
            if self._backlog is None:
                self._transport_pause_reading()

    def resume_reading(self) -> None:
        """Take back :meth:`pause_reading`."""
        if self._paused:
            self._paused = False
            if self._backlog is None:
                self._transport_resume_reading()
            else:
                self._schedule_slice(self._backlog)

    def _first_slice(self, data: bytes) -> bytes:
        """Put off what is too much for this turn of the loop; returns the rest."""
        websocket, backlog = self._websocket, self._backlog
        if backlog is not None:
            backlog.add(data)
            return b""
        if websocket is None or websocket.state in _DEAF:
            return data
        self._backlog = backlog = Backlog(data)
        if not self._paused:
            self._transport_pause_reading()
        self._schedule_slice(backlog)
        return backlog.take()

    def _schedule_slice(self, backlog: Backlog) -> None:
        if not backlog.scheduled:
            backlog.scheduled = True
            self.context.call_soon(self._take_slice)

    def _take_slice(self) -> None:
        backlog = self._backlog
        if backlog is None:  # lost with its stream
            return
        backlog.scheduled = False
        if self._paused:  # resume_reading() goes on with it
            return
        try:
            self._take(backlog.take())
        except Exception as error:  # noqa: BLE001 - as in take()
            self.failed(error)
        if backlog:
            self._schedule_slice(backlog)
        elif self._backlog is not None:
            self._backlog = None
            if not self._paused:
                self._transport_resume_reading()
            if self._ended:
                self._end_input()

    # What a link does with it

    def failed(self, error: Exception) -> None:
        """Something of ours raised ``error``: give this peer up."""
        raise NotImplementedError

    def _take(self, data: bytes) -> None:
        raise NotImplementedError

    def _end_input(self) -> None:
        raise NotImplementedError

    # What a transport implements

    def _transport_pause_reading(self) -> None:
        raise NotImplementedError

    def _transport_resume_reading(self) -> None:
        raise NotImplementedError
