"""Origins as browsers write them (RFC 6454 section 6.2), and patterns for them.

Everything is compared by its parts, never as a piece of text: ``https://chat.example.evil.example``
begins with an allowed origin and is not one.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

WORDS: Final = frozenset({"same-origin", "null"})

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_LABEL: Final = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST: Final = rf"(?P<host>{_LABEL}(?:\.{_LABEL}){{0,126}}\.?|\[[0-9a-f:.]{{2,45}}\])"
_PORT: Final = r"(?::(?P<port>[1-9][0-9]{0,4}))?"
_SCHEME: Final = r"(?P<scheme>[a-z][a-z0-9+.-]{0,30})"

_ORIGIN: Final = re.compile(rf"{_SCHEME}://{_HOST}{_PORT}", re.ASCII)
_HOST_HEADER: Final = re.compile(rf"{_HOST}{_PORT}", re.ASCII)


class Origin(NamedTuple):
    """Scheme and host in lower case; the port is None for a scheme that has none."""

    scheme: str
    host: str
    port: int | None


class Pattern(NamedTuple):
    """One origin, or those of all subdomains of a host."""

    origin: Origin
    subdomains: bool

    def matches(self, origin: Origin) -> bool:
        """Is ``origin`` this one, or (with ``subdomains``) of a host below it?"""
        if not self.subdomains:
            return origin == self.origin
        scheme, host, port = self.origin
        same_way = (origin.scheme, origin.port) == (scheme, port)
        return same_way and origin.host.endswith("." + host)


def parse_origin(text: str) -> Origin | None:
    """Return what an ``Origin`` header says; None if it is not one origin.

    Letter case does not count in schemes and hosts; a final dot does: a browser keeps
    ``chat.example.`` and ``chat.example`` apart.
    """
    match = _ORIGIN.fullmatch(text.lower()) if text.isascii() else None
    if match is None:
        return None
    port = _port(match["port"], match["scheme"])
    return None if port == 0 else Origin(match["scheme"], match["host"], port)


def parse_host(text: str, scheme: str) -> tuple[str, int | None] | None:
    """Return host and port of a ``Host`` header; the default port is that of ``scheme``."""
    match = _HOST_HEADER.fullmatch(text.lower()) if text.isascii() else None
    if match is None:
        return None
    return match["host"], _port(match["port"], scheme)


def _port(text: str | None, scheme: str) -> int | None:
    """The port's number; 0 for one that cannot be."""
    if text is None:
        return DEFAULT_PORTS.get(scheme)
    return int(text) if int(text) <= 65_535 else 0


def parse_pattern(text: str) -> Pattern | None:
    """Read an entry of the setting ``allow``; None for its words, which are no origins.

    Raises:
        ValueError: it is no origin, or it would let in more than its writer can mean.
    """
    if text in WORDS:
        return None
    if text == "*":
        raise ValueError("allow: '*' allows every page; to do so, disable the plugin: -p no:origin")
    if not text.isascii():
        raise ValueError(f"allow: {text!r}: write the host as browsers send it (xn--…)")
    scheme, separator, rest = text.partition("://")
    subdomains = rest.startswith("*.")
    origin = parse_origin(scheme + separator + rest.removeprefix("*."))
    if origin is None:
        raise ValueError(
            f"allow: {text!r} is not an origin; write scheme://host or scheme://host:port, nothing "
            "behind it, like 'https://chat.example', 'https://*.chat.example' or 'same-origin'"
        )
    if subdomains and not _is_domain_of_two(origin.host):
        raise ValueError(
            f"allow: {text!r}: a wildcard needs a domain of at least two names behind it"
        )
    return Pattern(origin, subdomains)


def _is_domain_of_two(host: str) -> bool:
    *above, last = host.split(".")
    return bool(above) and bool(last) and not last.isdigit() and not host.startswith("[")
