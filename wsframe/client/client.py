"""The client that applications use: the public face of everything else in this package."""

from __future__ import annotations

import math
import random as chance
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

import anyio
import anyio.abc
from anyio.lowlevel import checkpoint

from ..messages import Codec, Message, MessageIds, json_codec, msgpack_codec
from ..protocol.deflate import DeflateSettings
from .address import parse
from .conversation import Conversation
from .deliveries import Deliveries
from .dialing import Connector, Dialer
from .introduction import AuthenticateBy, Introduction
from .lifeline import Lifeline
from .reconnect import Backoff
from .status import Status, StatusBoard, StatusWatcher
from .stream import Messages, Stream
from .ticket import Ticket
from .tokens import Token, TokenSource

if TYPE_CHECKING:
    import ssl

_ENVELOPE_BYTES = 256
"""What the id and ``ack`` add to the size of a message, at most."""
_CODECS: Mapping[str, Codec] = {"json": json_codec, "msgpack": msgpack_codec}


class Client:
    """A client of one server: ``async with Client("ws://127.0.0.1:3001/ws") as client: …``.

    It keeps one session, connects again by itself when a connection is lost, and resumes. It
    belongs to the event loop, and the task, that entered it; all of that event loop's tasks may
    use it.

    Args:
        url: of the server, ``ws://…`` or ``wss://…``.
        token: proves who the client is; a function, async or not, is called when a token is
            needed, and again when the server finds the token expired. None: no token.
        authenticate_by: where the token goes: into the message ``"init"``, the ``"header"``
            ``Authorization``, or a ``"subprotocol"``.
        subprotocol: how messages travel, as ``"json"`` or as ``"msgpack"``.
        headers: added to the handshake, such as ``Origin``.
        ssl_context: for ``wss://``; None: certificates are checked against those that the machine
            trusts.
        unix_socket: path of a Unix socket to connect to; the URL still says host and path.
        proxy: URL of an HTTP proxy; ``"environment"``: the one that ``HTTP_PROXY``,
            ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` name, if any; None: none.
        connector: makes the byte streams, instead of the three above.
        compression: offer permessage-deflate.
        max_message_bytes: of one message from the server, before and after inflation.
        open_timeout_s: entering the client waits so long for the first session; None: as long as
            it takes; 0: not at all.
        connect_timeout_s: for one attempt, from the name of the host to the answer to ``init``.
        close_timeout_s: leaving the client waits so long for messages of :meth:`send` to be
            answered, and so long again for the server's goodbye.
        timeout_s: how long an answer is waited for, unless a call says otherwise.
        retries: how often a message is sent again after an error marked retryable.
        backoff_base_s: limit of the first random pause before a new connection or a retry; it
            doubles each time.
        backoff_cap_s: the largest limit of these pauses.
        ack_every: acknowledge after so many messages of the server …
        ack_delay_s: … or so many seconds.
        max_pending: messages that wait for their final answer at the same time.
        max_queued: pushed messages that are kept until :meth:`messages` gives them out.
        max_queued_parts: parts of one stream that are kept until they are taken.
        stall_timeout_s: so long the client stops reading for an application that has a full
            queue and takes nothing out.
        on_status: called with each new status.
        random: returns a number from 0 (included) to 1 (excluded), the jitter; None: Python's own.

    Raises:
        ValueError: the URL or a setting is malformed.
    """

    def __init__(
        self,
        url: str,
        *,
        token: Token = None,
        authenticate_by: AuthenticateBy = "init",
        subprotocol: Literal["json", "msgpack"] = "json",
        headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
        ssl_context: ssl.SSLContext | None = None,
        unix_socket: str | None = None,
        proxy: str | Literal["environment"] | None = "environment",
        connector: Connector | None = None,
        compression: bool = True,
        max_message_bytes: int = 16_777_216,
        open_timeout_s: float | None = 30.0,
        connect_timeout_s: float = 10.0,
        close_timeout_s: float = 5.0,
        timeout_s: float = 30.0,
        retries: int = 3,
        backoff_base_s: float = 0.25,
        backoff_cap_s: float = 30.0,
        ack_every: int = 32,
        ack_delay_s: float = 5.0,
        max_pending: int = 1_024,
        max_queued: int = 1_024,
        max_queued_parts: int = 256,
        stall_timeout_s: float = 5.0,
        on_status: Callable[[Status], object] | None = None,
        random: Callable[[], float] | None = None,
    ) -> None:
        address = parse(url)
        if subprotocol not in _CODECS:
            raise ValueError(f"subprotocol is 'json' or 'msgpack', not {subprotocol!r}")
        if authenticate_by not in {"init", "header", "subprotocol"}:
            raise ValueError("authenticate_by is 'init', 'header' or 'subprotocol'")
        if min(max_pending, max_queued_parts, ack_every) < 1 or ack_delay_s <= 0:
            raise ValueError("max_pending, max_queued_parts, ack_every, ack_delay_s are positive")
        self._codec = _CODECS[subprotocol]
        self._timeout_s = timeout_s
        self._retries = retries
        self._open_timeout_s = open_timeout_s
        self._close_timeout_s = close_timeout_s
        make_backoff = partial(Backoff, backoff_base_s, backoff_cap_s, random or chance.random)
        self._board = StatusBoard(on_status)
        self._conversation = Conversation(
            ids=MessageIds(secrets.token_hex(4)),
            max_pending=max_pending,
            max_pushed=max_queued,
            max_parts=max_queued_parts,
            ack_every=ack_every,
            ack_delay_s=ack_delay_s,
            make_backoff=make_backoff,
        )
        introduction = Introduction(
            connector
            or Dialer(address, ssl_context=ssl_context, unix_socket=unix_socket, proxy=proxy),
            address,
            TokenSource(token),
            authenticate_by=authenticate_by,
            subprotocol=self._codec.subprotocol,
            headers=tuple(headers.items()) if isinstance(headers, Mapping) else tuple(headers),
            deflate=DeflateSettings() if compression else None,
            max_message_bytes=max_message_bytes,
        )
        self._lifeline = Lifeline(
            self._conversation,
            introduction,
            self._board,
            backoff=make_backoff(),
            connect_timeout_s=connect_timeout_s,
            stall_timeout_s=stall_timeout_s,
            ack_delay_s=ack_delay_s,
        )
        self._tasks: anyio.abc.TaskGroup | None = None
        self._deliveries = Deliveries(timeout_s)
        self._closing = False

    # What can be seen

    @property
    def status(self) -> Status:
        """``connecting``, ``open``, ``resumed``, ``gap`` or ``closed``; see :class:`Status`."""
        return self._board.current

    def statuses(self) -> StatusWatcher:
        """An async iterator over the present status and each later one, until ``closed``."""
        return self._board.watch()

    @property
    def session_id(self) -> str | None:
        """Of the present session, or of the last one; None: there was none yet."""
        return self._conversation.session_id

    @property
    def messages_dropped(self) -> int:
        """Pushed messages that had to go because :meth:`messages` was not iterated over."""
        return self._conversation.pushed.dropped

    # Asking

    async def request(
        self,
        type: str,
        content: Any = None,
        *,
        timeout_s: float | None = None,
        message_id: str | None = None,
    ) -> Message[Any]:
        """Send a message and wait for its one final answer; parts are passed over.

        It survives lost connections: what may not have arrived is sent again with the same id,
        by which the server knows it. An error marked retryable is retried.

        Args:
            type: the message type.
            content: the content, anything that can be encoded; None: ``{}``.
            timeout_s: how long to wait, retries and reconnections included.
            message_id: 1-128 characters, unique within the session; None: a new id.

        Raises:
            RequestError: the final answer is an error; or ``timeout``, ``session_lost``,
                ``too_many_pending``, ``message_too_big``, ``closed``.
            ConnectError: the client has given up; the message may or may not have been handled.
            TypeError, ValueError: the content cannot be encoded, or the type or id is malformed.
        """
        ticket = self._ask(type, content, message_id=message_id, retries=self._retries)
        return await ticket.answer(self._timeout_s if timeout_s is None else timeout_s)

    def stream(
        self,
        type: str,
        content: Any = None,
        *,
        timeout_s: float | None = None,
        message_id: str | None = None,
    ) -> Stream:
        """Send a message and iterate over the parts of its answer.

        It survives lost connections. An error marked retryable is retried as long as no part has
        come. Leaving it early cancels the message.

        Args:
            type: the message type.
            content: the content; None: ``{}``.
            timeout_s: how long to wait for each part, the first one and the end included.
            message_id: as in :meth:`request`.

        Raises:
            RequestError: when iterated: as in :meth:`request`; also ``gap`` when parts may be
                lost, and ``slow_consumer`` when parts were not taken in time.
            ConnectError, TypeError, ValueError: when iterated: as in :meth:`request`.
        """
        ask = partial(
            self._ask,
            type,
            content,
            message_id=message_id,
            retries=self._retries,
            streamed=True,
        )
        return Stream(ask, self._lifeline, self._timeout_s if timeout_s is None else timeout_s)

    async def send(self, type: str, content: Any = None, *, message_id: str | None = None) -> str:
        """Send a message whose answer is of no interest; an error is logged.

        It is sent again and retried like a request, in the background, for ``timeout_s``.

        Args:
            type: the message type.
            content: the content; None: ``{}``.
            message_id: as in :meth:`request`.

        Returns:
            The id of the message.

        Raises:
            RequestError: ``too_many_pending``, ``closed``.
            ConnectError: the client has given up.
            TypeError, ValueError: as in :meth:`request`.
        """
        ticket = self._ask(type, content, message_id=message_id, retries=self._retries)
        assert self._tasks is not None
        self._deliveries.start(self._tasks, ticket)
        await checkpoint()
        return ticket.pending.id

    async def cancel(self, message_id: str, *, timeout_s: float | None = None) -> bool:
        """Ask the server to stop handling a message; its final answer is the error ``cancelled``.

        Args:
            message_id: what :meth:`send` returned, ``stream.id``, or your own.
            timeout_s: how long to wait for the answer.

        Returns:
            Whether there was anything to stop.

        Raises:
            RequestError, ConnectError: as in :meth:`request`.
        """
        answer = await self.request("cancel", {"id": message_id}, timeout_s=timeout_s)
        content = answer.content
        return isinstance(content, dict) and content.get("cancelled") is True

    def messages(self) -> Messages:
        """Iterate over what the server pushes: each message once, in order.

        A message counts as received when it is in this queue, which is bounded. While somebody
        iterates, a full queue makes the client stop reading, and the server keeps the rest. When
        nothing is taken out for ``stall_timeout_s``, or nobody has begun to iterate, the oldest
        messages make room, so that requests still get their answers: ``messages_dropped`` counts
        them, and for somebody who has begun to iterate the status becomes ``gap``.

        Several iterators share the messages among them.

        Raises:
            ConnectError: when iterated: the client has given up.
        """
        return Messages(self._conversation.pushed, self._lifeline)

    def _ask(
        self,
        type: str,
        content: Any,
        *,
        message_id: str | None,
        retries: int,
        streamed: bool = False,
    ) -> Ticket:
        if self._tasks is None or self._closing or self._lifeline.ended:
            raise self._lifeline.error()
        content = {} if content is None else content
        size = len(self._codec.encode(Message(type=type, content=content))) + _ENVELOPE_BYTES
        return Ticket(
            self._conversation,
            self._lifeline.wake,
            type,
            content,
            message_id=message_id,
            retries=retries,
            streamed=streamed,
            size=size,
        )

    # Beginning and end

    async def __aenter__(self) -> Self:
        if self._tasks is not None:
            raise RuntimeError("a client can be entered once")
        tasks = anyio.create_task_group()
        self._tasks = await tasks.__aenter__()
        try:
            watcher = self.statuses()
            tasks.start_soon(self._lifeline.run)
            if self._open_timeout_s != 0:
                await self._wait_open(watcher)
            self._board.forget(watcher)
        except BaseException as error:
            await self._leave(error)
            raise
        return self

    async def _wait_open(self, watcher: StatusWatcher) -> None:
        timeout_s = math.inf if self._open_timeout_s is None else self._open_timeout_s
        with anyio.move_on_after(timeout_s):
            async for status in watcher:
                if status in {Status.OPEN, Status.RESUMED, Status.GAP}:
                    return
        raise self._lifeline.not_open(timeout_s)

    async def close(self) -> None:
        """End the session: the server is told that the client will not come back.

        Waits, within ``close_timeout_s``, for the answers to what :meth:`send` has sent; whatever
        else waits for an answer ends with the error ``closed``. Closing twice does no harm.
        """
        if self._tasks is None or self._closing:
            return
        self._closing = True
        if self._conversation.connected:
            with anyio.move_on_after(self._close_timeout_s):
                await self._deliveries.done()
        self._conversation.end(self._lifeline.error)
        self._lifeline.close()
        with anyio.move_on_after(self._close_timeout_s):
            await self._lifeline.finished()
        self._tasks.cancel_scope.cancel()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if error is None:
            try:
                await self.close()
            except BaseException as cancelled:
                await self._leave(cancelled)
                raise
        return await self._leave(error)

    async def _leave(self, error: BaseException | None) -> bool | None:
        """End all tasks; a failure in the body stays what it is, without a group around it."""
        tasks = self._tasks
        assert tasks is not None
        self._closing = True
        self._lifeline.close()
        if isinstance(error, anyio.get_cancelled_exc_class()):
            tasks.cancel_scope.cancel()
            return await tasks.__aexit__(type(error), error, error.__traceback__)
        with anyio.move_on_after(self._close_timeout_s, shield=True):
            await self._lifeline.finished()
        tasks.cancel_scope.cancel()
        await tasks.__aexit__(None, None, None)
        return None
