"""HTTP proxies: which one the environment names, and how to get through it.

A proxy is asked for a tunnel with CONNECT (RFC 9110 section 9.3.6), for ``ws://`` as for
``wss://``: a proxy that forwards plain HTTP does not know how to forward a WebSocket.
"""

from __future__ import annotations

import base64
from typing import Final, NamedTuple
from urllib.parse import unquote, urlsplit

import h11

from ..errors import ConnectError, ProtocolError, RequestRefused
from ..protocol.head import MAX_HEADERS, HeadReader, HeadTooLarge, fault_of
from .address import Address

MAX_HEAD_BYTES: Final = 16_384
_PORTS: Final = {"http": 80, "https": 443}
_HINT: Final = "Check HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, or pass proxy=None to use none."


class Proxy(NamedTuple):
    """An HTTP proxy."""

    secure: bool
    host: str
    port: int
    authorization: str | None
    """Value of ``Proxy-Authorization``."""


def from_environment(address: Address) -> str | None:
    """The URL of the proxy for ``address``; None: none.

    Looks at ``HTTP_PROXY`` for ``ws://``, ``HTTPS_PROXY`` for ``wss://``, ``ALL_PROXY`` for both,
    and ``NO_PROXY``; and at the settings of macOS and Windows.
    """
    from urllib.request import getproxies, proxy_bypass

    if proxy_bypass(f"{address.host}:{address.port}"):
        return None
    found = getproxies()
    return found.get("https" if address.secure else "http") or found.get("all")


def parse(url: str) -> Proxy:
    """Take the URL of a proxy apart.

    Raises:
        ConnectError: it is none that can be used.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port, host = parts.port, parts.hostname
    except ValueError:
        port, host = None, None
    if parts.scheme not in _PORTS or not host:
        # Not the URL: it may hold a password.
        kind = f"{parts.scheme}:// proxies are" if host else "its URL is"
        raise ConnectError(f"the proxy cannot be used: {kind} not supported", hint=_HINT)
    authorization = None
    if parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {base64.b64encode(user.encode()).decode()}"
    return Proxy(parts.scheme == "https", host, port or _PORTS[parts.scheme], authorization)


class Tunnel:
    """Asks a proxy for a tunnel, without I/O.

    Write :meth:`request`, then feed :meth:`receive_data` until it returns True or raises.

    Args:
        host: of the server behind the proxy.
        port: of the server.
        authorization: value of ``Proxy-Authorization``; None: none.
    """

    __slots__ = ("_head_bytes", "_parser", "_reader", "_request", "_rest")

    def __init__(self, host: str, port: int, authorization: str | None = None) -> None:
        target = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        headers = [("Host", target)]
        if authorization is not None:
            headers.append(("Proxy-Authorization", authorization))
        self._rest = b""
        self._head_bytes = 0
        self._reader = HeadReader(MAX_HEAD_BYTES)
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD_BYTES)
        request = h11.Request(method="CONNECT", target=target, headers=headers)
        self._request = self._parser.send(request) + self._parser.send(h11.EndOfMessage())

    def request(self) -> bytes:
        """Return the bytes that ask for the tunnel."""
        return self._request

    def receive_data(self, data: bytes) -> bool:
        """Take bytes from the proxy; returns whether the tunnel is there.

        Raises:
            RequestRefused: the proxy answered with another status than 2xx.
            ProtocolError: the answer is not HTTP, or there is something behind it.
        """
        while (head := self._next_head(data)) is not None:
            self._parser.receive_data(head)
            try:
                event = self._parser.next_event()
            except h11.RemoteProtocolError:
                raise _wrong("is not HTTP") from None
            data, self._rest = self._rest, b""
            if isinstance(event, h11.Response):
                return self._check(event, data)
        return False

    def _next_head(self, data: bytes) -> bytes | None:
        try:
            found = self._reader.receive_data(data)
        except HeadTooLarge:
            raise _wrong("is too large") from None
        if found is None:
            return None
        head, self._rest = found
        self._head_bytes += len(head)
        if self._head_bytes > MAX_HEAD_BYTES or head.count(b"\n") > MAX_HEADERS + 2:
            raise _wrong("is too large")
        if fault_of(head) is not None:
            raise _wrong("is not clean HTTP")
        return head

    def _check(self, response: h11.Response, rest: bytes) -> bool:
        status = response.status_code
        if not 200 <= status < 300:
            headers = tuple((name.decode(), value.decode()) for name, value in response.headers)
            raise RequestRefused(
                status, f"http_{status}", "The proxy refused the tunnel.", headers=headers
            )
        if rest:
            raise _wrong("has something behind it, before the server was asked anything")
        return True


def _wrong(reason: str) -> ProtocolError:
    return ProtocolError(1002, f"the answer of the proxy {reason}")
