"""What was agreed about permessage-deflate, as the server answered (RFC 7692 section 7.1)."""

from __future__ import annotations

import zlib
from typing import NamedTuple, Self

from tests.conformance.peer import TAIL, Inflater

PARAMETERS = frozenset(
    {
        "server_no_context_takeover",
        "client_no_context_takeover",
        "server_max_window_bits",
        "client_max_window_bits",
    }
)


def parameters(element: str) -> dict[str, str]:
    """The parameters of one extension; an empty string for one without a value."""
    name, *rest = (part.strip() for part in element.split(";"))
    assert name == "permessage-deflate", element
    found: dict[str, str] = {}
    for part in rest:
        key, _, value = (piece.strip() for piece in part.partition("="))
        assert key not in found, f"{key} twice"
        found[key] = value.strip('"')
    return found


class Negotiated(NamedTuple):
    """The agreement: how each side may compress."""

    answer: dict[str, str]

    @classmethod
    def of(cls, extensions: str) -> Self:
        """Reads the value of ``Sec-WebSocket-Extensions`` in the server's answer."""
        assert extensions, "the server declined the extension"
        assert "," not in extensions, "one extension at most was offered to be combined"
        answer = parameters(extensions)
        assert answer.keys() <= PARAMETERS
        for name in ("server_max_window_bits", "client_max_window_bits"):
            assert name not in answer or 8 <= int(answer[name]) <= 15
        for name in ("server_no_context_takeover", "client_no_context_takeover"):
            assert not answer.get(name)
        return cls(answer)

    @property
    def server_window_bits(self) -> int:
        return int(self.answer.get("server_max_window_bits", 15))

    @property
    def client_window_bits(self) -> int:
        return int(self.answer.get("client_max_window_bits", 15))

    @property
    def server_takeover(self) -> bool:
        return "server_no_context_takeover" not in self.answer

    @property
    def client_takeover(self) -> bool:
        return "client_no_context_takeover" not in self.answer

    def answers(self, offer: str) -> bool:
        """Is this a valid answer to ``offer``, one element of the client's list?"""
        name = offer.split(";", maxsplit=1)[0].strip()
        if name != "permessage-deflate":
            return False
        offered = parameters(offer)
        if not offered.keys() <= PARAMETERS:
            return False
        if "server_no_context_takeover" in offered and self.server_takeover:
            return False
        if "server_max_window_bits" in offered and (
            "server_max_window_bits" not in self.answer
            or self.server_window_bits > int(offered["server_max_window_bits"])
        ):
            return False
        if "client_max_window_bits" not in offered:
            return "client_max_window_bits" not in self.answer
        limit = offered["client_max_window_bits"]
        return not limit or self.client_window_bits <= int(limit)

    def inflater(self) -> Inflater:
        """Takes the server's messages apart."""
        return Inflater(self.server_window_bits, self.server_takeover)

    def deflater(self, *, level: int = 6, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> Deflater:
        """Compresses as a client may."""
        return Deflater(max(self.client_window_bits, 9), self.client_takeover, level, strategy)


class Deflater:
    """Compresses messages as a client does."""

    def __init__(self, window_bits: int, takeover: bool, level: int, strategy: int) -> None:
        self._settings = (level, zlib.DEFLATED, -window_bits, 8, strategy)
        self._takeover = takeover
        self._context = zlib.compressobj(*self._settings)

    def deflate(self, payload: bytes) -> bytes:
        """The payload of one compressed message (RFC 7692 section 7.2.1)."""
        if not self._takeover:
            self._context = zlib.compressobj(*self._settings)
        compressed = self._context.compress(payload) + self._context.flush(zlib.Z_SYNC_FLUSH)
        assert compressed.endswith(TAIL)
        return compressed[:-4]
