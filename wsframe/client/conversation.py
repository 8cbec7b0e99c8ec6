"""A client's half of a session, without I/O: what was asked, what came, what to send next.

It outlives its connections. The shell asks for the first message of a connection
(:meth:`Conversation.hello`), hands in the answer to it (:meth:`~Conversation.opened`) and from then
on every message that comes (:meth:`~Conversation.receive`); it sends what
:meth:`~Conversation.next_message` gives, whenever there is something; and it says when the
connection is gone (:meth:`~Conversation.disconnected`).

A message counts as processed, and may be acknowledged, as soon as ``receive`` has returned. Before
that the shell waits until :meth:`~Conversation.is_blocked_by` is false: so a message that there is
no room for stays with the server, who sends it again on the next connection if need be.

The module is a little longer than others, because a state machine is read in one place.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

from ..errors import ConnectError, InvalidMessage, ProtocolError, RequestError
from ..messages import MAX_ID_CHARACTERS, Message, MessageIds, check_type
from .answers import Limits, Opening, SessionAnswer, error_of, session_of
from .pending import Pending, Stage
from .pushed import PushedMessages
from .reconnect import Backoff, seconds

_UNNUMBERED: Final = frozenset({"init", "pong"})
_URGENT: Final = frozenset({"cancel", "auth"})
"""Types that must not wait until others are answered."""


class Conversation:
    """One session after the other, as a client has them.

    Args:
        ids: makes the ids of messages.
        max_pending: messages without a final answer at most.
        max_pushed: pushed messages kept for the application at most.
        max_parts: parts of one streamed answer kept for the application at most.
        ack_every: acknowledge after so many numbered messages …
        ack_delay_s: … or so many seconds after the first one.
        make_backoff: makes the pauses between the attempts of one message.
    """

    def __init__(
        self,
        *,
        ids: MessageIds,
        max_pending: int,
        max_pushed: int,
        max_parts: int,
        ack_every: int,
        ack_delay_s: float,
        make_backoff: Callable[[], Backoff],
    ) -> None:
        self._ids = ids
        self._max_pending = max_pending
        self._max_parts = max_parts
        self._ack_every = ack_every
        self._ack_delay_s = ack_delay_s
        self._make_backoff = make_backoff
        self._pending: dict[str, Pending] = {}
        self._due: deque[Pending] = deque()
        self._urgent: deque[Pending | Message[Any]] = deque()
        self._in_flight: set[str] = set()
        self._init_id = ""
        self._attempts = 0
        self._secret = ""
        self._acknowledged = 0
        self._ack_now = False
        self.pushed = PushedMessages(max_pushed)
        self.session_id: str | None = None
        self.limits = Limits()
        """The server's."""
        self.seq = 0
        """How many numbered messages of this session were processed."""
        self.connected = False
        """Is there a connection on which ``init`` has been answered?"""
        self.ack_at: float | None = None
        """When to call :meth:`acknowledge_by`; None: everything is acknowledged."""

    # Asking

    def ask(
        self,
        type: str,
        content: Any,
        *,
        changed: Callable[[], None],
        size: int = 0,
        message_id: str | None = None,
        streamed: bool = False,
        retries: int = 0,
    ) -> Pending:
        """A new message; it will be sent when its turn comes.

        Args:
            type: its type.
            content: its content.
            changed: called whenever there is something new about it.
            size: bytes of the message when it is encoded, about.
            message_id: its id; None: a new one.
            streamed: keep the parts of the answer.
            retries: how often it may be sent again after an error that says so.

        Raises:
            RequestError: ``too_many_pending``.
            ValueError: the type or the id is malformed, or the id is in use.
        """
        try:
            check_type(type)
        except InvalidMessage:
            raise ValueError(f"{type!r} is no message type") from None
        if message_id is None:
            message_id = self._ids.next()
        elif not 1 <= len(message_id) <= MAX_ID_CHARACTERS or message_id in self._pending:
            raise ValueError(f"the id {message_id!r} is in use, empty or too long")
        if len(self._pending) >= self._max_pending:
            message = f"{self._max_pending} messages are waiting for their answer already."
            raise RequestError("too_many_pending", message, retryable=True)
        pending = Pending(
            message_id,
            type,
            content,
            size=size,
            streamed=streamed,
            retries=retries,
            backoff=self._make_backoff(),
            changed=changed,
        )
        self._pending[message_id] = pending
        self._enqueue(pending)
        return pending

    def retry(self, pending: Pending) -> None:
        """Send it again: its pause is over."""
        if pending.stage is Stage.RESTING:
            pending.stage = Stage.WAITING
            self._enqueue(pending)

    def abandon(self, pending: Pending, error: RequestError | None = None) -> None:
        """Nobody waits for it any more: the server need not go on with it.

        Args:
            pending: the message; nothing happens if it has ended.
            error: what it ends with.
        """
        if pending.done:
            return
        told = self.connected and pending.stage is Stage.SENT and pending.type not in _URGENT
        self._drop(pending)
        pending.error = error
        if told:
            self._cancel(pending.id)
        pending.changed()

    def fail(self, pending: Pending, error: RequestError | ConnectError) -> None:
        """Let it end with ``error``, unless it has ended."""
        if not pending.done:
            self._drop(pending)
            pending.error = error
            pending.changed()

    def end(self, make_error: Callable[[], RequestError | ConnectError]) -> None:
        """There will be no connection any more: everything that waits ends with an error."""
        self.connected = False
        for pending in list(self._pending.values()):
            self.fail(pending, make_error())

    def pending(self) -> list[Pending]:
        """The messages without a final answer, oldest first."""
        return list(self._pending.values())

    # A connection begins and ends

    def hello(self, content: Mapping[str, Any]) -> Message[Any]:
        """The first message of a connection: ``init``, which resumes the session if there is one.

        Args:
            content: what else stands in it.
        """
        self._init_id = self._ids.next()
        self._attempts += 1
        content = dict(content)
        if self.session_id is not None:
            content["resume"] = {
                "sessionId": self.session_id,
                "secret": self._secret,
                "seq": self.seq,
                "attempt": self._attempts,
            }
        return Message(type="init", id=self._init_id, content=content)

    def is_answer_to_hello(self, message: Message[Any]) -> bool:
        """Is this what the server makes of ``init``?"""
        return message.reply_to == self._init_id and message.final is True

    def opened(self, message: Message[Any]) -> tuple[Opening, SessionAnswer]:
        """Take the answer to ``init``: what can be sent, what was lost.

        Raises:
            RequestError: the server refuses the session.
            ProtocolError: the answer makes no sense.
        """
        session = session_of(message)
        if not session.resumed:
            opening = Opening.NEW
            self._begin()
        elif self.session_id != session.session_id:
            raise ProtocolError(1002, "the answer to init resumes a session that is not ours")
        elif session.gap is None and session.seq != self.seq:
            raise ProtocolError(1002, "the answer to init names another number than ours")
        else:
            opening = Opening.RESUMED if session.gap is None else Opening.GAP
            self._resume(session, lossless=session.gap is None)
        self.session_id = session.session_id
        self._secret = session.secret
        self.seq = self._acknowledged = session.seq
        self.ack_at = None
        self._ack_now = False
        self.limits = session.limits
        self.connected = True
        return opening, session

    def _begin(self) -> None:
        self._in_flight.clear()
        for pending in list(self._pending.values()):
            if pending.was_sent:
                message = "The session is over, and with it the answer, if there was one."
                self.fail(pending, RequestError("session_lost", message, retryable=True))

    def _resume(self, session: SessionAnswer, *, lossless: bool) -> None:
        in_flight = set(session.in_flight)
        for pending in list(self._pending.values()):
            known = pending.id in in_flight
            if known:
                self._expect(pending)
            if not pending.was_sent:
                continue
            if pending.streamed and not lossless:
                # Nobody can tell whether its parts are among those that are lost.
                message = "Parts of the answer may be lost."
                self.fail(pending, RequestError("gap", message, retryable=True))
            elif pending.streamed and pending.part_count and not known:
                # Sent again, it would begin with the first part again.
                message = "The server has lost the message, and the rest of its answer."
                self.fail(pending, RequestError("interrupted", message, retryable=True))
            elif not known:
                pending.part_count = 0
                pending.stage = Stage.WAITING
        self._due.clear()
        self._urgent.clear()
        self._in_flight.clear()
        for pending in self._pending.values():
            if pending.stage is Stage.WAITING:
                self._enqueue(pending)
            elif pending.stage is Stage.SENT and pending.type not in _URGENT:
                self._in_flight.add(pending.id)
        for message_id in session.in_flight:
            if message_id not in self._pending:  # nobody waits for it any more
                self._cancel(message_id)

    def _expect(self, pending: Pending) -> None:
        """Its answer comes, now or later, even if we have had one: that one was not stored."""
        resting = pending.stage is Stage.RESTING
        pending.stage = Stage.SENT
        pending.was_sent = True
        if resting:
            pending.changed()

    def disconnected(self) -> None:
        """The connection is gone."""
        self.connected = False
        self._urgent = deque(each for each in self._urgent if isinstance(each, Pending))

    # Sending

    @property
    def has_due(self) -> bool:
        """May there be something to send?"""
        return self.connected and bool(self._urgent or self._due or self._ack_now)

    def next_message(self) -> tuple[Message[Any], Pending | None] | None:
        """What to send now, and whose message it is; None: nothing for the moment."""
        if not self.connected:
            return None
        while self._urgent:
            urgent = self._urgent.popleft()
            if not isinstance(urgent, Pending):
                return self._acknowledging(urgent), None
            if urgent.stage is Stage.WAITING:
                return self._send(urgent)
        limits = self.limits
        while self._due and not 0 < limits.max_in_flight <= len(self._in_flight):
            pending = self._due.popleft()
            if pending.stage is not Stage.WAITING:
                continue
            if 0 < limits.max_message_bytes < pending.size:
                text = f"The server takes {limits.max_message_bytes} bytes in one message at most."
                self.fail(pending, RequestError("message_too_big", text))
            else:
                return self._send(pending)
        if self._ack_now:
            return self._acknowledging(Message(type="ack")), None
        return None

    def _send(self, pending: Pending) -> tuple[Message[Any], Pending]:
        pending.stage = Stage.SENT
        pending.was_sent = True
        if pending.type not in _URGENT:
            self._in_flight.add(pending.id)
        message = Message(type=pending.type, id=pending.id, content=pending.content)
        return self._acknowledging(message), pending

    def _acknowledging(self, message: Message[Any]) -> Message[Any]:
        if self.seq > self._acknowledged:
            message.ack = self._acknowledged = self.seq
        self._ack_now = False
        self.ack_at = None
        return message

    def _enqueue(self, pending: Pending) -> None:
        (self._urgent if pending.type in _URGENT else self._due).append(pending)

    def _cancel(self, message_id: str) -> None:
        self._in_flight.add(message_id)  # until the server has answered it, one way or the other
        if len(self._urgent) < self._max_pending:
            message = Message(type="cancel", id=self._ids.next(), content={"id": message_id})
            self._urgent.append(message)

    def _drop(self, pending: Pending) -> None:
        pending.stage = Stage.DONE
        self._pending.pop(pending.id, None)
        self._in_flight.discard(pending.id)

    # Receiving

    def is_blocked_by(self, message: Message[Any]) -> Pending | PushedMessages | None:
        """The full queue that ``message`` belongs into; None: it can be taken."""
        if message.reply_to is None:
            return self.pushed if _is_pushed(message) and self.pushed.blocked else None
        pending = self._pending.get(message.reply_to)
        if pending is None or message.final is not False or not pending.streamed:
            return None
        return pending if len(pending.parts) >= self._max_parts else None

    def receive(self, message: Message[Any], now: float) -> bool:
        """Take a message that the server sent.

        What comes before the answer to ``init`` is not counted: that answer says where the count
        stands.

        Args:
            message: the message.
            now: seconds of a clock that never goes backwards.

        Returns:
            Whether an older pushed message was dropped for it.
        """
        if self.connected and not message.transient and message.type not in _UNNUMBERED:
            self.seq += 1
            if self.ack_at is None:
                self.ack_at = now + self._ack_delay_s
            if self.seq - self._acknowledged >= self._ack_every:
                self._ack_now = True
        if message.reply_to is None:
            return _is_pushed(message) and self.pushed.put(message)
        pending = self._pending.get(message.reply_to)
        if pending is not None:
            self._answered(pending, message)
        elif message.final is not False:
            self._in_flight.discard(message.reply_to)
        return False

    def acknowledge_by(self, now: float) -> None:
        """Acknowledge what has waited for it long enough."""
        if self.ack_at is not None and now >= self.ack_at:
            self._ack_now = True

    def _answered(self, pending: Pending, message: Message[Any]) -> None:
        if pending.stage is Stage.RESTING and not self._revived(pending, message):
            return
        if message.final is False:
            pending.part_count += 1
            if pending.streamed:
                pending.parts.append(message)
                pending.changed()
            return
        if message.type != "error":
            self._drop(pending)
            pending.answer = message
            pending.changed()
            return
        error = error_of(message)
        if not error.retryable or pending.retries <= 0 or pending.part_count:
            self.fail(pending, error)
            return
        pending.retries -= 1
        pending.stage = Stage.RESTING
        pending.was_sent = False  # with this answer the server has forgotten it
        pending.refusal = error
        told_s = seconds(error.retry_after_ms)
        pending.pause_s = pending.backoff.delay() if told_s is None else told_s
        self._in_flight.discard(pending.id)
        pending.changed()

    def _revived(self, pending: Pending, message: Message[Any]) -> bool:
        """Does ``message`` show that the server is at work again on what rests?

        It was sent once more right after ``init``, before the error that says to try again was
        read; so the answer comes by itself.
        """
        if message.final is not False and message.type == "error" and error_of(message).retryable:
            return False  # the answer that we know, a second time
        pending.stage = Stage.SENT
        pending.was_sent = True
        if pending.type not in _URGENT:
            self._in_flight.add(pending.id)
        pending.changed()
        return True


def _is_pushed(message: Message[Any]) -> bool:
    """Is it for the application, and not about the connection?"""
    return message.type not in {"system", "error", "init", "pong"}
