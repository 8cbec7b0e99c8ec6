"""The client's end of a WebSocket, on a :class:`~wsframe.testing.memory.MemoryLink`.

It does the handshake and everything a WebSocket does by itself; what a message means is the
business of whoever gets it.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from functools import partial

import anyio

from ..errors import ConnectionClosed, ProtocolError, RequestRefused
from ..protocol.client_handshake import ClientHandshake, ServerAccept
from ..protocol.connection import Role, WebSocket
from ..protocol.deflate import Deflate, DeflateSettings, accept_response, offer
from ..protocol.events import Failed
from ..server.node import Node
from ..session import Identity
from .memory import MemoryLink

MAX_MESSAGE_BYTES = 64 * 2**20
"""Of one message; a server's limit should be the first to be met."""
_ABNORMAL = 1006


class Wire:
    """One WebSocket, as a client has it.

    Args:
        received: called with each whole message.
        lost: called once, when the stream is gone after it was open.
    """

    def __init__(
        self, received: Callable[[str | bytes], None], lost: Callable[[int, str], None]
    ) -> None:
        self._received = received
        self._lost = lost
        self._link: MemoryLink | None = None
        self._handshake: ClientHandshake[Deflate] | None = None
        self._websocket: WebSocket | None = None
        self._decided = anyio.Event()
        self._refusal: ProtocolError | RequestRefused | None = None
        self._gone = anyio.Event()
        self.subprotocol: str | None = None
        self.headers: tuple[tuple[str, str], ...] = ()
        """Of the server's 101, names in lower case."""

    async def connect(
        self,
        node: Node,
        target: str,
        *,
        subprotocols: Sequence[str],
        headers: Sequence[tuple[str, str]],
        deflate: bool,
        address: str,
        identity: Identity | None,
    ) -> None:
        """Do the handshake.

        Raises:
            RequestRefused: the server answered with an error status.
            ProtocolError: it broke the protocol, or closed the stream.
        """
        settings = DeflateSettings()
        self._handshake = ClientHandshake(
            "testserver",
            target,
            key=secrets.token_bytes(16),
            subprotocols=subprotocols,
            extensions=offer(settings) if deflate else None,
            accept_extensions=partial(accept_response, settings=settings) if deflate else None,
            headers=headers,
        )
        self._link = MemoryLink(node, self, address=address, identity=identity)
        self._link.send(self._handshake.request())
        await self._decided.wait()  # the server's own time limit ends this
        if self._refusal is not None:
            raise self._refusal

    @property
    def link(self) -> MemoryLink:
        """The stream, once :meth:`connect` has been called."""
        assert self._link is not None
        return self._link

    @property
    def attached(self) -> bool:
        """Is there a stream?"""
        return self._link is not None and not self._gone.is_set()

    def send(self, payload: str | bytes) -> None:
        """Send one whole message: ``str`` as text, ``bytes`` as binary.

        Raises:
            ConnectionClosed: nothing can be sent any more.
        """
        websocket = self._opened()
        if isinstance(payload, str):
            self.link.send(websocket.send_text(payload.encode()))
        else:
            self.link.send(websocket.send_binary(payload))

    def close(self, code: int, reason: str) -> None:
        """Start the close handshake; does nothing on a connection that is closing or gone."""
        if self._websocket is not None:
            self.link.send(self._websocket.close(code, reason))

    async def gone(self) -> None:
        """Wait until the stream is gone."""
        await self._gone.wait()

    def _opened(self) -> WebSocket:
        assert self._websocket is not None, "connect() comes first"
        if self._gone.is_set():
            raise ConnectionClosed(self._websocket.close_code, self._websocket.close_reason)
        return self._websocket

    # What the stream reports

    def data_received(self, data: bytes) -> None:
        """Take bytes from the server."""
        handshake = self._handshake
        if handshake is not None:
            try:
                accepted = handshake.receive_data(data)
            except (ProtocolError, RequestRefused) as refusal:
                self._refuse(refusal)
                return
            if accepted is None:
                return
            self._open(accepted)
            data = handshake.trailing
        websocket = self._websocket
        if websocket is None:
            return
        for event in websocket.receive_data(data):
            if isinstance(event, (str, bytes)):
                self._received(event)
            elif isinstance(event, Failed):
                self.link.send_eof()
        self._flush(websocket)

    def _open(self, accepted: ServerAccept[Deflate]) -> None:
        self._handshake = None
        self.subprotocol = accepted.subprotocol
        self.headers = accepted.headers
        self._websocket = WebSocket(
            Role.CLIENT,
            max_message_bytes=MAX_MESSAGE_BYTES,
            deflate=accepted.extension,
            mask_key=partial(secrets.token_bytes, 4),
        )
        self._decided.set()

    def input_ended(self) -> None:
        """The server sends nothing more: let go of the stream too."""
        self.link.send_eof()

    def stream_lost(self) -> None:
        """The stream is gone."""
        self._gone.set()
        websocket = self._websocket
        if websocket is not None:
            websocket.receive_eof()
            code = websocket.close_code
            self._lost(_ABNORMAL if code is None else code, websocket.close_reason)
        elif self._handshake is not None:
            try:
                self._handshake.receive_eof()
            except (ProtocolError, RequestRefused) as refusal:
                self._refuse(refusal)

    def _refuse(self, refusal: ProtocolError | RequestRefused) -> None:
        self._handshake = None
        self._refusal = refusal
        self._decided.set()
        self.link.send_eof()

    def _flush(self, websocket: WebSocket) -> None:
        for data in websocket.output:
            self.link.send(data)
        websocket.output.clear()
