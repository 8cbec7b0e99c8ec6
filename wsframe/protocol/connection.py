"""One WebSocket after its handshake, without I/O (RFC 6455): bytes in, events and bytes out.

The caller feeds what the peer sent to :meth:`WebSocket.receive_data`, gets events back, and then
writes and clears :attr:`WebSocket.output`: pongs, the answer to a close frame, the close frame of a
failure. What :meth:`~WebSocket.send_text` and its siblings return is written by the caller too.

Received bytes go the short way of :mod:`~wsframe.protocol.frames` as long as they are whole and
plain messages. Everything else is cut into frames here and goes through a
:class:`~wsframe.protocol.wsproto_driver.Driver`, which lives until the message at hand is complete.
An idle connection has neither a driver nor a buffer.
"""

from __future__ import annotations

from collections.abc import Callable

from ..errors import ConnectionClosed, ProtocolError
from .closing import ABNORMAL, POLICY_VIOLATION, close_payload, is_sendable
from .deflate import Deflate
from .events import CloseReceived, Event, Failed, Ping
from .frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    MAX_CONTROL_PAYLOAD_BYTES,
    PING,
    PONG,
    TEXT,
    Header,
    drop_everything,
    encode_binary,
    encode_frame,
    encode_text,
    read_header,
    take_masked,
    take_nothing,
    take_unmasked,
)
from .inflater import Inflater
from .pending import PendingFrame
from .states import Role, State
from .wsproto_driver import Driver

__all__ = ["Role", "State", "WebSocket"]

_Take = Callable[[bytes | bytearray, int, int, list[Event]], int]
_WHOLE_MESSAGES = frozenset({FIN | TEXT, FIN | BINARY})
_FRAGMENTS = frozenset({TEXT, BINARY, CONTINUATION, FIN | CONTINUATION})
"""FIN and opcode of the frames that are a part of a message only."""


