"""Bounded inflation: what permessage-deflate does to received frames (RFC 7692 section 7.2.2).

An extension for wsproto. It differs from wsproto's own in what an attacker or a strict peer sees:

- a message that inflates to more than the limit costs no more than the limit, and fails with 1009;
- control frames between the frames of a compressed message leave its state alone;
- a DEFLATE stream may end (BFINAL) in the middle of a message. A sender that ends a stream has no
  window left to refer to, so the next block begins with an empty one. Ending streams for ever is
  not reading a message: after :data:`MAX_STREAMS` the connection fails with 1008;
- zlib's memory is taken with the first compressed message, and given back after each one when the
  peer promised not to refer to earlier messages.
"""

from __future__ import annotations

import zlib
from typing import Final

from wsproto.extensions import Extension
from wsproto.frame_protocol import CloseReason, FrameDecoder, FrameProtocol, Opcode, RsvBits

MAX_STREAMS: Final = 1000
"""DEFLATE streams in one message."""

_FLUSH_TAIL: Final = b"\x00\x00\xff\xff"
_COMPRESSIBLE: Final = RsvBits(True, False, False)


class Inflater(Extension):
    """Inflates the messages of one connection.

    Args:
        window_bits: of the peer's compressor, 8-15.
        takeover: may the peer refer to earlier messages?
        max_message_bytes: of one inflated message.
    """

    name = "permessage-deflate"

    def __init__(self, window_bits: int, takeover: bool, max_message_bytes: int) -> None:
        self._window_bits = window_bits
        self._takeover = takeover
        self._max_message_bytes = max_message_bytes
        self._zlib: zlib._Decompress | None = None
        self._in_control_frame = False
        self._in_message = False
        self._compressed = False
        """Is the message at hand compressed?"""
        self._inflated_bytes = 0
        self._streams = 0
        self._in_stream = False
        """Did the present stream take any byte of this message?"""

    @property
    def has_context(self) -> bool:
        """Must this very object inflate the next message?"""
        return self._zlib is not None

    def enabled(self) -> bool:
        """It is made only where permessage-deflate is agreed upon."""
        return True

    def offer(self) -> bool | str:
        """Offers are not made by wsproto; see :mod:`wsframe.protocol.deflate`."""
        return False

    def frame_inbound_header(
        self,
        proto: FrameDecoder | FrameProtocol,  # noqa: ARG002  # wsproto's signature
        opcode: Opcode,
        rsv: RsvBits,
        payload_length: int,  # noqa: ARG002
    ) -> CloseReason | RsvBits:
        """RSV1 belongs on the first frame of a message, and nowhere else (RFC 7692 section 6).

        Called again for the same frame as long as its masking key is incomplete.
        """
        self._in_control_frame = opcode.iscontrol()
        if self._in_control_frame or opcode is Opcode.CONTINUATION:
            return RsvBits(False, False, False)
        # A message within a message is wsproto's to refuse, whatever it carries.
        self._compressed = rsv.rsv1 and not self._in_message
        self._inflated_bytes = 0
        self._streams = 0
        self._in_stream = False
        return _COMPRESSIBLE

    def frame_inbound_payload_data(
        self,
        proto: FrameDecoder | FrameProtocol,  # noqa: ARG002
        data: bytes,
    ) -> bytes | CloseReason:
        """Inflate a piece of a frame."""
        if self._in_control_frame or not self._compressed or not data:
            return data
        return self._inflate(data)

    def frame_inbound_complete(
        self,
        proto: FrameDecoder | FrameProtocol,  # noqa: ARG002
        fin: bool,
    ) -> bytes | CloseReason | None:
        """Give back the tail that the sender left off the end of the message."""
        if self._in_control_frame:
            return None
        self._in_message = not fin
        if not self._compressed or not fin:
            return None
        self._compressed = False
        streams = self._streams
        rest = self._inflate(_FLUSH_TAIL) if self._in_stream else b""
        if not self._takeover or self._streams != streams:
            self._zlib = None
        return rest

    def _inflate(self, data: bytes) -> bytes | CloseReason:
        pieces = []
        while data:
            stream = self._zlib
            if stream is None:
                self._streams += 1
                if self._streams > MAX_STREAMS:
                    return CloseReason.POLICY_VIOLATION
                stream = self._zlib = zlib.decompressobj(-self._window_bits)
            try:
                # One byte more than allowed tells "at the limit" from "over it".
                piece = stream.decompress(data, self._max_message_bytes - self._inflated_bytes + 1)
            except zlib.error:
                return CloseReason.INVALID_FRAME_PAYLOAD_DATA
            self._inflated_bytes += len(piece)
            if self._inflated_bytes > self._max_message_bytes:
                return CloseReason.MESSAGE_TOO_BIG
            pieces.append(piece)
            self._in_stream = not stream.eof
            data = stream.unused_data
            if stream.eof:
                self._zlib = None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
