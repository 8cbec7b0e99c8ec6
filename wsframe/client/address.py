"""Where a server is: what a URL says, checked."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import urlsplit

_PORTS: Final = {"ws": 80, "wss": 443}


class Address(NamedTuple):
    """A WebSocket URL in parts (RFC 6455 section 3)."""

    secure: bool
    host: str
    port: int
    authority: str
    """Host, and port where it is not the default one: the ``Host`` header."""
    target: str
    """Path and query."""


def parse(url: str) -> Address:
    """Take a URL like ``ws://127.0.0.1:3001/ws`` apart.

    Raises:
        ValueError: it is none that a client can connect to; the message says why.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    if scheme not in _PORTS:
        raise ValueError(f"{url!r}: a WebSocket URL begins with ws:// or wss://")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a URL must not contain a user or a password: use token=")
    if parts.fragment:
        raise ValueError(f"{url!r}: a WebSocket URL has no fragment (#)")
    host = parts.hostname
    if not host:
        raise ValueError(f"{url!r}: the host is missing")
    try:
        host = host.encode("idna").decode("ascii") if not host.isascii() else host
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{url!r}: {error}") from None
    default = _PORTS[scheme]
    shown = f"[{host}]" if ":" in host else host
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.isascii() or any(c <= " " or c == "\x7f" for c in target):
        raise ValueError(f"{url!r}: path and query must be percent-encoded")
    return Address(
        scheme == "wss",
        host,
        default if port is None else port,
        shown if port in {None, default} else f"{shown}:{port}",
        target,
    )
