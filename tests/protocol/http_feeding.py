"""One stream of bytes, fed to a request parser in three ways."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from wsframe.errors import RequestRefused
from wsframe.protocol.http import Request, RequestParser

LIMIT = 16_384


@dataclass(frozen=True)
class Refusal:
    """How a request was refused."""

    status: int
    code: str


@dataclass(frozen=True)
class Reading:
    """What a parser made of a stream: a request, a refusal or nothing yet, and what is behind."""

    outcome: Request | Refusal | None
    trailing: bytes = b""


def feed(chunks: Iterable[bytes], limit: int = LIMIT) -> Reading:
    """Feed one parser with ``chunks``."""
    parser = RequestParser(limit, address="192.0.2.7")
    outcome: Request | Refusal | None = None
    for chunk in chunks:
        try:
            request = parser.receive_data(chunk)
        except RequestRefused as error:
            assert outcome is None, "refused after a request"
            outcome = Refusal(error.status, error.code)
        else:
            assert request is None or outcome is None, "two outcomes"
            outcome = outcome or request
    return Reading(outcome, parser.trailing)


def in_bytes(data: bytes) -> list[bytes]:
    """Cut ``data`` after every byte."""
    return [data[index : index + 1] for index in range(len(data))]


def read(data: bytes, limit: int = LIMIT) -> Request | Refusal | None:
    """Read ``data`` whole, byte by byte and with something behind it; all must agree."""
    whole = feed([data], limit)
    assert whole.trailing == b""
    assert feed(in_bytes(data), limit) == whole
    if whole.outcome is not None:
        behind = feed([data + b"\x81\x80"], limit)
        assert behind.outcome == whole.outcome
        assert behind.trailing == (b"\x81\x80" if isinstance(whole.outcome, Request) else b"")
    return whole.outcome


def head(*lines: str, start: str = "GET /ws HTTP/1.1", host: str | None = "chat.example") -> bytes:
    """Return the bytes of a head: the request line, ``Host``, and ``lines``."""
    hosts = [] if host is None else [f"Host: {host}"]
    return "".join(f"{line}\r\n" for line in (start, *hosts, *lines, "")).encode("latin-1")


UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)
"""The headers of a good handshake (RFC 6455 section 1.2)."""
