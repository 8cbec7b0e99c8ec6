"""The general way: wsproto takes the frames that are not simple, one at a time.

The caller cuts the stream into frames and never feeds bytes of two frames at once, so it always
knows where wsproto stands. Between two messages wsproto holds nothing, and a :class:`Driver` can be
thrown away. What wsproto lacks is here:

- a parse error is raised, and cannot be mistaken for a close frame from the peer;
- the size of a message is limited before its payload arrives, and so is the number of its frames;
- fragments go into one buffer as they arrive, not into one event each;
- close code 1014, which is valid and unknown to wsproto.
"""

from __future__ import annotations

from io import BytesIO, StringIO
from typing import Any, Final, cast

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Message, TextMessage
from wsproto.events import Ping as WsprotoPing
from wsproto.events import Pong as WsprotoPong

from ..errors import ProtocolError
from .closing import BAD_GATEWAY, INVALID_PAYLOAD, POLICY_VIOLATION, TOO_BIG
from .events import CloseReceived, Event, Ping, Pong
from .frames import (
    CLOSE,
    CONTINUATION,
    FIN,
    MAX_CONTROL_PAYLOAD_BYTES,
    RSV1,
    Header,
    encode_frame,
    take_fragments,
)
from .inflater import Inflater
from .masking import apply_mask

_BAD_GATEWAY: Final = (1014).to_bytes(2, "big")
_SERVICE_RESTART: Final = (1012).to_bytes(2, "big")
_NO_MASK: Final = bytes(4)
_REASONS: Final = {
    INVALID_PAYLOAD: "the payload is not valid UTF-8, or not valid compressed data",
    TOO_BIG: "the message is larger than the limit",
    POLICY_VIOLATION: "too many compressed streams in one message",
}
"""Said instead of wsproto's own words, which depend on how the payload was cut."""


