"""One WebSocket on one byte stream, from the handshake to the end: the thin shell."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

import anyio
import anyio.abc

from ..errors import ConnectionClosed, InvalidMessage, ProtocolError
from ..messages import Message, codec_for
from ..protocol.client_handshake import ClientHandshake
from ..protocol.closing import ABNORMAL
from ..protocol.connection import Role, State, WebSocket
from ..protocol.deflate import Deflate, DeflateSettings, accept_response, offer
from ..protocol.events import CloseReceived, Event, Failed
from .address import Address
from .dialing import READ_BYTES, STREAM_ERRORS
from .pulse import Pulse
from .signals import Signal

HIGH_WATER_BYTES: Final = 65_536
"""So much may wait to be written before nothing more is taken on."""
FAREWELL_S: Final = 1.0
"""A close frame that nobody waits for an answer to has so long to get away."""
_INVALID_PAYLOAD: Final = 1007
_WRONG_KIND: Final = 1003


class Link:
    """One connection to the server.

    Args:
        stream: the byte stream; closed by :meth:`aclose`.
        max_message_bytes: of one message from the server.
    """

    __slots__ = (
        "_control_count_at",
        "_events",
        "_output",
        "_output_bytes",
        "_stream",
        "_websocket",
        "_writing",
        "_written",
        "codec",
        "max_message_bytes",
        "output_due",
        "pulse",
    )

    def __init__(self, stream: anyio.abc.ByteStream, *, max_message_bytes: int) -> None:
        self._stream = stream
        self._websocket: WebSocket | None = None
        self._events: deque[Event] = deque()
        self._output: list[bytes] = []
        self._output_bytes = 0
        self._writing = False
        self._written = Signal()
        self._control_count_at = 0.0
        self.max_message_bytes = max_message_bytes
        self.codec = codec_for(None)
        self.pulse = Pulse(0, 0, 0)
        self.output_due = Signal()
        """Set when there is something for :meth:`flush`."""

    async def open(
        self,
        address: Address,
        *,
        subprotocols: Sequence[str],
        headers: Sequence[tuple[str, str]],
        deflate: DeflateSettings | None,
    ) -> None:
        """Do the handshake.

        Raises:
            ProtocolError: the server broke the protocol, or closed the stream.
            RequestRefused: it answered another status than 101.
        """
        handshake: ClientHandshake[Deflate] = ClientHandshake(
            address.authority,
            address.target,
            key=secrets.token_bytes(16),
            subprotocols=subprotocols,
            extensions=offer(deflate) if deflate else None,
            accept_extensions=partial(accept_response, settings=deflate) if deflate else None,
            headers=headers,
        )
        try:
            await self._stream.send(handshake.request())
            while (accepted := handshake.receive_data(await self._stream.receive())) is None:
                pass
        except STREAM_ERRORS:
            handshake.receive_eof()
        self.codec = codec_for(accepted.subprotocol)
        self._websocket = WebSocket(
            Role.CLIENT,
            max_message_bytes=self.max_message_bytes,
            deflate=accepted.extension,
            mask_key=partial(secrets.token_bytes, 4),
        )
        self._take(handshake.trailing)

    # Receiving

    async def receive(self) -> Message[Any]:
        """The next message.

        Raises:
            ConnectionClosed: the connection has ended; code and reason say why.
            ProtocolError: the server broke the protocol.
        """
        while True:
            while self._events:
                event = self._events.popleft()
                if isinstance(event, (str, bytes)):
                    return self._decode(event)
                if isinstance(event, CloseReceived):
                    raise ConnectionClosed(event.code, event.reason)
                if isinstance(event, Failed):
                    raise ProtocolError(event.code, event.reason)
            while self._output_bytes > HIGH_WATER_BYTES:  # pongs, to a server that reads nothing
                await self._written.wait()
            try:
                data = await self._stream.receive(READ_BYTES)
            except STREAM_ERRORS:
                raise self._lost() from None
            self._take(data)

    def _take(self, data: bytes) -> None:
        websocket = self._opened()
        now = anyio.current_time()
        self.pulse.heard(now)
        if now - self._control_count_at >= 1:
            self._control_count_at = now
            websocket.reset_control_count()
        self._events.extend(websocket.receive_data(data))
        if websocket.output:
            self._write(b"".join(websocket.output))
            websocket.output.clear()

    def _decode(self, payload: str | bytes) -> Message[Any]:
        if isinstance(payload, bytes) is not self.codec.binary:
            raise self.fail(_WRONG_KIND, "the server sent the wrong kind of message")
        try:
            return self.codec.decode(payload)
        except InvalidMessage as error:
            raise self.fail(_INVALID_PAYLOAD, f"the server sent no message: {error}") from None

    def _lost(self) -> ConnectionClosed:
        websocket = self._opened()
        websocket.receive_eof()
        code = websocket.close_code
        return ConnectionClosed(ABNORMAL if code is None else code, websocket.close_reason)

    # Sending

    @property
    def congested(self) -> bool:
        """Does so much wait to be written that nothing should be added?"""
        return self._output_bytes > HIGH_WATER_BYTES

    def send(self, message: Message[Any]) -> None:
        """Send a message; it is written by :meth:`flush`.

        Raises:
            TypeError, ValueError: it cannot be encoded.
        """
        payload = self.codec.encode(message)
        websocket = self._opened()
        if websocket.state is State.OPEN:
            binary = self.codec.binary
            self._write((websocket.send_binary if binary else websocket.send_text)(payload))

    def ping(self) -> None:
        """Send a ping."""
        websocket = self._opened()
        if websocket.state is State.OPEN:
            self._write(websocket.ping())

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Start the close handshake; :meth:`receive` reports the server's answer."""
        self._write(self._opened().close(code, reason))

    def fail(self, code: int, reason: str) -> ProtocolError:
        """The server has broken a rule: nothing more is taken from it; returns what to raise."""
        self._events.clear()
        self._write(self._opened().fail(code, reason))
        return ProtocolError(code, reason)

    def _write(self, data: bytes) -> None:
        if data:
            self._output.append(data)
            self._output_bytes += len(data)
            self.output_due.set()

    async def flush(self) -> bool:
        """Write what there is; returns whether there was anything.

        Raises:
            ConnectionClosed: the stream is gone.
        """
        if not self._output:
            return False
        data = b"".join(self._output)
        self._output.clear()
        self._writing = True
        try:
            await self._stream.send(data)
        except STREAM_ERRORS:
            self._output_bytes = 0
            self._written.set()
            raise ConnectionClosed(ABNORMAL, "the stream is gone") from None
        self._writing = False
        self._output_bytes -= len(data)
        self._written.set()
        return True

    async def drain(self) -> None:
        """Wait until everything is written by whoever calls :meth:`flush`."""
        while self._output_bytes:
            await self._written.wait()

    async def aclose(self) -> None:
        """Write what is left, if it can be written soon, and close the stream."""
        with anyio.CancelScope(shield=True):
            # What was interrupted in the middle of a frame cannot go on with another one.
            if not self._writing:
                with anyio.move_on_after(FAREWELL_S), suppress(ConnectionClosed):
                    await self.flush()
                with anyio.move_on_after(FAREWELL_S), suppress(*STREAM_ERRORS, OSError):
                    await self._stream.aclose()
                    return
            await anyio.aclose_forcefully(self._stream)

    def _opened(self) -> WebSocket:
        assert self._websocket is not None, "open() comes first"
        return self._websocket