class WebSocket:
    """One end of a WebSocket.

    Args:
        role: which end.
        max_message_bytes: of one message, before and after inflation; more: 1009.
        max_fragments: frames of one message; more: 1009.
        max_control_frames: pings, pongs and empty fragments between two calls of
            :meth:`reset_control_count`; more: 1008.
        deflate: what was negotiated; None: no compression.
        hot_path: False sends every frame through wsproto, with the same events.
        mask_key: a client's source of masking keys: four unpredictable bytes at each call
            (RFC 6455 section 5.3). Required of a client, unused by a server.
    """

    __slots__ = (
        "_control_frames",
        "_deflate",
        "_driver",
        "_hot_path",
        "_inflater",
        "_mask_key",
        "_max_control_frames",
        "_max_fragments",
        "_max_message_bytes",
        "_pending",
        "_take",
        "close_code",
        "close_reason",
        "output",
        "state",
    )

    def __init__(
        self,
        role: Role,
        *,
        max_message_bytes: int,
        max_fragments: int = 65_536,
        max_control_frames: int = 1_000,
        deflate: Deflate | None = None,
        hot_path: bool = True,
        mask_key: Callable[[], bytes] | None = None,
    ) -> None:
        if (role is Role.CLIENT) != (mask_key is not None):
            raise ValueError("a client needs mask_key, and only a client")
        self.state = State.OPEN
        self.close_code: int | None = None
        """Why the connection ended or ends: our code or the peer's, whichever came first."""
        self.close_reason = ""
        self.output: list[bytes] = []
        """Bytes to write now; the caller clears it."""
        self._max_message_bytes = max_message_bytes
        self._max_fragments = max_fragments
        self._max_control_frames = max_control_frames
        self._deflate = deflate
        self._mask_key = mask_key
        self._hot_path = hot_path
        self._take: _Take = (
            take_nothing if not hot_path else take_masked if mask_key is None else take_unmasked
        )
        self._driver: Driver | None = None
        self._inflater: Inflater | None = None
        self._pending: PendingFrame | None = None
        self._control_frames = 0

    @property
    def role(self) -> Role:
        """Which end we are."""
        return Role.SERVER if self._mask_key is None else Role.CLIENT

    # Receiving

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes from the peer, in whatever pieces they come.

        Never raises because of them: a peer that breaks a rule gives a last event
        :class:`~wsframe.protocol.events.Failed`. Then write :attr:`output`.
        """
        events: list[Event] = []
        if self._pending is None and self._driver is None:
            taken = self._take(data, 0, self._max_message_bytes, events)
            if taken != len(data):
                self._take_rest(data, taken, events)
            return events
        pending = self._pending
        if pending is None:
            self._take_rest(data, 0, events)
        elif pending.add(data):
            self._pending = None
            taken = 0
            if self._driver is None:
                taken = self._take(pending.data, 0, self._max_message_bytes, events)
            self._take_rest(pending.data, taken, events, is_bad=pending.is_bad)
        return events

    def receive_eof(self) -> list[Event]:
        """The peer will send nothing more.

        Looks at what is left of an incomplete frame. Where no close frame came,
        :attr:`close_code` becomes 1006, or stays ours if we sent one.
        """
        events: list[Event] = []
        pending = self._pending
        if pending is not None:
            self._pending = None
            driver = self._driver or self._make_driver()
            try:
                driver.feed(pending.data)
            except ProtocolError as error:
                self._fail(error, events)
        if self.state in (State.OPEN, State.CLOSING):
            self._end(State.CLOSED, ABNORMAL, "")
        return events

    def reset_control_count(self) -> None:
        """Begin a new period of ``max_control_frames``; call it once a second."""
        self._control_frames = 0

    def _take_rest(
        self,
        data: bytes | bytearray,
        position: int,
        events: list[Event],
        *,
        is_bad: bool = False,
    ) -> None:
        """Take ``data`` from ``position`` on, frame by frame.

        ``is_bad``: the first frame is incomplete, and waiting for its rest would be in vain.
        """
        size = len(data)
        try:
            while position < size and self._take is not drop_everything:
                driver = self._driver
                if driver is not None and driver.frame_bytes_due:
                    end = position + driver.frame_bytes_due
                    event = driver.feed(data[position:end])
                else:
                    header = read_header(data, position)
                    if header is None or (
                        size - position < header.header_bytes + header.payload_bytes
                        and not is_bad
                        and self._is_taken_whole(header)
                    ):
                        self._pending = PendingFrame(data[position:], header)
                        break
                    end = position + header.header_bytes + header.payload_bytes
                    self._count_control_frame(header)
                    driver = driver or self._make_driver()
                    event = driver.begin_frame(header, data[position:end])
                position = end
                if event is not None:
                    self._report(event, events)
                if not self._hot_path or self._driver is None:
                    continue
                if driver.is_idle:
                    position = self._take(data, position, self._max_message_bytes, events)
                elif not driver.frame_bytes_due:
                    position = driver.take_fragments(data, position)
        except ProtocolError as error:
            self._fail(error, events)
        if self._hot_path and self._driver is not None and self._driver.is_idle:
            self._drop_driver()

    def _is_taken_whole(self, header: Header) -> bool:
        """Control frames are, which are short; and messages for the hot path."""
        first = header.first
        if first & 0x08:
            return first & FIN != 0 and header.payload_bytes <= MAX_CONTROL_PAYLOAD_BYTES
        return (
            self._hot_path
            and (self._driver is None or self._driver.is_idle)
            and first in _WHOLE_MESSAGES
            and header.is_masked is (self._mask_key is None)
            and header.payload_bytes <= self._max_message_bytes
        )

    def _count_control_frame(self, header: Header) -> None:
        """Count what costs us work and carries no message."""
        first = header.first
        if first & 0x0F in (PING, PONG) or (
            header.payload_bytes == 0 and first & (FIN | 0x0F) in _FRAGMENTS
        ):
            self._control_frames += 1
            if self._control_frames > self._max_control_frames:
                raise ProtocolError(POLICY_VIOLATION, "too many control frames or empty fragments")

    def _make_driver(self) -> Driver:
        if self._deflate is not None and self._inflater is None:
            self._inflater = self._deflate.make_inflater(self._max_message_bytes)
        self._driver = Driver(
            self._mask_key is not None,
            self._inflater,
            self._max_message_bytes,
            self._max_fragments,
        )
        return self._driver

    def _drop_driver(self) -> None:
        self._driver = None
        if self._inflater is not None and not self._inflater.has_context:
            self._inflater = None

    def _report(self, event: Event, events: list[Event]) -> None:
        """Hand an event of wsproto on, and answer it where the protocol does."""
        events.append(event)
        if isinstance(event, Ping):
            if self.state is State.OPEN:
                self.output.append(self._encode(PONG, event.payload))
        elif isinstance(event, CloseReceived):
            if self.state is State.OPEN:
                # Section 5.5.1: "it typically echos the status code it received".
                self.output.append(self._encode(CLOSE, close_payload(event.code, "")))
            self._end(State.CLOSED, event.code, event.reason)

    def _fail(self, error: ProtocolError, events: list[Event]) -> None:
        """_Fail the WebSocket Connection_ (RFC 6455 section 7.1.7)."""
        events.append(Failed(error.close_code, error.reason))
        frame = self.fail(error.close_code, error.reason)
        if frame:
            self.output.append(frame)

    def _end(self, state: State, code: int, reason: str) -> None:
        """Take nothing more from the peer, and keep nothing of it."""
        self.state = state
        if self.close_code is None:
            self.close_code = code
            self.close_reason = reason
        self._take = drop_everything
        self._driver = None
        self._inflater = None
        self._pending = None

    # Sending

    def send_text(self, payload: bytes) -> bytes:
        """The frame of a text message; ``payload`` is its UTF-8.

        Raises:
            ConnectionClosed: no message can be sent any more.
        """
        if self._mask_key is None:
            self._require_open()
            return self.wrap(encode_text(payload))
        return self._encode_client_message(TEXT, payload)

    def send_binary(self, payload: bytes) -> bytes:
        """The frame of a binary message.

        Raises:
            ConnectionClosed: no message can be sent any more.
        """
        if self._mask_key is None:
            self._require_open()
            return self.wrap(encode_binary(payload))
        return self._encode_client_message(BINARY, payload)

    def wrap(self, frame: bytes) -> bytes:
        """What a server writes for ``frame``, made by ``encode_text`` or ``encode_binary``.

        The same object where nothing is to be compressed; otherwise the compressed frame, which is
        made once for all connections that agreed upon the same compression.
        """
        deflate = self._deflate
        if deflate is None or len(frame) < deflate.min_bytes:
            return frame
        return deflate.compress_frame(frame)

    def ping(self, payload: bytes = b"") -> bytes:
        """A ping frame with at most 125 bytes of payload.

        Raises:
            ConnectionClosed: no frame can be sent any more.
            ValueError: the payload is too long.
        """
        self._require_open()
        if len(payload) > MAX_CONTROL_PAYLOAD_BYTES:
            raise ValueError("the payload of a ping has at most 125 bytes")
        return self._encode(PING, payload)

    def close(self, code: int = 1000, reason: str = "") -> bytes:
        """A close frame that starts the close handshake; empty when it has begun or ended.

        Args:
            code: 1000-1003, 1007-1014 or 3000-4999.
            reason: cut at 123 bytes of UTF-8, between two characters.

        Raises:
            ValueError: ``code`` must not be sent.
        """
        if not is_sendable(code):
            raise ValueError(f"close code {code} must not be sent")
        if self.state is not State.OPEN:
            return b""
        self.state = State.CLOSING
        self.close_code = code
        self.close_reason = reason
        return self._encode(CLOSE, close_payload(code, reason))

    def fail(self, code: int, reason: str) -> bytes:
        """Give the connection up, as for a protocol error.

        Returns:
            The close frame to write before the stream is closed; empty when one was sent.
        """
        if self.state in (State.CLOSED, State.FAILED):
            return b""
        was_open = self.state is State.OPEN
        self._end(State.FAILED, code, reason)
        return self._encode(CLOSE, close_payload(code, reason)) if was_open else b""

    def _require_open(self) -> None:
        if self.state is not State.OPEN:
            raise ConnectionClosed(self.close_code, self.close_reason)

    def _encode(self, opcode: int, payload: bytes, rsv1: bool = False) -> bytes:
        mask = None if self._mask_key is None else self._mask_key()
        return encode_frame(opcode, payload, mask=mask, rsv1=rsv1)

    def _encode_client_message(self, opcode: int, payload: bytes) -> bytes:
        self._require_open()
        deflate = self._deflate
        if deflate is not None and len(payload) >= deflate.min_bytes:
            compressed = deflate.compress(payload)
            if compressed is not None:
                return self._encode(opcode, compressed, rsv1=True)
        return self._encode(opcode, payload)
