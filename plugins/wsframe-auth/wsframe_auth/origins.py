"""Pages whose cookies count.

A browser sends cookies for any page that asks, so a cookie says nothing about who wanted the
connection; the ``Origin`` header does (RFC 6454). Origins are compared whole, never by a part.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from wsframe import Request

_ORIGIN = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?")
_PORTS = {"http": "80", "https": "443"}


def _normal(text: str) -> str | None:
    """An origin with its port; None: it is none."""
    match = _ORIGIN.fullmatch(text.lower())
    if match is None:
        return None
    scheme, host, port = match.groups()
    return f"{scheme}://{host}:{port or _PORTS[scheme]}"


def check_allowed(entry: str) -> None:
    """See that an entry of ``cookie_origins`` is one.

    Raises:
        ValueError: it is not.
    """
    if entry != "same-origin" and _normal(entry) is None:
        raise ValueError(
            f"cookie_origins: {entry!r} is not an origin; write 'same-origin', or scheme://host or "
            "scheme://host:port, nothing behind it"
        )


def is_allowed(request: Request, allowed: Iterable[str]) -> bool:
    """Is the request from a page of one of these origins? Without one ``Origin`` it is not."""
    values = request.headers_all("origin")
    origin = _normal(values[0]) if len(values) == 1 else None
    if origin is None:
        return False
    return any(
        origin in _own(request) if entry == "same-origin" else origin == _normal(entry)
        for entry in allowed
    )


def _own(request: Request) -> set[str | None]:
    """The origins of the server's own pages; without TLS here, a proxy may speak it."""
    hosts = request.headers_all("host")
    if len(hosts) != 1:
        return set()
    schemes = ("https",) if request.secure else ("https", "http")
    return {_normal(f"{scheme}://{hosts[0]}") for scheme in schemes} - {None}
