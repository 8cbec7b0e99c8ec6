"""An in-memory client of an application, for tests.

It speaks the wire protocol on real bytes and hides nothing of it: requests and streams are there
for convenience, but every message can be seen, and everything wrong can be sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Any, Literal, Self

import anyio
import msgspec

from ..errors import ConnectionClosed, InvalidMessage, ProtocolError, RequestError
from ..messages import Codec, Message, codec_for
from ..protocol.handshake import BEARER_PREFIX
from ..server.app import App
from ..session import Identity
from .mailbox import Mailbox
from .wire import Wire

TIMEOUT_S = 120.0
"""How long anything is waited for unless told otherwise; in virtual time it costs nothing. It is
longer than the time limit of handlers, so that the server's own ``timeout`` comes first."""

SETTLE_S = 1e-6
"""A moment that virtual time reaches only when nothing else can run."""

Subprotocol = Literal["json", "msgpack"]

_SUBPROTOCOLS: Mapping[str | None, tuple[str, ...]] = {
    "json": ("wsframe.v1.json",),
    "msgpack": ("wsframe.v1.msgpack",),
    None: (),
}
_UNNUMBERED = frozenset({"init", "pong"})


class TestClient:
    """One connection to an application, from the client's side.

    Every wait ends: with a message, with ConnectionClosed, or with TimeoutError after
    ``timeout_s`` seconds of the event loop's clock.

    Attributes:
        closed: code and reason of the connection's end; None while it goes on.
        init: the answer to ``init``; None: none was sent.
        seq: how many numbered messages have come (see the wire protocol).
    """

    __test__ = False  # its name is none for pytest to collect

    def __init__(self) -> None:
        self._wire = Wire(self._received, self._lost)
        self._inbox = Mailbox()
        self._answers: dict[str, Mailbox] = {}
        self._ids = count(1)
        self._codec = codec_for(None)
        self.closed: tuple[int, str] | None = None
        self.init: Message[Any] | None = None
        self.seq = 0

    async def connect(
        self,
        app: App,
        *,
        subprotocol: Subprotocol | None = "json",
        init: bool = True,
        init_content: Mapping[str, Any] | None = None,
        token: str | None = None,
        identity: Identity | None = None,
        headers: Sequence[tuple[str, str]] = (),
        path: str | None = None,
        deflate: bool = False,
        address: str = "127.0.0.1",
    ) -> None:
        """Connect to an application that runs, and open a session.

        Args:
            app: the application.
            subprotocol: ``"json"``, ``"msgpack"``, or None for a bare client, which offers none.
            init: send ``init`` and wait for its answer.
            init_content: the content of ``init``, such as ``{"resume": {…}}``.
            token: offered as ``wsframe.bearer.<token>``.
            identity: who the client is, whatever the application's plugins say of it.
            headers: of the upgrade request, in addition.
            path: path and query. Default: the application's ``path``.
            deflate: offer permessage-deflate.
            address: where the client seems to come from.

        Raises:
            RequestRefused: the server answered the upgrade with an error status.
            ProtocolError: the server broke the protocol.
            RequestError: ``init`` was refused.
            ConnectionClosed: the server closed because of ``init``.
        """
        assert app.runtime is not None, "the application does not run"
        offered = _SUBPROTOCOLS[subprotocol]
        if token is not None:
            offered = (*offered, BEARER_PREFIX + token)
        await self._wire.connect(
            app.runtime.node,
            app.config.path if path is None else path,
            subprotocols=offered,
            headers=headers,
            deflate=deflate,
            address=address,
            identity=identity,
        )
        self._codec = codec_for(self._wire.subprotocol)
        if init:
            self.init = await self.request("init", init_content)

    @property
    def subprotocol(self) -> str | None:
        """What the server chose, like ``wsframe.v1.json``."""
        return self._wire.subprotocol

    @property
    def session_id(self) -> str:
        """The id of the session, from the answer to ``init``."""
        assert self.init is not None, "without init a client does not know its session"
        session_id: str = self.init.content["sessionId"]
        return session_id

    @property
    def secret(self) -> str:
        """What proves the ownership of the session, from the answer to ``init``."""
        assert self.init is not None, "without init a client has no secret"
        secret: str = self.init.content["secret"]
        return secret

    @property
    def messages(self) -> list[Message[Any]]:
        """What the server has pushed and :meth:`receive` has not taken yet, oldest first."""
        return self._inbox.waiting

    # Asking

    async def request(
        self, type: str, content: Any = None, *, timeout_s: float = TIMEOUT_S
    ) -> Message[Any]:
        """Send a message and wait for its final answer; parts are passed over.

        Args:
            type: the message type.
            content: the content; None: ``{}``.
            timeout_s: how long to wait, in seconds of the event loop's clock.

        Raises:
            RequestError: the final answer is an error.
            ConnectionClosed: the connection ended before the final answer.
            TimeoutError: no final answer came in time.
        """
        stream = self.stream(type, content, timeout_s=timeout_s)
        try:
            with anyio.move_on_after(timeout_s):
                async for _ in stream:
                    pass
                assert stream.final is not None
                return stream.final
        finally:
            self._answers.pop(stream.id, None)  # what comes too late is for receive()
        raise TimeoutError(f"no final answer to {type!r} within {timeout_s:g} s")

    def stream(self, type: str, content: Any = None, *, timeout_s: float = TIMEOUT_S) -> Stream:
        """Send a message; iterate over the parts of its answer.

        Args:
            type: the message type.
            content: the content; None: ``{}``.
            timeout_s: how long to wait for each part.

        Raises:
            ConnectionClosed: nothing can be sent any more.
        """
        message_id = self._next_id()
        answers = self._answers[message_id] = Mailbox()
        self.send(type, content, id=message_id)
        return Stream(self, message_id, answers, timeout_s, f"part of the answer to {type!r}")

    async def receive(self, *, timeout_s: float = TIMEOUT_S) -> Message[Any]:
        """The next message that answers neither :meth:`request` nor :meth:`stream`.

        Raises:
            ConnectionClosed: the connection has ended, and everything has been received.
            TimeoutError: none came in time.
        """
        return await self._inbox.get(timeout_s, "message")

    def send(self, type: str, content: Any = None, **fields: Any) -> str:
        """Send a message without waiting; its answers come through :meth:`receive`.

        Args:
            type: the message type.
            content: the content; None: ``{}``.
            fields: other fields of the envelope: ``id`` (default: a new one; None: none at all),
                ``ack``, ``session_id``, ``timestamp``.

        Returns:
            The id of the message; "" for one without.

        Raises:
            ConnectionClosed: nothing can be sent any more.
        """
        if "id" not in fields:
            fields["id"] = self._next_id()
        message = Message(type=type, content={} if content is None else content, **fields)
        payload = self._codec.encode(message)
        self.send_raw(payload if self._codec.binary else payload.decode())
        return message.id or ""

    def send_raw(self, payload: str | bytes) -> None:
        """Send one WebSocket message, whatever is in it: ``str`` as text, ``bytes`` as binary.

        Raises:
            ConnectionClosed: nothing can be sent any more.
        """
        self._wire.send(payload)

    def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are, frames or not."""
        self._wire.link.send(data)

    def _next_id(self) -> str:
        return str(next(self._ids))

    # The connection

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and wait until the connection has ended."""
        self._wire.close(code, reason)
        await self.wait_closed()

    async def drop(self) -> None:
        """Lose the connection without a word, as when a cable is cut."""
        self._wire.link.drop()
        await self._wire.gone()

    async def abandon(self) -> None:
        """Lose the connection if there is one, at whatever stage it is."""
        if self._wire.attached:
            await self.drop()

    async def wait_closed(self, *, timeout_s: float = TIMEOUT_S) -> tuple[int, str]:
        """Wait until the connection has ended; returns code and reason.

        Raises:
            TimeoutError: it has not ended in time.
        """
        with anyio.move_on_after(timeout_s):
            await self._wire.gone()
        if self.closed is None:
            raise TimeoutError(f"the connection was not closed within {timeout_s:g} s")
        return self.closed

    def pause_reading(self) -> None:
        """Read nothing more: what the server sends piles up, as with a slow client."""
        self._wire.link.pause_peer()

    def resume_reading(self) -> None:
        """Read again, beginning with what piled up."""
        self._wire.link.resume_peer()

    async def advance(self, seconds: float = 0) -> None:
        """Let time pass, and everything happen that is due by then.

        Args:
            seconds: of the event loop's clock; 0: until nothing can run any more.
        """
        await anyio.sleep(seconds + SETTLE_S)

    # What comes

    def _received(self, payload: str | bytes) -> None:
        try:
            message = _decode(self._codec, payload)
        except ProtocolError as error:
            self._end(error)
            self._wire.link.drop()
            return
        if not message.transient and message.type not in _UNNUMBERED:
            self.seq += 1
        answers = self._answers.get(message.reply_to) if message.reply_to is not None else None
        if answers is None:
            self._inbox.put(message)
            return
        answers.put(message)
        if message.final:
            assert message.reply_to is not None
            del self._answers[message.reply_to]

    def _lost(self, code: int, reason: str) -> None:
        self.closed = (code, reason)
        self._end(ConnectionClosed(code, reason))

    def _end(self, error: ConnectionClosed | ProtocolError) -> None:
        self._inbox.end(error)
        for answers in self._answers.values():
            answers.end(error)
        self._answers.clear()


