"""The byte stream to a server: TCP, TLS, a Unix socket, through a proxy or not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, Literal, TypeVar

import anyio
import anyio.abc

from ..errors import ConnectError
from . import proxies
from .address import Address

if TYPE_CHECKING:
    import ssl

T = TypeVar("T")

Connector = Callable[[], Awaitable[anyio.abc.ByteStream]]
"""Makes a new byte stream to the server at each call."""

STREAM_ERRORS: Final = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)
READ_BYTES: Final = 65_536


class Dialer:
    """The connector that is used unless another one is given.

    Args:
        address: of the server.
        ssl_context: for ``wss://``; None: certificates are checked against those that the
            machine trusts.
        unix_socket: path of a Unix socket to connect to instead of host and port.
        proxy: URL of an HTTP proxy; ``"environment"``: the one that the environment names, if
            any; None: none.
    """

    __slots__ = ("_address", "_proxy", "_ssl_context", "_unix_socket")

    def __init__(
        self,
        address: Address,
        *,
        ssl_context: ssl.SSLContext | None,
        unix_socket: str | None,
        proxy: str | Literal["environment"] | None,
    ) -> None:
        self._address = address
        self._ssl_context = ssl_context
        self._unix_socket = unix_socket
        self._proxy = proxy

    async def __call__(self) -> anyio.abc.ByteStream:
        """Connect.

        Raises:
            OSError: nobody listens there, or the TLS handshake failed.
            ConnectError: it is of no use to try again.
            RequestRefused, ProtocolError: from a proxy.
        """
        address = self._address
        stream: anyio.abc.ByteStream
        if self._unix_socket is not None:
            stream = await anyio.connect_unix(self._unix_socket)
        elif (proxy := self._find_proxy()) is None:
            stream = await anyio.connect_tcp(address.host, address.port)
        else:
            stream = await anyio.connect_tcp(proxy.host, proxy.port)
            if proxy.secure:
                stream = await self._start_tls(stream, proxy.host, None)
            await _closing_on_error(stream, self._tunnel(stream, proxy))
        if address.secure:
            stream = await self._start_tls(stream, address.host, self._ssl_context)
        return stream

    def _find_proxy(self) -> proxies.Proxy | None:
        url = self._proxy
        if url == "environment":
            url = proxies.from_environment(self._address)
        return proxies.parse(url) if url else None

    async def _tunnel(self, stream: anyio.abc.ByteStream, proxy: proxies.Proxy) -> None:
        address = self._address
        tunnel = proxies.Tunnel(address.host, address.port, proxy.authorization)
        try:
            await stream.send(tunnel.request())
            while not tunnel.receive_data(await stream.receive(READ_BYTES)):
                pass
        except STREAM_ERRORS:
            raise ConnectionError("the proxy closed the connection") from None

    async def _start_tls(
        self, stream: anyio.abc.ByteStream, host: str, context: ssl.SSLContext | None
    ) -> anyio.abc.ByteStream:
        import ssl

        from anyio.streams.tls import TLSStream

        if context is None:
            context = ssl.create_default_context()
            context.set_alpn_protocols(["http/1.1"])
        try:
            return await _closing_on_error(
                stream,
                TLSStream.wrap(
                    stream, hostname=host, ssl_context=context, standard_compatible=False
                ),
            )
        except ssl.SSLCertVerificationError as error:
            raise ConnectError(
                f"the certificate of {host} is not trusted: {error.verify_message}",
                hint="Use the name that it was issued for, and trust its issuer in ssl_context.",
            ) from error
        except STREAM_ERRORS as error:
            raise ConnectionError("the connection was closed in the TLS handshake") from error


async def _closing_on_error(stream: anyio.abc.ByteStream, step: Awaitable[T]) -> T:
    """Await ``step``; without it the stream is of no use, and is closed at once."""
    try:
        return await step
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise
