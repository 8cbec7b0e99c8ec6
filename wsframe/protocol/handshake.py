"""The server's side of the opening handshake (RFC 6455 section 4.2).

The request comes from :class:`~wsframe.protocol.http.RequestParser`, which has already refused
whatever is no clean HTTP, bodies included. Here stands what makes it a WebSocket handshake.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from wsproto.utilities import generate_accept_token

from ..errors import RequestRefused
from .head import split_list
from .request import Request
from .response import check_headers

SUBPROTOCOLS: Final = ("wsframe.v1.json", "wsframe.v1.msgpack")
"""What :func:`choose_subprotocol` knows."""
BEARER_PREFIX: Final = "wsframe.bearer."
"""A subprotocol offered with this prefix carries a token and is never chosen."""

_KEY: Final = re.compile(r"[0-9A-Za-z+/]{22}==")
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_ALLOW: Final = (("allow", "GET"),)
_VERSION: Final = (("sec-websocket-version", "13"),)
_UPGRADE: Final = (("upgrade", "websocket"), ("sec-websocket-version", "13"))


class Upgrade:
    """What a client asks for in a valid handshake.

    Attributes:
        key: its ``Sec-WebSocket-Key``.
        subprotocols: those offered, in its order, without the one that carries a token.
        extensions: its ``Sec-WebSocket-Extensions`` headers as they stand.
        bearer: the token of ``wsframe.bearer.<token>``; None: none offered.
    """

    __slots__ = ("bearer", "extensions", "key", "subprotocols")

    def __init__(
        self,
        key: str,
        subprotocols: tuple[str, ...] = (),
        extensions: tuple[str, ...] = (),
        bearer: str | None = None,
    ) -> None:
        self.key = key
        self.subprotocols = subprotocols
        self.extensions = extensions
        self.bearer = bearer

    def __repr__(self) -> str:
        return f"<Upgrade to {', '.join(self.subprotocols) or 'no subprotocol'}>"


def is_upgrade(request: Request) -> bool:
    """Does the request ask for a WebSocket, well or badly?"""
    return "websocket" in split_list(request.headers_all("upgrade"))


def check_upgrade(request: Request) -> Upgrade:
    """Read the handshake out of a request for the WebSocket's path.

    Raises:
        RequestRefused: 505 for HTTP/1.0, 405 for a method other than GET, 426 for a request that
            does not ask for a WebSocket or asks for another version than 13, 400 for a malformed
            handshake.
    """
    if request.method != "GET":
        raise RequestRefused(
            405, "method_not_allowed", "A WebSocket is opened with GET.", headers=_ALLOW
        )
    fields = request.fields()
    if "websocket" not in split_list(fields.get("upgrade", ())):
        raise RequestRefused(
            426, "upgrade_required", "This address speaks WebSocket only.", headers=_UPGRADE
        )
    if request.http_version != "1.1":
        raise RequestRefused(
            505, "http_version_not_supported", "A WebSocket is opened with HTTP/1.1."
        )
    if "upgrade" not in split_list(fields.get("connection", ())):
        raise _bad("The Connection header does not contain 'Upgrade'.")
    if _only(fields, "sec-websocket-version") != "13":
        raise RequestRefused(
            426,
            "unsupported_websocket_version",
            "Only version 13 of the WebSocket protocol is spoken here.",
            headers=_VERSION,
        )
    key = _only(fields, "sec-websocket-key")
    if _KEY.fullmatch(key) is None:
        raise _bad("The Sec-WebSocket-Key is not the base64 of 16 bytes.")
    subprotocols, bearer = _read_subprotocols(fields.get("sec-websocket-protocol", ()))
    return Upgrade(key, subprotocols, fields.get("sec-websocket-extensions", ()), bearer)


def choose_subprotocol(offered: Iterable[str]) -> str | None:
    """Return the first one that is spoken here, in the client's order."""
    return next((name for name in offered if name in SUBPROTOCOLS), None)


def accept_response(
    upgrade: Upgrade,
    *,
    subprotocol: str | None,
    extensions: str | None,
    headers: Sequence[tuple[str, str]] = (),
) -> bytes:
    """Return the bytes of the 101 that opens the connection.

    Args:
        upgrade: the handshake that is accepted.
        subprotocol: the one chosen out of those offered.
        extensions: the value of ``Sec-WebSocket-Extensions``; None: no extension.
        headers: names and values to add.

    Raises:
        ValueError: one of ``headers`` is malformed.
    """
    accept = generate_accept_token(upgrade.key.encode("ascii")).decode("ascii")
    lines = [
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
        f"Sec-WebSocket-Accept: {accept}\r\n",
    ]
    if subprotocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}\r\n")
    if extensions is not None:
        lines.append(f"Sec-WebSocket-Extensions: {extensions}\r\n")
    if headers:
        check_headers(headers)
        lines += [f"{name}: {value}\r\n" for name, value in headers]
    lines.append("\r\n")
    return "".join(lines).encode("ascii")


def _only(fields: Mapping[str, tuple[str, ...]], name: str) -> str:
    """Return the value of a header that must be there exactly once."""
    values = fields.get(name, ())
    if len(values) != 1:
        raise _bad(f"There must be exactly one {name.title()} header.")
    return values[0]


def _read_subprotocols(values: tuple[str, ...]) -> tuple[tuple[str, ...], str | None]:
    if not values:
        return (), None
    offered: list[str] = []
    bearer = None
    for element in ",".join(values).split(","):
        name = element.strip(" \t")
        if not name:
            continue
        if _TOKEN.fullmatch(name) is None:
            raise _bad("The Sec-WebSocket-Protocol header is malformed.")
        if not name.startswith(BEARER_PREFIX):
            offered.append(name)
        elif bearer is None and len(name) > len(BEARER_PREFIX):
            bearer = name[len(BEARER_PREFIX) :]
        else:
            raise _bad("There must be at most one token, and not an empty one.")
    return tuple(offered), bearer


def _bad(message: str) -> RequestRefused:
    return RequestRefused(400, "bad_request", message)
