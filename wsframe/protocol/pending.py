"""The beginning of a frame that is better taken whole than piece by piece.

It is kept in one buffer that grows with what arrives, never with what the header promises. A text
is checked as it grows, so that bad UTF-8 doesn't go unnoticed until the frame is complete.
"""

from __future__ import annotations

from codecs import IncrementalDecoder, getincrementaldecoder

from .frames import FIN, TEXT, Header
from .masking import apply_mask

_make_decoder = getincrementaldecoder("utf-8")


class PendingFrame:
    """What has arrived of one frame.

    Args:
        data: the first bytes.
        header: None when not even the header is complete.
    """

    __slots__ = (
        "_checked_bytes",
        "_decoder",
        "_expected_bytes",
        "_header_bytes",
        "_key",
        "data",
        "is_bad",
    )

    def __init__(self, data: bytes | bytearray, header: Header | None) -> None:
        self.data = bytearray(data)
        self.is_bad = False
        """Is it known that this frame breaks a rule?"""
        self._key = b""
        self._header_bytes = 0
        self._decoder: IncrementalDecoder | None = None
        self._checked_bytes = self._expected_bytes = 0
        if header is not None:
            first, header_bytes, payload_bytes, is_masked = header
            self._expected_bytes = header_bytes
            if len(data) >= header_bytes:
                self._expected_bytes += payload_bytes
                if first == FIN | TEXT:
                    self._decoder = _make_decoder()
                    self._checked_bytes = self._header_bytes = header_bytes
                    if is_masked:
                        self._key = bytes(data[header_bytes - 4 : header_bytes])

    def add(self, data: bytes) -> bool:
        """More has arrived. Returns whether :attr:`data` should be looked at now."""
        pending = self.data
        pending += data
        if len(pending) >= self._expected_bytes:
            return True
        if self._decoder is not None:
            self._check(self._decoder)
        return self.is_bad

    def _check(self, decoder: IncrementalDecoder) -> None:
        pending, start = self.data, self._checked_bytes
        self._checked_bytes = len(pending)
        piece = bytes(pending[start:])
        if self._key:
            turn = (start - self._header_bytes) & 3
            piece = apply_mask(piece, self._key[turn:] + self._key[:turn])
        try:
            decoder.decode(piece)
        except UnicodeDecodeError:
            self.is_bad = True
