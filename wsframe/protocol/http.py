"""From bytes to HTTP requests: h11 parses the head, behind limits and stricter rules.

On the port of a chat server arrive upgrade requests, a few plain requests with small bodies, and
whatever an attacker makes up. So the limits count before h11 sees a byte, bodies need a
``Content-Length`` (RFC 9110 section 15.5.12), and what two servers could read in two ways is
refused (see :mod:`wsframe.protocol.head`). One parser reads one request; the next request on the
same connection gets a new one.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

import h11

from ..errors import RequestRefused
from .head import MAX_HEADERS, HeadReader, HeadTooLarge, fault_of, split_list
from .request import CheckedHeaders, Request, authority_of
from .response import Response, encode_response, refusal

__all__ = ["Request", "RequestParser", "Response", "encode_response", "refusal"]

_AUTHORITY: Final = re.compile(
    r"(\[[0-9A-Za-z:.%_~-]{2,80}\]|[0-9A-Za-z._~!$&'()*+,;=%-]{1,255})(?::[0-9]{0,5})?"
)
_REQUEST_LINE_START: Final = re.compile(rb"[A-Z]{2}")


class _State(Enum):
    HEAD = 1
    BODY = 2
    DONE = 3
    REFUSED = 4


class RequestParser:
    """Reads one request.

    Feed it with :meth:`receive_data` until that returns the request; then take :attr:`trailing`,
    which belongs to the WebSocket or to the next request.

    Args:
        max_header_bytes: request line and headers together.
        max_body_bytes: the body of a plain request.
        address: the peer's address, for :attr:`Request.address`.
        secure: did the bytes arrive over TLS?
    """

    __slots__ = (
        "_address",
        "_body_bytes",
        "_head_reader",
        "_max_body_bytes",
        "_max_trailing_bytes",
        "_request",
        "_secure",
        "_state",
        "_trailing",
    )

    def __init__(
        self,
        max_header_bytes: int,
        max_body_bytes: int = 65_536,
        address: str = "",
        secure: bool = False,
    ) -> None:
        self._head_reader = HeadReader(max_header_bytes)
        self._max_body_bytes = max_body_bytes
        self._max_trailing_bytes = max_header_bytes + max_body_bytes
        self._address = address
        self._secure = secure
        self._state = _State.HEAD
        self._request: Request | None = None
        self._body_bytes = 0
        self._trailing = bytearray()

    @property
    def started(self) -> bool:
        """Has a request begun that is not complete?"""
        return self._state is _State.BODY or self._head_reader.started

    @property
    def trailing(self) -> bytes:
        """The bytes behind the request."""
        return bytes(self._trailing) if self._state is _State.DONE else b""

    def receive_data(self, data: bytes) -> Request | None:
        """Take bytes from the peer; return the request with the bytes that complete it.

        After that, further bytes are added to :attr:`trailing`, within a limit; after a refusal
        they are dropped. None: nothing to answer yet.

        Raises:
            RequestRefused: answer with its status, then close the connection.
        """
        try:
            if self._state is _State.HEAD:
                return self._receive_head(data)
            if self._state is _State.REFUSED:
                return None
            self._trailing += data
            if self._state is _State.BODY:
                return self._receive_body()
            if len(self._trailing) > self._max_trailing_bytes:
                raise _bad("Too many bytes before the request is answered.")
        except RequestRefused:
            self._state = _State.REFUSED
            self._request = None
            self._trailing.clear()
            raise
        return None

    def _receive_head(self, data: bytes) -> Request | None:
        if data and data[0] <= 0x20 and not self._head_reader.started:
            raise _bad("This is not an HTTP request.")
        try:
            found = self._head_reader.receive_data(data)
        except HeadTooLarge as error:
            if error.in_first_line:
                raise RequestRefused(414, "uri_too_long", "The request line is too long.") from None
            raise _headers_too_large() from None
        if found is None:
            return None
        head, rest = found
        self._trailing += rest
        request = self._request = self._parse(head)
        if self._body_bytes == 0:
            self._state = _State.DONE
            return request
        self._state = _State.BODY
        return self._receive_body()

    def _receive_body(self) -> Request | None:
        size, trailing = self._body_bytes, self._trailing
        if len(trailing) < size:
            return None
        assert self._request is not None
        body = bytes(trailing[:size])
        del trailing[:size]
        self._state = _State.DONE
        self._request = self._request.with_body(body)
        return self._request

    def _parse(self, head: bytes) -> Request:
        fault = fault_of(head)
        if fault is not None:
            raise _bad(fault)
        if head.count(b"\n") > MAX_HEADERS + 2:
            raise _headers_too_large()
        parser = h11.Connection(h11.SERVER, max_incomplete_event_size=len(head))
        parser.receive_data(head)
        try:
            event = parser.next_event()
        except h11.RemoteProtocolError:
            raise _bad("The request line or a header is malformed.") from None
        assert type(event) is h11.Request  # it cannot be anything else, nor NEED_DATA
        version = event.http_version.decode("ascii")
        if version not in ("1.1", "1.0"):
            raise RequestRefused(505, "http_version_not_supported", "Only HTTP/1.1 is spoken here.")
        lines = [b"\r\n%b: %b" % (name.lower(), value) for name, value in event.headers.raw_items()]
        lines.append(b"\r\n")
        request = Request(
            event.method.decode("ascii"),
            event.target.decode("ascii"),
            CheckedHeaders(b"".join(lines)),
            address=self._address,
            secure=self._secure,
            http_version=version,
        )
        _check_host(request)
        self._check_framing(request)
        return request

    def _check_framing(self, request: Request) -> None:
        """Decide where the request ends (RFC 9112 section 6.3); nothing may hide behind it."""
        length = request.header("content-length")
        chunked = request.header("transfer-encoding") is not None
        if length is None and not chunked and not self._trailing:
            return
        self._body_bytes = size = 0 if length is None else int(length)
        if chunked and length is not None:
            raise _bad("Content-Length and Transfer-Encoding contradict each other.")
        if "websocket" in split_list(request.headers_all("upgrade")):
            if size or chunked:
                raise _bad("A request to upgrade has no body.")
            if _REQUEST_LINE_START.match(self._trailing):  # no frame of a client begins so
                raise _bad("A second request follows the request to upgrade.")
        elif chunked:
            raise RequestRefused(411, "length_required", "A body needs a Content-Length.")
        if size > self._max_body_bytes:
            raise RequestRefused(413, "content_too_large", "The body is too large.")


def _check_host(request: Request) -> None:
    """Check the host that the request is for (RFC 9112 section 3.2).

    h11 has made sure that there is at most one ``Host``, and one in HTTP/1.1.
    """
    host = request.header("host")
    if host is None:
        return
    authority = authority_of(request.target)
    if authority is not None and authority.lower() != host.lower():
        raise _bad("The Host header is not that of the target.")
    match = _AUTHORITY.fullmatch(host)
    if match is None or ("xn--" in host.lower() and not all(map(_is_label, match[1].split(".")))):
        raise _bad("The Host header is malformed.")


def _is_label(label: str) -> bool:
    """Could this be part of a host name? An ``xn--`` label must stand for something not ASCII."""
    if label[:4].lower() != "xn--":
        return True
    try:
        return len(label) <= 63 and not label[4:].encode("ascii").decode("punycode").isascii()
    except UnicodeError:
        return False


def _bad(message: str) -> RequestRefused:
    return RequestRefused(400, "bad_request", message)


def _headers_too_large() -> RequestRefused:
    return RequestRefused(431, "headers_too_large", "The headers are too large or too many.")
