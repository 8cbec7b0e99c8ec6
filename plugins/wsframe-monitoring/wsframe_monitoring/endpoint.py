"""Who may read the numbers, and in which form he gets them.

They tell how many people are here and what they do, so by default only this machine may. Behind a
proxy on the same machine everybody seems to be on it; what a proxy hands on is therefore recognised
by its headers, and refused like an address that is not allowed.
"""

from __future__ import annotations

import hmac
import ipaddress
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from wsframe import Request, RequestRefused, Response

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
TEXT: Final = "text/plain; version=0.0.4; charset=utf-8"
NOT_STORED: Final = (("cache-control", "no-store"),)
_FORWARDED: Final = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


class Access:
    """Decides who may read.

    Args:
        allow: addresses and networks; None: this machine without a token, anybody with it.
        token: what must be sent as ``Authorization: Bearer``; None: nothing.
    """

    def __init__(self, allow: tuple[str, ...] | None, token: str | None) -> None:
        if allow is None and token is None:
            allow = LOOPBACK
        self._networks = None if allow is None else [ipaddress.ip_network(each) for each in allow]
        self._token = None if token is None else token.encode()

    def check(self, request: Request) -> None:
        """Let a request pass.

        Raises:
            RequestRefused: 403 for its address, 401 for its token.
        """
        if self._networks is not None and not self._is_near(request):
            raise RequestRefused(403, "forbidden", "Not from this address.")
        if self._token is not None and not self._has_token(request):
            raise RequestRefused(
                401,
                "unauthenticated",
                "This needs a token.",
                headers=(("www-authenticate", "Bearer"),),
            )

    def _is_near(self, request: Request) -> bool:
        if any(request.header(name) is not None for name in _FORWARDED):
            return False
        try:
            address = ipaddress.ip_address(request.address)
        except ValueError:  # a Unix socket has none
            return False
        mapped = getattr(address, "ipv4_mapped", None)
        return any((mapped or address) in network for network in self._networks or ())

    def _has_token(self, request: Request) -> bool:
        scheme, _, sent = (request.header("authorization") or "").partition(" ")
        assert self._token is not None
        return scheme.lower() == "bearer" and hmac.compare_digest(
            sent.strip().encode(), self._token
        )


class MetricsEndpoint:
    """Answers Prometheus.

    Args:
        registry: what is told.
        access: who may ask.
    """

    def __init__(self, registry: CollectorRegistry, access: Access) -> None:
        self._registry = registry
        self._access = access

    async def __call__(self, request: Request) -> Response:
        """Answer a request.

        Raises:
            RequestRefused: whoever asks may not.
        """
        self._access.check(request)
        if "application/openmetrics-text" in (request.header("accept") or ""):
            body, content_type = (
                openmetrics.generate_latest(self._registry),  # type: ignore[no-untyped-call]
                openmetrics.CONTENT_TYPE_LATEST,
            )
        else:
            body, content_type = generate_latest(self._registry), TEXT
        return Response(200, body, content_type=content_type, headers=NOT_STORED)
