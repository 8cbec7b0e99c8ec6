"""permessage-deflate (RFC 7692): what two ends agree upon, and the outgoing half.

Every message that leaves is compressed on its own, without reference to earlier ones. That is
legal whatever was agreed upon (the peer may keep its window, and never needs it), costs no memory
between messages, and lets one compressed frame serve every receiver of a broadcast.

Offers are parsed here, strictly: what does not follow the grammar is declined, and the connection
goes on without compression. The incoming half is :mod:`wsframe.protocol.inflater`.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Sequence
from typing import Final

from ..config import Config
from ..errors import ProtocolError
from .extension_header import ExtensionHeaderError, parse_extensions
from .frames import encode_frame, payload_of
from .inflater import Inflater

NAME: Final = "permessage-deflate"
_MEMO_BYTES: Final = 4 * 1024 * 1024
_MANDATORY_EXTENSION: Final = 1010
_WINDOW_BITS: Final = {str(bits): bits for bits in range(8, 16)}
"""No leading zeros, no signs (RFC 7692 section 7.1.2)."""


class DeflateSettings:
    """One side's settings; shared by all its connections.

    Args:
        min_bytes: smaller messages are sent uncompressed.
        level: zlib level, 0-9.
        memory_level: zlib memory level, 1-9.
        window_bits: largest window accepted and used, 9-15.
        takeover: may the peer refer to earlier messages?
    """

    __slots__ = ("_agreed", "level", "memory_level", "min_bytes", "takeover", "window_bits")

    def __init__(
        self,
        *,
        min_bytes: int = 1024,
        level: int = 1,
        memory_level: int = 8,
        window_bits: int = 15,
        takeover: bool = False,
    ) -> None:
        self.min_bytes = min_bytes
        self.level = level
        self.memory_level = memory_level
        self.window_bits = window_bits
        self.takeover = takeover
        self._agreed: dict[tuple[int, int, bool], Deflate] = {}

    @classmethod
    def from_config(cls, config: Config) -> DeflateSettings | None:
        """The settings of ``config``; None when compression is off."""
        if not config.compression:
            return None
        return cls(
            min_bytes=config.compression_min_bytes,
            level=config.compression_level,
            memory_level=config.compression_memory_level,
            window_bits=config.compression_window_bits,
            takeover=config.compression_context_takeover,
        )

    def agreed(self, own_window_bits: int, peer_window_bits: int, takeover: bool) -> Deflate:
        """The one :class:`Deflate` of all connections that agreed upon the same."""
        key = (own_window_bits, peer_window_bits, takeover)
        deflate = self._agreed.get(key)
        if deflate is None:
            deflate = self._agreed[key] = Deflate(self, *key)
        return deflate


class Deflate:
    """What two ends agreed upon. It holds no state of a connection, and many share it."""

    __slots__ = (
        "_memo",
        "_memo_bytes",
        "_settings",
        "min_bytes",
        "own_window_bits",
        "peer_takeover",
        "peer_window_bits",
    )

    def __init__(
        self,
        settings: DeflateSettings,
        own_window_bits: int,
        peer_window_bits: int,
        peer_takeover: bool,
    ) -> None:
        self._settings = settings
        self.own_window_bits = own_window_bits
        self.peer_window_bits = peer_window_bits
        self.peer_takeover = peer_takeover
        # zlib cannot compress raw DEFLATE with a window of 8 bits: then nothing is compressed.
        self.min_bytes = settings.min_bytes if own_window_bits > 8 else sys.maxsize
        self._memo: dict[bytes, bytes] = {}
        self._memo_bytes = 0

    def make_inflater(self, max_message_bytes: int) -> Inflater:
        """An inflater for one connection."""
        return Inflater(self.peer_window_bits, self.peer_takeover, max_message_bytes)

    def compress(self, payload: bytes) -> bytes | None:
        """``payload`` compressed; None when that would not make it smaller."""
        settings = self._settings
        compressor = zlib.compressobj(
            settings.level, zlib.DEFLATED, -self.own_window_bits, settings.memory_level
        )
        compressed = compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH)
        # Z_SYNC_FLUSH ends with 00 00 FF FF, which the receiver adds again.
        return compressed[:-4] if len(compressed) - 4 < len(payload) else None

    def compress_frame(self, frame: bytes) -> bytes:
        """A server's uncompressed frame as it is sent where this was agreed upon.

        The frames of the last messages are remembered, so that a broadcast is compressed once.
        """
        known = self._memo.get(frame)
        if known is not None:
            return known
        payload = payload_of(frame)
        compressed = self.compress(payload) if len(payload) >= self.min_bytes else None
        result = (
            frame if compressed is None else encode_frame(frame[0] & 0x0F, compressed, rsv1=True)
        )
        self._memo_bytes += len(frame) + len(result)
        if self._memo_bytes > _MEMO_BYTES:
            self._memo.clear()
            self._memo_bytes = len(frame) + len(result)
        self._memo[frame] = result
        return result


def negotiate(offers: Sequence[str], settings: DeflateSettings) -> tuple[Deflate, str] | None:
    """Answer a client's ``Sec-WebSocket-Extensions`` (RFC 7692 section 5.1).

    Args:
        offers: the values of these headers, in order.
        settings: the server's.

    Returns:
        What is agreed upon, and the value of the response header; None when nothing acceptable is
        offered, also when the headers are malformed.
    """
    try:
        extensions = parse_extensions(offers)
    except ExtensionHeaderError:
        return None
    for name, parameters in extensions:
        if name == NAME:
            answer = _answer_offer(parameters, settings)
            if answer is not None:
                return answer
    return None


def _answer_offer(
    parameters: Sequence[tuple[str, str | None]], settings: DeflateSettings
) -> tuple[Deflate, str] | None:
    given = dict(parameters)
    if len(given) != len(parameters):
        return None
    takeover = settings.takeover
    own_bits = peer_bits = settings.window_bits
    # The client may always drop its window between our messages: we never refer to earlier ones.
    response = [NAME, "server_no_context_takeover"]
    for name, value in parameters:
        if name == "server_no_context_takeover" and value is None:
            pass
        elif name == "client_no_context_takeover" and value is None:
            takeover = False
        elif name == "server_max_window_bits" and value in _WINDOW_BITS:
            own_bits = min(own_bits, _WINDOW_BITS[value])
            response.append(f"server_max_window_bits={own_bits}")
        elif name == "client_max_window_bits" and (value is None or value in _WINDOW_BITS):
            peer_bits = min(peer_bits, _WINDOW_BITS[value or "15"])
            response.append(f"client_max_window_bits={peer_bits}")
        else:
            return None
    if own_bits < 9:
        return None  # zlib cannot compress raw DEFLATE with such a window
    if "client_max_window_bits" not in given and settings.window_bits < 15:
        return None  # the client could not be told to keep to our limit (section 7.1.2.2)
    if not takeover:
        response.append("client_no_context_takeover")
    return settings.agreed(own_bits, peer_bits, takeover), "; ".join(response)


def offer(settings: DeflateSettings) -> str:
    """A client's ``Sec-WebSocket-Extensions``."""
    parameters = [NAME, "client_max_window_bits"]
    if not settings.takeover:
        parameters.append("server_no_context_takeover")
    if settings.window_bits < 15:
        parameters.append(f"server_max_window_bits={settings.window_bits}")
    return "; ".join(parameters)