class Driver:
    """Takes the frames of one message, and control frames, through wsproto.

    Args:
        is_client: are we the client?
        inflater: None when permessage-deflate was not negotiated.
        max_message_bytes: of a whole message, before and after inflation.
        max_fragments: frames of one message.
    """

    __slots__ = (
        "_connection",
        "_fragments",
        "_in_message",
        "_inflater",
        "_is_client",
        "_limit_bytes",
        "_max_fragments",
        "_max_message_bytes",
        "_message_bytes",
        "_parts",
        "frame_bytes_due",
    )

    def __init__(
        self,
        is_client: bool,
        inflater: Inflater | None,
        max_message_bytes: int,
        max_fragments: int,
    ) -> None:
        self._is_client = is_client
        self._inflater = inflater
        self._max_message_bytes = max_message_bytes
        self._max_fragments = max_fragments
        self._connection = Connection(
            ConnectionType.CLIENT if is_client else ConnectionType.SERVER,
            [] if inflater is None else [inflater],
        )
        self._limit_bytes = max_message_bytes
        self._fragments = 0
        self._message_bytes = 0
        self._in_message = False
        self._parts: Any = None
        """A StringIO or BytesIO with what has come of the message at hand."""
        self.frame_bytes_due = 0
        """Bytes of the present frame that were not fed yet."""

    @property
    def is_idle(self) -> bool:
        """Is nothing begun that this driver must complete?"""
        return not self.frame_bytes_due and not self._in_message

    def begin_frame(self, header: Header, data: bytes | bytearray) -> Event | None:
        """A frame begins.

        Args:
            header: of the frame.
            data: as much of the frame as has arrived; all of it for a close frame.

        Returns:
            What the frame completes, if anything.

        Raises:
            ProtocolError: the peer broke the protocol or a limit.
        """
        first, header_bytes, payload_bytes, _ = header
        self.frame_bytes_due = header_bytes + payload_bytes
        opcode = first & 0x0F
        if first == FIN | CLOSE and payload_bytes <= MAX_CONTROL_PAYLOAD_BYTES:
            return self._feed_close(data, header)
        if opcode < CLOSE:
            if not self._in_message:
                self._limit_bytes = self._max_message_bytes
                if first & RSV1 and self._inflater is not None:
                    # What cannot be compressed grows a little: zlib's deflateBound().
                    self._limit_bytes += (self._limit_bytes >> 3) + (self._limit_bytes >> 6) + 64
                self._fragments = 0
                self._message_bytes = 0
            self._in_message = not first & FIN
            self._fragments += 1
            self._message_bytes += payload_bytes
            if self._message_bytes > self._limit_bytes or self._fragments > self._max_fragments:
                self.feed(data[:header_bytes])  # another error in the header goes first
                raise ProtocolError(TOO_BIG, _REASONS[TOO_BIG])
        return self.feed(data)

    def take_fragments(self, data: bytes | bytearray, position: int) -> int:
        """Take short fragments of the present message from ``position`` on, all in one.

        wsproto needs as long for a fragment of one byte as for one of a thousand, so that it is
        shown one fragment with the payloads of many. Returns where the rest begins.

        Raises:
            ProtocolError: the peer broke the protocol.
        """
        payload = bytearray()
        end, taken = take_fragments(
            data,
            position,
            self._max_fragments - self._fragments,
            self._limit_bytes - self._message_bytes,
            payload,
            is_masked=not self._is_client,
        )
        if taken:
            self._fragments += taken
            self._message_bytes += len(payload)
            mask = None if self._is_client else _NO_MASK
            frame = encode_frame(CONTINUATION, bytes(payload), mask=mask, fin=False)
            self.frame_bytes_due = len(frame)
            self.feed(frame)
        return end

    def feed(self, data: bytes | bytearray) -> Event | None:
        """Take bytes of the present frame.

        Returns:
            What the frame completes, if anything.

        Raises:
            ProtocolError: the peer broke the protocol.
        """
        self.frame_bytes_due -= len(data)
        connection = self._connection
        connection.receive_data(bytes(data))
        # Bytes of one frame are one event at most; wsproto need not look for a second one.
        event = next(connection.events(), None)
        if event is None:
            return None
        if isinstance(event, Message):
            return self._assemble(event)
        if isinstance(event, CloseConnection):
            # wsproto tells of its own failures in the same way, but stays open.
            code = int(event.code)
            if connection.state is ConnectionState.OPEN:
                raise ProtocolError(code, _REASONS.get(code) or event.reason or "")
            return CloseReceived(code, event.reason or "")
        if isinstance(event, WsprotoPing):
            return Ping(bytes(event.payload))
        assert isinstance(event, WsprotoPong)
        return Pong(bytes(event.payload))

    def _assemble(self, piece: Message[Any]) -> str | bytes | None:
        """Put a piece to the others of its message; returns the message when it is complete."""
        parts = self._parts
        if parts is None:
            if piece.message_finished:
                return cast("str | bytes", piece.data)
            parts = self._parts = StringIO() if isinstance(piece, TextMessage) else BytesIO()
        parts.write(piece.data)
        if not piece.message_finished:
            return None
        self._parts = None
        return cast("str | bytes", parts.getvalue())

    def _feed_close(self, frame: bytes | bytearray, header: Header) -> Event | None:
        """Take a close frame. wsproto does not know code 1014: it is shown 1012 in its place."""
        header_bytes = header.header_bytes
        key = frame[header_bytes - 4 : header_bytes] if header.is_masked else _NO_MASK
        code_end = header_bytes + 2
        if apply_mask(frame[header_bytes:code_end], key) != _BAD_GATEWAY:
            return self.feed(frame)
        event = self.feed(
            frame[:header_bytes] + apply_mask(_SERVICE_RESTART, key) + frame[code_end:]
        )
        assert isinstance(event, CloseReceived)
        return CloseReceived(BAD_GATEWAY, event.reason)
