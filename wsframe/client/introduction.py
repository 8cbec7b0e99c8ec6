"""How a connection begins: what is dialled, what is offered, where the token goes."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any, Final, Literal

import anyio

from ..errors import ConnectError
from ..protocol.client_handshake import ClientHandshake
from ..protocol.deflate import DeflateSettings
from ..protocol.handshake import BEARER_PREFIX
from ..version import __version__
from .address import Address
from .dialing import STREAM_ERRORS, Connector
from .link import Link
from .tokens import TokenSource

log = logging.getLogger("wsframe.client")

AuthenticateBy = Literal["init", "header", "subprotocol"]

_SUBPROTOCOL_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_HEADER_TOKEN: Final = re.compile(r"[\x21-\x7e]+")


class Introduction:
    """Makes connections, and what is said first on them.

    Args:
        connector: makes the byte streams.
        address: of the server.
        tokens: where the token comes from.
        authenticate_by: where it goes.
        subprotocol: offered, like ``wsframe.v1.json``.
        headers: added to the handshake.
        deflate: offer compression with these settings; None: don't.
        max_message_bytes: of one message from the server.

    Raises:
        ValueError: the headers are malformed, or among those that the handshake sets itself.
    """

    __slots__ = (
        "_address",
        "_authenticate_by",
        "_connector",
        "_deflate",
        "_headers",
        "_max_message_bytes",
        "_subprotocol",
        "tokens",
    )

    def __init__(
        self,
        connector: Connector,
        address: Address,
        tokens: TokenSource,
        *,
        authenticate_by: AuthenticateBy,
        subprotocol: str,
        headers: Sequence[tuple[str, str]],
        deflate: DeflateSettings | None,
        max_message_bytes: int,
    ) -> None:
        self._connector = connector
        # What is wrong with the headers is said now, and not in the background.
        ClientHandshake[None](address.authority, address.target, key=bytes(16), headers=headers)
        if authenticate_by == "header" and any(n.lower() == "authorization" for n, _ in headers):
            raise ValueError("the token is the Authorization header: headers must not have it too")
        self._address = address
        self._authenticate_by = authenticate_by
        self._subprotocol = subprotocol
        self._headers = tuple(headers)
        self._deflate = deflate
        self._max_message_bytes = max_message_bytes
        self.tokens = tokens

    async def connect(self) -> Link:
        """A connection, after its handshake.

        Raises:
            OSError, RequestRefused, ProtocolError: there is none this time.
            ConnectError: there will be none.
        """
        subprotocols, headers = [self._subprotocol], list(self._headers)
        token = await self._token()
        if token is not None and self._authenticate_by == "header":
            headers.append(("Authorization", f"Bearer {_checked(token, _HEADER_TOKEN)}"))
        elif token is not None and self._authenticate_by == "subprotocol":
            subprotocols.append(BEARER_PREFIX + _checked(token, _SUBPROTOCOL_TOKEN))
        try:
            stream = await self._connector()
        except STREAM_ERRORS as error:
            raise ConnectionError(f"no stream: {error!r}") from error
        link = Link(stream, max_message_bytes=self._max_message_bytes)
        try:
            await link.open(
                self._address, subprotocols=subprotocols, headers=headers, deflate=self._deflate
            )
        except BaseException:
            await anyio.aclose_forcefully(stream)
            raise
        return link

    async def content(self) -> dict[str, Any]:
        """The content of ``init``, without what resumes a session.

        Raises:
            OSError: there is no token this time.
        """
        content: dict[str, Any] = {"client": {"name": "wsframe-python", "version": __version__}}
        if self._authenticate_by == "init":
            token = await self._token()
            if token is not None:
                content["token"] = token
        return content

    async def token_content(self) -> dict[str, Any] | None:
        """The content of ``auth``; None: there is no token this time."""
        try:
            token = await self._token()
        except OSError:
            return None
        return None if token is None else {"token": token}

    async def _token(self) -> str | None:
        try:
            return await self.tokens.get()
        except Exception as error:
            # It is as passing as a network that is down, which is often its cause.
            log.warning("there is no token", exc_info=True)
            raise OSError(f"the function for the token failed: {type(error).__name__}") from error


def _checked(token: str, pattern: re.Pattern[str]) -> str:
    if pattern.fullmatch(token) is None:
        raise ConnectError(
            "the token has characters that a header cannot have",
            hint="Send it in init: authenticate_by='init'.",
        )
    return token