class Stream:
    """The parts of one answer, as they come; ended by the final answer.

    Attributes:
        id: of the message that is answered, to cancel it by.
        final: the final answer, once it has come.

    Raises:
        RequestError: when iterated: the final answer is an error.
        ConnectionClosed: when iterated: the connection ended before the final answer.
        TimeoutError: when iterated: no part came in time.
    """

    def __init__(
        self, client: TestClient, message_id: str, answers: Mailbox, timeout_s: float, wanted: str
    ) -> None:
        self._client = client
        self._answers = answers
        self._timeout_s = timeout_s
        self._wanted = wanted
        self.id = message_id
        self.final: Message[Any] | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message[Any]:
        if self.final is not None:
            raise StopAsyncIteration
        message = await self._answers.get(self._timeout_s, self._wanted)
        if not message.final:
            return message
        self.final = message
        if message.type == "error":
            raise _error_of(message)
        raise StopAsyncIteration

    async def cancel(self) -> bool:
        """Ask the server to stop the handler; its final answer is the error ``cancelled``.

        Returns:
            Whether there was anything to stop.
        """
        answer = await self._client.request("cancel", {"id": self.id})
        cancelled: bool = answer.content["cancelled"]
        return cancelled


def _decode(codec: Codec, payload: str | bytes) -> Message[Any]:
    if isinstance(payload, bytes) is not codec.binary:
        raise ProtocolError(1003, f"the server sent the wrong kind of frame: {payload!r}")
    try:
        return codec.decode(payload)
    except InvalidMessage as error:
        raise ProtocolError(1007, f"the server sent no valid message: {payload!r}") from error


def _error_of(message: Message[Any]) -> RequestError:
    content = msgspec.convert(message.content, _ErrorContent)
    return RequestError(
        content.code,
        content.message,
        retryable=content.retryable,
        details=content.details,
        retry_after_ms=content.retry_after_ms,
    )


class _ErrorContent(msgspec.Struct, rename="camel"):
    code: str
    message: str
    retryable: bool
    details: Any = None
    retry_after_ms: int | None = None
