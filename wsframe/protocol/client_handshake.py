"""The client's side of the opening handshake (RFC 6455 section 4.1).

Everything the server says is checked before the first frame is believed: a cache or a proxy that
answers by mistake, and a server that attacks its clients, both end in a typed error.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, Final, Generic, NoReturn, TypeVar

import h11
from wsproto.utilities import generate_accept_token

from ..errors import ProtocolError, RequestRefused
from .handshake import BEARER_PREFIX
from .head import MAX_HEADERS, HeadReader, HeadTooLarge, fault_of, split_list
from .response import check_headers

E = TypeVar("E")

_PROTOCOL_ERROR: Final = 1002
_ABNORMAL: Final = 1006
_MAX_BODY_BYTES: Final = 4_096
"""Of a refusal; ours has some 100."""
_MAX_MESSAGE: Final = 200


class ServerAccept(Generic[E]):
    """What the server agreed to.

    Attributes:
        subprotocol: the one it chose; None: none.
        extension: what ``accept_extensions`` made of its answer; None: no extension.
        headers: all its headers in order, names in lower case.
    """

    __slots__ = ("extension", "headers", "subprotocol")

    def __init__(
        self, subprotocol: str | None, extension: E | None, headers: tuple[tuple[str, str], ...]
    ) -> None:
        self.subprotocol = subprotocol
        self.extension = extension
        self.headers = headers


class ClientHandshake(Generic[E]):
    """Asks for a WebSocket and reads the answer.

    Write :meth:`request`, then feed :meth:`receive_data` until it returns or raises;
    :attr:`trailing` belongs to the WebSocket.

    Args:
        authority: host, and port where it is not the default one: the ``Host`` header.
        target: path and query, ``/ws?room=7``.
        key: 16 random bytes, new for each handshake.
        subprotocols: those offered, the preferred one first; ``wsframe.bearer.<token>`` carries a
            token and can't be chosen.
        extensions: value of ``Sec-WebSocket-Extensions``; None: offer none.
        accept_extensions: makes an extension of the server's ``Sec-WebSocket-Extensions``, or
            raises ProtocolError; needed with ``extensions``.
        headers: names and values to add, such as ``Authorization`` and ``Origin``.
        max_header_bytes: all heads of the answer together.

    Raises:
        ValueError: an argument is malformed.
    """

    __slots__ = (
        "_accept_extensions",
        "_accept_token",
        "_body",
        "_head_bytes",
        "_head_reader",
        "_max_header_bytes",
        "_parser",
        "_refused",
        "_request",
        "_subprotocols",
        "trailing",
    )

    def __init__(
        self,
        authority: str,
        target: str,
        *,
        key: bytes,
        subprotocols: Sequence[str] = (),
        extensions: str | None = None,
        accept_extensions: Callable[[str], E] | None = None,
        headers: Sequence[tuple[str, str]] = (),
        max_header_bytes: int = 16_384,
    ) -> None:
        if len(key) != 16:
            raise ValueError("the key of a handshake has 16 bytes")
        if (extensions is None) != (accept_extensions is None):
            raise ValueError("extensions and accept_extensions need each other")
        check_headers(headers)
        encoded_key = base64.b64encode(key)
        self._accept_token = generate_accept_token(encoded_key).decode("ascii")
        self._accept_extensions = accept_extensions
        self._subprotocols = [name for name in subprotocols if not name.startswith(BEARER_PREFIX)]
        self._max_header_bytes = max_header_bytes
        self._head_reader = HeadReader(max_header_bytes)
        self._head_bytes = 0
        self._body = bytearray()
        self._refused: h11.Response | None = None
        self._parser = h11.Connection(h11.CLIENT, max_incomplete_event_size=max_header_bytes)
        self.trailing = b""
        """The bytes behind the answer."""
        ours = [
            ("Host", authority),
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Key", encoded_key.decode("ascii")),
            ("Sec-WebSocket-Version", "13"),
        ]
        if subprotocols:
            ours.append(("Sec-WebSocket-Protocol", ", ".join(subprotocols)))
        if extensions is not None:
            ours.append(("Sec-WebSocket-Extensions", extensions))
        taken = {name.lower() for name, _ in ours} & {name.lower() for name, _ in headers}
        if taken:
            raise ValueError(f"the handshake sets {', '.join(sorted(taken))} itself")
        try:
            request = h11.Request(method="GET", target=target, headers=[*ours, *headers])
        except (h11.LocalProtocolError, UnicodeEncodeError) as error:
            raise ValueError(f"the request is malformed: {error}") from None
        self._request = self._parser.send(request) + self._parser.send(h11.EndOfMessage())

    def request(self) -> bytes:
        """Return the bytes that ask for the WebSocket."""
        return self._request

    def receive_data(self, data: bytes) -> ServerAccept[E] | None:
        """Take bytes from the server; return what it agreed to, with the bytes that complete it.

        Raises:
            ProtocolError: the answer breaks the protocol; drop the connection.
            RequestRefused: the server answered another status than 101, redirects included.
        """
        if self._refused is not None:
            self._receive_refusal(self._refused, data)
            return None
        while (head := self._next_head(data)) is not None:
            event = self._parse(head)
            if isinstance(event, h11.Response):
                data, self.trailing = self.trailing, b""
                self._refused = event
                self._receive_refusal(event, data)
                return None
            if event.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
                return self._check(event)
            data, self.trailing = self.trailing, b""  # behind an interim answer: the real one
        return None

    def receive_eof(self) -> NoReturn:
        """The server closed its side before the handshake was done.

        Raises:
            RequestRefused: after a refusal whose body is not complete.
            ProtocolError: before a complete answer.
        """
        if self._refused is not None:
            self._refuse(self._refused)
        raise ProtocolError(_ABNORMAL, "the server closed the connection during the handshake")

    def _next_head(self, data: bytes) -> bytes | None:
        try:
            found = self._head_reader.receive_data(data)
        except HeadTooLarge:
            raise _wrong("the answer is too large") from None
        if found is None:
            return None
        head, self.trailing = found
        self._head_bytes += len(head)
        if self._head_bytes > self._max_header_bytes or head.count(b"\n") > MAX_HEADERS + 2:
            raise _wrong("the answer is too large")
        return head

    def _parse(self, head: bytes) -> h11.InformationalResponse | h11.Response:
        if fault_of(head) is not None:
            raise _wrong("the answer is not clean HTTP")
        self._parser.receive_data(head)
        try:
            event = self._parser.next_event()
        except h11.RemoteProtocolError:
            raise _wrong("the answer is not HTTP") from None
        assert isinstance(event, h11.InformationalResponse | h11.Response)
        return event

    def _check(self, event: h11.InformationalResponse) -> ServerAccept[E]:
        headers = _decoded(event)
        fields: dict[str, tuple[str, ...]] = {}
        for name, value in headers:
            fields[name] = (*fields.get(name, ()), value)
        if event.http_version != b"1.1":
            raise _wrong("the answer is not HTTP/1.1")
        if split_list(fields.get("upgrade", ())) != ["websocket"]:
            raise _wrong("the server does not upgrade to websocket")
        if "upgrade" not in split_list(fields.get("connection", ())):
            raise _wrong("the Connection header of the answer does not contain 'Upgrade'")
        if fields.get("sec-websocket-accept", ()) != (self._accept_token,):
            raise _wrong("the Sec-WebSocket-Accept header is not the answer to our key")
        if "transfer-encoding" in fields or set(fields.get("content-length", ())) - {"0"}:
            raise _wrong("the answer has a body")
        subprotocol = self._check_subprotocol(fields.get("sec-websocket-protocol", ()))
        extension = self._check_extensions(fields.get("sec-websocket-extensions", ()))
        return ServerAccept(subprotocol, extension, headers)

    def _check_subprotocol(self, values: tuple[str, ...]) -> str | None:
        if not values:
            return None
        if len(values) > 1 or values[0] not in self._subprotocols:
            raise _wrong("the server chose a subprotocol that was not offered")
        return values[0]

    def _check_extensions(self, values: tuple[str, ...]) -> E | None:
        if not values:
            return None
        if self._accept_extensions is None:
            raise _wrong("the server chose an extension that was not offered")
        return self._accept_extensions(", ".join(values))

    def _receive_refusal(self, refused: h11.Response, data: bytes) -> None:
        """Wait for the body of a refusal, where it may be one that says more than the status."""
        if not dict(_decoded(refused)).get("content-type", "").startswith("application/json"):
            self._refuse(refused)
        if data:
            self._parser.receive_data(data[: _MAX_BODY_BYTES + 1])
        try:
            while isinstance(event := self._parser.next_event(), h11.Data):
                self._body += event.data
                if len(self._body) > _MAX_BODY_BYTES:
                    self._refuse(refused)
        except h11.RemoteProtocolError:
            self._refuse(refused)
        if event is not h11.NEED_DATA:
            self._refuse(refused)

    def _refuse(self, refused: h11.Response) -> NoReturn:
        status = refused.status_code
        code, message = f"http_{status}", f"The server answered with status {status}."
        try:
            body: Any = json.loads(self._body)
        except (ValueError, RecursionError):
            body = None
        if isinstance(body, dict):
            code, message = _text(body.get("code"), code), _text(body.get("message"), message)
        raise RequestRefused(status, code, message, headers=_decoded(refused))


def _decoded(event: h11.InformationalResponse | h11.Response) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("ascii"), value.decode("ascii")) for name, value in event.headers)


def _text(value: Any, default: str) -> str:
    """Return a server's text as something that can be shown: short, and without controls."""
    if not isinstance(value, str) or not value:
        return default
    return "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value[:_MAX_MESSAGE]
    )


def _wrong(reason: str) -> ProtocolError:
    return ProtocolError(_PROTOCOL_ERROR, reason)
