"""Lets only pages of allowed origins connect.

A browser opens a WebSocket to any server for any page, with the cookies that belong to that
server, and asks nobody (RFC 6455 section 10.2). It does tell where the page is from, in the
``Origin`` header, and a page cannot change that. A client that is no browser sends whatever it
likes: this check protects the users of browsers, it does not authenticate anybody.
"""

from __future__ import annotations

import logging

import msgspec

from wsframe import Request, RequestRefused, hookimpl

from .origins import Origin, parse_host, parse_origin, parse_pattern

__all__ = ["OriginPlugin"]

log = logging.getLogger("wsframe.plugins.origin")


class OriginPlugin:
    """Refuses upgrade requests of other origins with 403 ``forbidden``."""

    class Config(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
        """``[plugins.origin]``."""

        allow: tuple[str, ...] = ("same-origin",)
        """Who may connect: ``same-origin``; an origin such as ``https://chat.example`` or
        ``http://localhost:5173``; all subdomains, ``https://*.chat.example``; ``null`` for pages
        without an origin (sandboxed frames, local files)."""
        allow_missing: bool = True
        """Let clients connect that send no ``Origin``; browsers always send one."""

        def __post_init__(self) -> None:
            for entry in self.allow:
                parse_pattern(entry)

    def __init__(self, config: Config) -> None:
        self._allow_missing = config.allow_missing
        self._allow_same = "same-origin" in config.allow
        self._allow_null = "null" in config.allow
        patterns = [parse_pattern(entry) for entry in config.allow]
        self._patterns = [pattern for pattern in patterns if pattern is not None]

    @hookimpl(tryfirst=True)
    async def connection_opening(self, request: Request) -> None:
        """Pass a request whose origin is allowed; refuse any other with 403."""
        if not self._is_allowed(request):
            shown = ascii(", ".join(request.headers_all("origin"))[:200])
            log.warning(
                "refused a connection from %s: origin %s is not in [plugins.origin] allow",
                request.address or "an unknown address",
                shown,
            )
            raise RequestRefused(403, "forbidden", "Pages of this origin may not connect.")

    def _is_allowed(self, request: Request) -> bool:
        values = request.headers_all("origin")
        if not values:
            return self._allow_missing
        if len(values) > 1:  # which one would count is anybody's guess
            return False
        if values[0] == "null":
            return self._allow_null
        origin = parse_origin(values[0])
        if origin is None:
            return False
        if any(pattern.matches(origin) for pattern in self._patterns):
            return True
        return self._allow_same and _is_same(origin, request)


def _is_same(origin: Origin, request: Request) -> bool:
    """Is the page from the very host and port that the request went to?

    A server that does not speak TLS itself may stand behind a proxy that does, so there ``https``
    is as good as ``http``; a server that does accepts ``https`` pages only.
    """
    if origin.scheme != "https" and (origin.scheme != "http" or request.secure):
        return False
    hosts = request.headers_all("host")
    return len(hosts) == 1 and parse_host(hosts[0], origin.scheme) == (origin.host, origin.port)
