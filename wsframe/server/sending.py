"""Making frames of messages: ids, times, encoding, and who gets them."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio.lowlevel

from ..errors import AnswerError, InvalidMessage
from ..messages import Codec, Message, MessageIds, Reply, Timestamps, check_type
from ..protocol.frames import encode_binary, encode_text
from ..session import Outcome
from .broadcasting import push_all, push_all_unnumbered
from .meters import meter_failed
from .workers import isolated

if TYPE_CHECKING:
    from ..hooks import HookTable
    from ..routing import Coalesce, Route
    from .accepted import Accepted
    from .connection import Connection
    from .counters import Counters
    from .events import Events
    from .meters import Meter

log = logging.getLogger("wsframe.messages")

PARTS_AT_A_TIME = 16
"""A stream that never waits for anything lets others run after so many parts."""

MAX_MERGED_BYTES = 16_384
"""Parts are merged up to this size; then a new one begins."""

REPLIED: Final = Outcome.REPLIED  # in Python 3.11 an enum is slow to find its members

UNNUMBERED = frozenset({"init", "pong"})
"""Types that never count, even without ``transient``."""


class Sender:
    """Encodes messages and hands them to connections.

    Args:
        ids: makes the ids of the server's own messages.
        counters: what is counted.
        max_frame_bytes: an answer larger than this is replaced by ``message_too_big``.
    """

    __slots__ = (
        "_events",
        "_next_id",
        "_stamp",
        "counters",
        "hooks",
        "max_frame_bytes",
        "meters",
        "observed",
    )

    hooks: HookTable

    def __init__(
        self, ids: MessageIds, counters: Counters, events: Events, max_frame_bytes: int
    ) -> None:
        self._events = events
        self.observed = False
        """Does anybody want to know what is sent?"""
        self.meters: tuple[Meter, ...] = ()
        """They measure how messages are answered."""
        self._next_id = ids.next
        self._stamp = Timestamps().stamp
        self.counters = counters
        self.max_frame_bytes = max_frame_bytes

    def next_id(self) -> str:
        """An id for a message that has none."""
        return self._next_id()

    def message(
        self,
        message_type: str,
        content: Any,
        reply_to: str | None = None,
        final: bool | None = None,
        transient: bool | None = None,
    ) -> Message[Any]:
        """A message of the server, with its id and time."""
        return Message(
            type=message_type,
            id=self._next_id(),
            content=content,
            timestamp=self._stamp(time.time()),
            reply_to=reply_to,
            final=final,
            transient=transient,
        )

    def frame(self, codec: Codec, message: Message[Any]) -> bytes:
        """Encode a message as an uncompressed server frame.

        Raises:
            TypeError, ValueError: the content cannot be encoded.
        """
        payload = codec.encode(message)
        return encode_binary(payload) if codec.binary else encode_text(payload)

    async def finish(
        self,
        accepted: Accepted,
        message: Message[Any],
        outcome: Outcome,
        *,
        frees_id: bool = False,
    ) -> None:
        """Send the final answer of a message, unless it has one.

        Args:
            frees_id: the client may send the same id again.

        Raises:
            TypeError, ValueError: the content cannot be encoded; the message is still unanswered.
        """
        if self.settle(accepted, message, outcome, frees_id) and self.observed:
            await self.tell(accepted.connection, message)

    def reply(self, accepted: Accepted, route: Route, result: Any) -> Message[Any]:
        """The final answer of a message, made from what its handler returned."""
        message_type = route.reply_type
        if type(result) is Reply:
            message_type, result = result.type or message_type, result.content
        elif result is None:
            message_type, result = (message_type if route.streams else "ack"), {}
        return Message(
            type=message_type,
            id=self._next_id(),
            content=result,
            timestamp=self._stamp(time.time()),
            reply_to=accepted.id,
            final=True,
        )

    def answering(self, accepted: Accepted, message_type: str, content: Any) -> Message[Any]:
        """The final answer of a message, made from its type and content."""
        return self.message(message_type, content, accepted.id, True)

    def settle(
        self, accepted: Accepted, message: Message[Any], outcome: Outcome, frees_id: bool = False
    ) -> bool:
        """Decide that ``message`` is the final answer, and send it.

        Returns:
            True for the one call that decides, False for every later one.

        Raises:
            TypeError, ValueError: the content cannot be encoded; the message is still unanswered.
        """
        if accepted.settled:
            return False
        connection = accepted.connection
        codec = connection.codec
        payload = codec.encode(message)
        frame = encode_binary(payload) if codec.binary else encode_text(payload)
        if len(frame) > self.max_frame_bytes:
            error = AnswerError("message_too_big", "The answer is larger than the limit.")
            outcome = Outcome.FAILED
            message = self.message("error", error.content(), accepted.id, True)
            frame = self.frame(codec, message)
        remember = accepted.named and not frees_id
        if not accepted.session.ledger.settle(accepted.id, frame if remember else None):
            return False
        accepted.settled = True
        accepted.outcome = outcome
        if outcome is REPLIED:
            self.counters.replied += 1
        else:
            self.counters.ended_otherwise[outcome] += 1
        if accepted.message.type == "init":
            connection.push_first(frame, speaks=message.type == "init")
        else:
            connection.push_answer(frame, accepted.id, remember=remember)
        if self.meters:
            began = accepted.started_at
            elapsed_s = None if began is None else accepted.node.now() - began
            for meter in self.meters:
                try:
                    meter(accepted.message.type, outcome, elapsed_s)
                except BaseException as error:  # noqa: BLE001 - meter_failed() sorts it out
                    meter_failed("message", error)
        return True

    async def part(self, accepted: Accepted, route: Route, content: Any) -> None:
        """Send one part of a streamed answer; waits while the client reads too slowly."""
        connection = accepted.connection
        message = self.message(route.reply_type, content, reply_to=accepted.id, final=False)
        if self.hooks.message_sending:
            message = await self.transformed(connection, message)
        if accepted.settled:
            return
        accepted.parts += 1
        self.counters.parts += 1
        if route.coalesce is None or not self._merge(accepted, message, route.coalesce):
            frame = self.frame(connection.codec, message)
            if len(frame) > self.max_frame_bytes:
                raise AnswerError(
                    "message_too_big", "A part of the answer is larger than the limit."
                )
            connection.push(frame)
            if route.coalesce is not None:
                accepted.merged = accepted.session.outbox.count, message.content
        if accepted.session.watched is not None:
            accepted.session.watched.tell("part_sent", accepted.id, accepted.session.outbox.count)
        if self.observed:
            await self.tell(connection, message)
        if accepted.parts % PARTS_AT_A_TIME == 0:
            await anyio.lowlevel.checkpoint()
        if route.coalesce is None or accepted.session.outbox.crowded:
            await connection.drained()

    def _merge(self, accepted: Accepted, message: Message[Any], coalesce: Coalesce) -> bool:
        """Make one part of ``message`` and the one before it, if that was not written yet.

        Returns:
            False: it was, or both together are too large.
        """
        outbox = accepted.session.outbox
        if accepted.merged is None or outbox.cursor >= outbox.count:
            return False
        number, earlier = accepted.merged
        if number != outbox.count:  # something else has come between
            return False
        content = coalesce(earlier, message.content)
        connection = accepted.connection
        frame = self.frame(
            connection.codec, self.message(message.type, content, accepted.id, False)
        )
        if len(frame) > MAX_MERGED_BYTES:
            return False
        connection.replace_newest(frame)
        accepted.merged = number, content
        return True

    def error(
        self, connection: Connection, error: AnswerError, reply_to: str | None = None
    ) -> None:
        """Answer a message that was not accepted."""
        message = self.message("error", error.content(), reply_to=reply_to, final=True)
        self.counters.sent += 1
        connection.push(self.frame(connection.codec, message))
        self.sent(connection, message)

    def unnumbered(self, connection: Connection, message: Message[Any]) -> None:
        """Send a built-in or transient message at once."""
        self.counters.sent += 1
        connection.push_unnumbered(self.frame(connection.codec, message))
        self.sent(connection, message)

    def sent(self, connection: Connection, message: Message[Any]) -> None:
        """Tell plugins of a message that was sent from where nothing can be awaited."""
        if self.observed:
            connection.submit(self._sent, (connection, message))

    async def _sent(self, sent: tuple[Connection, Message[Any]]) -> None:
        await self.tell(*sent)

    @isolated
    async def tell(self, connection: Connection | None, message: Message[Any]) -> None:
        """Tell plugins and listeners what was sent."""
        if self.hooks.message_sent:
            await self.hooks.notify(self.hooks.message_sent, connection, message)
        await self._events.emit("message:sent", message, connection)

    async def send(self, connection: Connection, message: Mapping[str, Any]) -> None:
        """Send a message of the application to one connection.

        Raises:
            ValueError: it is no envelope, or its content cannot be encoded.
        """
        await self._push(connection, self._outgoing(message))

    async def deliver(self, connections: Collection[Any], message: Mapping[str, Any]) -> int:
        """Send a message to many connections; encodes it once, waits for none of them.

        Returns:
            The number of connections it was handed to.
        """
        outgoing = self._outgoing(message)
        if self.hooks.sends_per_receiver:
            return await self._deliver_each(connections, outgoing)
        if self.hooks.message_sending:
            outgoing = await self.transformed(None, outgoing)
        push = push_all_unnumbered if outgoing.transient else push_all
        count = push(connections, partial(self._encoded, message=outgoing))
        self.counters.sent += count
        if self.observed:
            await self.tell(None, outgoing)
        return count

    async def _deliver_each(self, connections: Collection[Any], message: Message[Any]) -> int:
        """Deliver where a plugin wants to see every receiver."""
        count = 0
        for connection in connections:
            if connection.reachable:
                try:
                    await self._push(connection, message)
                except AnswerError as error:  # refused for this receiver; the others get theirs
                    log.debug("message %s withheld from %s: %s", message.id, connection.id, error)
                else:
                    count += 1
        return count

    async def transformed(
        self, connection: Connection | None, message: Message[Any]
    ) -> Message[Any]:
        """The message as plugins want it to leave.

        Raises:
            AnswerError, CloseConnection: a plugin refuses it.
        """
        return await self.hooks.transform(self.hooks.message_sending, connection, message)

    def _outgoing(self, message: Mapping[str, Any]) -> Message[Any]:
        unknown = message.keys() - {"type", "content", "transient"}
        if unknown:
            raise ValueError(
                f"a message has 'type', 'content' and 'transient', not {sorted(unknown)}; "
                "the server sets everything else"
            )
        message_type = message.get("type")
        if not isinstance(message_type, str):
            raise ValueError(f"a message needs a 'type' that is a string, not {message_type!r}")
        try:
            check_type(message_type)
        except InvalidMessage as error:
            raise ValueError(error.message) from None
        if message_type in UNNUMBERED:
            raise ValueError(f"the type {message_type!r} is the protocol's own")
        return self.message(
            message_type,
            message.get("content", {}),
            transient=True if message.get("transient") else None,
        )

    def _encoded(self, codec: Codec, message: Message[Any]) -> bytes:
        try:
            frame = self.frame(codec, message)
        except TypeError as error:
            raise ValueError(
                f"the content of {message.type!r} cannot be encoded: {error}"
            ) from None
        if len(frame) > self.max_frame_bytes:
            raise ValueError(
                f"the message is {len(frame)} bytes, over the limit of {self.max_frame_bytes}"
            )
        return frame

    async def _push(self, connection: Connection, message: Message[Any]) -> None:
        if self.hooks.message_sending:
            message = await self.transformed(connection, message)
        frame = self._encoded(connection.codec, message)
        self.counters.sent += 1
        if message.transient or message.type in UNNUMBERED:
            connection.push_unnumbered(frame)
        else:
            connection.push(frame)
        if self.observed:
            await self.tell(connection, message)