def accept_response(header: str, settings: DeflateSettings) -> Deflate:
    """Check the server's answer to :func:`offer` (RFC 7692 section 7.1).

    Raises:
        ProtocolError: malformed, another extension, or not what was offered; the client must fail
            the connection.
    """
    try:
        extensions = parse_extensions([header])
    except ExtensionHeaderError as error:
        raise ProtocolError(_MANDATORY_EXTENSION, f"extensions: {error}") from None
    if len(extensions) != 1 or extensions[0][0] != NAME:
        raise ProtocolError(_MANDATORY_EXTENSION, "the server chose extensions not offered")
    parameters = extensions[0][1]
    given = dict(parameters)
    if len(given) != len(parameters):
        raise ProtocolError(_MANDATORY_EXTENSION, f"{NAME}: a parameter is given twice")
    own_bits, peer_bits, takeover = settings.window_bits, 15, True
    for name, value in parameters:
        if name == "server_no_context_takeover" and value is None:
            takeover = False
        elif name == "client_no_context_takeover" and value is None:
            pass
        elif name == "server_max_window_bits" and value in _WINDOW_BITS:
            peer_bits = _WINDOW_BITS[value]
        elif name == "client_max_window_bits" and value in _WINDOW_BITS:
            own_bits = min(own_bits, _WINDOW_BITS[value])
        else:
            raise ProtocolError(_MANDATORY_EXTENSION, f"{NAME}: {name}={value} is not allowed")
    if peer_bits > settings.window_bits or (takeover and not settings.takeover):
        raise ProtocolError(_MANDATORY_EXTENSION, f"{NAME}: the server ignores what was asked for")
    return settings.agreed(own_bits, peer_bits, takeover)
