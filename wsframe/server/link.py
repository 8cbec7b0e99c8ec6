"""A link: one peer on a byte stream, from the first HTTP byte to the last WebSocket frame.

It joins the sans-IO protocol to a transport and knows nothing of messages, sessions or tasks. A
transport is a subclass: it calls :meth:`take`, :meth:`input_ended` and
:meth:`stream_lost`, and implements the six methods that begin with ``_transport``. None of a link's
methods waits; none raises on what a peer does.

::

    HEAD ──request──▶ DECIDING ──accept──▶ OPEN ──close, failure──▶ CLOSING ──▶ CLOSED
      ▲                  │ respond                                    ▲
      └──keep-alive── ANSWERED ──close────────────────────────────────┘

The module is a little longer than others, because a state machine is read in one place.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from ..errors import RequestRefused
from ..protocol.events import CloseReceived, Failed, Ping, Pong
from ..protocol.heartbeat import Beat, Heartbeat
from ..protocol.http import Request, RequestParser, Response, encode_response, refusal
from .intake import Intake
from .roles import Endpoint, Link, LinkContext, Phase

__all__ = ["Endpoint", "Link", "LinkContext", "Phase", "StreamLink"]

log = logging.getLogger("wsframe.protocol")

_CLOSED: Final = Phase.CLOSED
_OPEN: Final = Phase.OPEN  # in Python 3.11 an enum is slow to find its members

FLUSH_FRAMES = 64
FLUSH_FRAME_BYTES = 16_384
"""So many frames, or one so large, are written at once instead of at the end of the turn of the
loop: a handler that sends without ever waiting must notice that the peer does not keep up."""
TLS_LINGER_S = 1.0
"""How long a peer over TLS may still send after a failure, so that it can read why."""


class StreamLink(Intake):
    """One peer on a byte stream."""

    __slots__ = (
        "_corked",
        "_heard",
        "_heartbeat",
        "_owed_pong",
        "_parser",
        "_pending",
        "_wrap",
        "address",
        "context",
        "deadline",
        "owner",
        "phase",
        "request",
        "secure",
        "subprotocol",
        "writable",
    )

    request: Request
    transport_write: Callable[[bytes], Any]
    """Writes bytes to the peer, in the order of its calls."""
    identity: Any = None
    """Who the peer is, where the transport itself knows; None: plugins find out."""

    def __init__(self, context: LinkContext) -> None:
        super().__init__()
        self.context = context
        self.phase = Phase.HEAD
        self.address = ""
        self.secure = False
        self.owner: Any = None
        """What the endpoint keeps of this link."""
        self.subprotocol: str | None = None
        self.writable = True
        self.deadline: float | None = None
        """When the present phase must be over, by the node's clock; None: no limit."""
        self._pending: list[bytes] = []
        self._corked = False  # received data is being taken: one flush comes at its end
        self._wrap: Callable[[bytes], bytes] | None = None  # None: frames go as they are
        self._heard = False  # something came since the last look at the heartbeat
        self._owed_pong = b""  # the newest one that did not fit
        self._parser: RequestParser | None = None
        self._heartbeat: Heartbeat | None = None

    @property
    def open(self) -> bool:
        """May messages be written?"""
        return self.phase is _OPEN

    def connected(self, address: str, secure: bool) -> None:
        """The transport is there: wait for a request."""
        self.address = address
        self.secure = secure
        context = self.context
        if context.stopped:  # accepted in the moment the node stopped
            self._transport_abort()
            return
        context.links[self] = None
        self._await_head(b"")

    def _take(self, data: bytes) -> None:
        websocket = self._websocket
        if websocket is None:
            self._head_received(data)
            return
        self._heard = True
        message_received = self.context.endpoint.message_received
        self._corked = True
        for event in websocket.receive_data(data):
            kind = type(event)
            if kind is str or kind is bytes:
                if self.phase is _OPEN:
                    message_received(self, event)  # type: ignore[arg-type]  # one of the two
            elif kind is Ping:
                if websocket.output:  # its pong, in its place among the answers
                    self._pong(websocket.output.pop(0))
            elif kind is not Pong:
                self._end_received(event)
        if websocket.output:
            self._pending += websocket.output
            websocket.output.clear()
        self._corked = False
        if self._pending:
            self.context.turns.flush(self)

    def _end_input(self) -> None:
        if self.phase is Phase.DECIDING:  # it may still read the answer
            return
        websocket = self._websocket
        if websocket is not None and self.phase is _OPEN:
            for event in websocket.receive_eof():
                if isinstance(event, (CloseReceived, Failed)):
                    self._end_received(event)
        self._finish()

    def writable_changed(self, writable: bool) -> None:
        """The transport takes more data, or should be given none."""
        self.writable = writable
        if self.phase is _OPEN:
            if writable and self._owed_pong:
                self._pending.append(self._owed_pong)
                self._owed_pong = b""
                self.flush()
            self.context.endpoint.writable_changed(self)
        elif writable and self.phase is Phase.ANSWERED:
            self._next_request()

    def failed(self, error: Exception) -> None:
        """Something of ours raised ``error``: give this peer up."""
        if self.phase is _CLOSED:  # it was gone before it could be written to
            return
        log.error("the connection from %s failed", self.address, exc_info=error)
        self.fail(1011, "internal error")
        self.abort()

    def stream_lost(self) -> None:
        """The transport is gone."""
        was_accepted = self.phase in (_OPEN, Phase.CLOSING)
        self.phase = Phase.CLOSED
        self.deadline = None
        self._backlog = None
        self._pending.clear()
        self._owed_pong = b""
        self._parser = None
        self.context.links.pop(self, None)
        websocket = self._websocket
        if was_accepted and websocket is not None:
            code = websocket.close_code
            self.context.endpoint.link_closed(
                self, 1006 if code is None else code, websocket.close_reason
            )

    # What the endpoint decides

    def accept(
        self,
        response: bytes,
        *,
        subprotocol: str | None,
        deflate: Any = None,
        opened: Callable[[], None],
    ) -> None:
        """Answer the upgrade request and open.

        Args:
            response: the bytes of a 101.
            subprotocol: the one chosen.
            deflate: the compression agreed upon.
            opened: called before the first message is handed up.
        """
        parser, self._parser = self._parser, None
        assert parser is not None
        context = self.context
        self.subprotocol = subprotocol
        self.deadline = None
        self._websocket = context.make_websocket(deflate)
        if deflate is not None:
            self._wrap = self._websocket.wrap
        if context.heartbeat_interval_s > 0:
            self._heartbeat = Heartbeat(
                context.heartbeat_interval_s, context.heartbeat_timeout_s, context.now()
            )
        self.phase = _OPEN
        context.bytes_sent += len(response)
        self.transport_write(response)
        opened()
        self.resume_reading()
        if parser.trailing:
            self.feed(parser.trailing)
        if self._ended:
            self.input_ended()

    def respond(self, response: Response, *, close: bool = True) -> None:
        """Answer a request in plain HTTP."""
        if self.phase not in (Phase.HEAD, Phase.DECIDING):
            return
        close = close or self._ended or self._parser is None
        head_only = self.phase is Phase.DECIDING and self.request.method == "HEAD"
        self.phase = Phase.ANSWERED
        data = encode_response(response, close=close, head_only=head_only)
        self.context.bytes_sent += len(data)
        self.transport_write(data)
        if close:
            self._linger()
            if self._ended:
                self._finish()
        elif self.writable:
            self._next_request()
        else:  # no further request before the peer has taken this answer
            self.pause_reading()
            self.deadline = self.context.now() + self.context.handshake_timeout_s

    def write(self, frame: bytes) -> None:
        """Send one uncompressed server frame at the end of this turn of the loop."""
        if self.phase is not _OPEN:
            return
        pending = self._pending
        if not pending and not self._corked:
            self.context.turns.flush_soon(self)
        wrap = self._wrap
        pending.append(frame if wrap is None else wrap(frame))
        if len(frame) > FLUSH_FRAME_BYTES or len(pending) >= FLUSH_FRAMES:
            self.flush()

    @property
    def idle(self) -> bool:
        """Is nothing to be written, and can an uncompressed server frame go out as it is?"""
        return self.phase is _OPEN and not self._pending and self._wrap is None

    def write_together(self, links: list[StreamLink], frame: bytes) -> None:
        """Send the same uncompressed server frame to many links that are :attr:`idle`."""
        self.context.bytes_sent += len(links) * len(frame)
        self.context.turns.write_together(links, frame)

    def flush(self) -> None:
        """Write what is due."""
        self.context.turns.flush_together()
        if output := self.take_output():
            self.transport_write(output)

    def take_output(self) -> bytes:
        """What is due; it counts as written."""
        pending = self._pending
        if not pending or self.phase is _CLOSED:
            return b""
        output = pending[0] if len(pending) == 1 else b"".join(pending)
        pending.clear()
        self.context.bytes_sent += len(output)
        return output

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Start the close handshake; the peer has ``close_timeout_s`` to answer."""
        if self.phase is _OPEN:
            assert self._websocket is not None
            self._pending.append(self._websocket.close(code, reason))
            self.phase = Phase.CLOSING
            self.deadline = self.context.now() + self.context.close_timeout_s
            self.flush()
        elif self.phase in (Phase.HEAD, Phase.DECIDING, Phase.ANSWERED):
            self._finish()

    def fail(self, code: int, reason: str) -> None:
        """Close because of the peer: say why and take nothing more from it."""
        if self.phase is _OPEN:
            assert self._websocket is not None
            self._pending.append(self._websocket.fail(code, reason))
            self._linger()

    def abort(self) -> None:
        """Drop the peer at once."""
        if self.phase is not Phase.CLOSED:
            self._transport_abort()

    def check(self, now: float) -> None:
        """Enforce deadlines and the heartbeat; called about once a second."""
        if self.deadline is not None and now >= self.deadline:
            self._out_of_time()
        elif self.phase is _OPEN and self._websocket is not None:
            self._websocket.reset_control_count()
            if self._heartbeat is not None:
                if self._heard:
                    self._heard = False
                    self._heartbeat.received(now)
                beat = self._heartbeat.check(now)
                if beat is Beat.PING:
                    self._pending.append(self._websocket.ping())
                    self.flush()
                elif beat is Beat.DEAD:
                    self._pending.append(self._websocket.fail(4408, "heartbeat missed"))
                    self._finish()
                    if not self.writable:  # it will not take our last words either
                        self._transport_abort()

    def _out_of_time(self) -> None:
        """The present phase has taken too long."""
        self.deadline = None
        if self.phase is Phase.DECIDING:
            self.respond(_UNDECIDED)
        elif self.phase is Phase.HEAD:
            if self._parser is not None and self._parser.started:
                self.respond(_REQUEST_TIMEOUT)
            else:  # nothing was asked: nothing is answered
                self._finish()
        else:
            self._transport_abort()

    # Within

    def _pong(self, pong: bytes) -> None:
        """Answer a ping; while the peer does not read, only the newest (RFC 6455 section 5.5.3)."""
        if self.phase is _OPEN:
            if self.writable:
                self._pending.append(pong)
            else:
                self._owed_pong = pong

    def _next_request(self) -> None:
        """The answer to one request is sent: wait for the next."""
        parser = self._parser
        assert parser is not None
        self.resume_reading()
        self._await_head(parser.trailing)

    def _await_head(self, rest: bytes) -> None:
        context = self.context
        self.phase = Phase.HEAD
        self.deadline = context.now() + context.handshake_timeout_s
        self._parser = RequestParser(
            max_header_bytes=context.max_header_bytes, address=self.address, secure=self.secure
        )
        if rest:
            self._head_received(rest)

    def _head_received(self, data: bytes) -> None:
        parser = self._parser
        if parser is None:
            return
        try:
            request = parser.receive_data(data)
        except RequestRefused as error:
            self.respond(refusal(error))
            return
        if request is not None and self.phase is Phase.HEAD:
            self.phase = Phase.DECIDING
            self.request = request
            self.context.endpoint.request_received(self, request)

    def _end_received(self, event: Any) -> None:
        """The peer closed, or broke the protocol."""
        if isinstance(event, Failed) or self._websocket is None:
            self._linger()
        else:
            self._pending += self._websocket.output
            self._websocket.output.clear()
            self._finish()

    def _linger(self) -> None:
        """Write what is due, send EOF, and drop input until the peer is gone or time is up.

        Closing at once would reset the connection while data is on its way to us, and the peer
        would lose our last words (RFC 9112 section 9.6).
        """
        if self._websocket is not None and self._websocket.output:
            self._pending += self._websocket.output
            self._websocket.output.clear()
        self.flush()
        self._parser = None
        if self.phase is not Phase.CLOSED:
            self.phase = Phase.CLOSING
            timeout_s = self.context.close_timeout_s
            if self.secure and self._websocket is not None:
                # TLS is closed in both directions or in none: leave it open for a moment.
                timeout_s = min(timeout_s, TLS_LINGER_S)
            else:
                self._transport_write_eof()
            self.deadline = self.context.now() + timeout_s
            self.resume_reading()  # only who reads sees that the peer is gone

    def _finish(self) -> None:
        """Write what is due and end the connection."""
        self.flush()
        self._parser = None
        if self.phase is not Phase.CLOSED:
            self.phase = Phase.CLOSING
            self.deadline = self.context.now() + self.context.close_timeout_s
            self._transport_close()

    # What a transport implements

    def _transport_write_eof(self) -> None:
        """Send EOF, or close where only both directions can be closed."""
        raise NotImplementedError

    def _transport_close(self) -> None:
        """Close after everything written is sent."""
        raise NotImplementedError

    def _transport_abort(self) -> None:
        raise NotImplementedError


_REQUEST_TIMEOUT = refusal(
    RequestRefused(408, "request_timeout", "The request was not complete in time.")
)
_UNDECIDED = refusal(
    RequestRefused(503, "unavailable", "The server could not decide in time; try again later.")
)
