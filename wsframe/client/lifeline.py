"""Keeps a conversation connected: dials, introduces itself, reads, writes, and comes back."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, Final

import anyio
import anyio.abc

from ..errors import (
    ConnectError,
    ConnectionClosed,
    ProtocolError,
    RequestError,
    RequestRefused,
)
from ..messages import Message
from ..protocol.closing import ABNORMAL
from ..protocol.heartbeat import Beat
from .answers import Opening, error_of, shown
from .conversation import Conversation
from .introduction import Introduction
from .link import FAREWELL_S, Link
from .pending import Pending
from .pulse import Pulse
from .pushed import PushedMessages
from .reconnect import STABLE_S, Backoff, Ending, Verdict, final_error, judge, seconds
from .signals import Signal
from .status import Status, StatusBoard
from .ticket import Ticket

log = logging.getLogger("wsframe.client")

MIN_INTERVAL_S: Final = 1.0
"""No server can make a client ping more often."""
_STATUS_OF: Final = {
    Opening.NEW: Status.OPEN,
    Opening.RESUMED: Status.RESUMED,
    Opening.GAP: Status.GAP,
}


class Lifeline:
    """The connections of one conversation, one after the other.

    Args:
        conversation: what is kept connected.
        introduction: makes a connection and its first message.
        board: shows the status.
        backoff: how long to wait between two connections.
        connect_timeout_s: for a connection and the answer to ``init``.
        stall_timeout_s: so long the reader waits for an application that takes nothing.
        ack_delay_s: see :class:`Conversation`.
    """

    def __init__(
        self,
        conversation: Conversation,
        introduction: Introduction,
        board: StatusBoard,
        *,
        backoff: Backoff,
        connect_timeout_s: float,
        stall_timeout_s: float,
        ack_delay_s: float,
    ) -> None:
        self._conversation = conversation
        self._introduction = introduction
        self._board = board
        self._backoff = backoff
        self._connect_timeout_s = connect_timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._ack_delay_s = ack_delay_s
        self._link: Link | None = None
        self._interruptible: anyio.CancelScope | None = None
        self._tasks: anyio.abc.TaskGroup | None = None
        self._thread = threading.get_ident()
        self._strays: deque[Pending] = deque()
        self._reading = True
        self._token_renewed = False
        self._renewing = False
        self._told_s: float | None = None
        self._warned = False
        self._closing = False
        self.last_ending: Ending | None = None
        """Of the last connection, or of the attempt at one."""
        self.failure: ConnectError | None = None
        """Why the client has given up."""
        self.ended = False
        """There will be no connection any more."""
        self.arrived = Signal()
        """Set when a pushed message has come, or none will come."""
        self.taken = Signal()
        """To be set when the application has taken a message or a part."""

    def error(self) -> RequestError | ConnectError:
        """What a message ends with when there will be no connection."""
        if self.failure is not None:
            return self.failure.again()
        return RequestError("closed", "The client is closed.")

    def not_open(self, timeout_s: float) -> ConnectError:
        """Why there has been no session within ``timeout_s``."""
        if self.failure is not None:
            return self.failure.again()
        hint = "Is the server running? open_timeout_s says how long to try."
        ending = self.last_ending
        if ending is None:
            return ConnectError(f"no session within {timeout_s:g} s", hint=hint)
        error = final_error(ending, hint)
        error.__cause__ = ending
        return error

    def wake(self) -> None:
        """There is something to send."""
        if self._link is not None:
            self._link.output_due.set()

    def abandon(self, pending: Pending) -> None:
        """Nobody waits for it any more; may be called in any thread, by the garbage collector."""
        if threading.get_ident() == self._thread:
            self._conversation.abandon(pending)
            self.wake()
        else:
            self._strays.append(pending)

    def close(self) -> None:
        """End: :meth:`run` returns when the server has answered, or when it is cancelled."""
        self._closing = True
        self.taken.set()
        if self._interruptible is not None:
            self._interruptible.cancel()
        elif self._link is not None:
            self._link.close(1000)

    async def run(self) -> None:
        """Connect again and again, until :meth:`close` or until that is of no use any more."""
        self._thread = threading.get_ident()
        try:
            while not self._closing:
                self._board.show(Status.CONNECTING)
                ending = await self._connection()
                if ending is not None:
                    await self._pause(ending)
        except ConnectError as error:
            log.error("gave up: %s", error)
            self.failure = error
        finally:
            self.ended = True
            self._conversation.end(self.error)
            self._board.show(Status.CLOSED)
            self.arrived.set()

    async def finished(self) -> None:
        """Wait until there will be no connection any more."""
        while not self.ended:
            await self._board.changed.wait()

    # Between connections

    async def _pause(self, ending: Ending) -> None:
        """Wait before the next attempt.

        Raises:
            ConnectError: there is no point in one.
        """
        self.last_ending = ending
        if self._closing:
            return
        verdict, hint, after_s = judge(ending)
        if verdict is Verdict.NEW_TOKEN:
            if self._token_renewed or not self._introduction.tokens.can_renew:
                verdict = Verdict.GIVE_UP
            else:
                self._token_renewed = True
                self._introduction.tokens.discard()
        if verdict is Verdict.GIVE_UP:
            raise final_error(ending, hint) from ending
        if verdict is Verdict.RETRY_LATE:
            delay_s = self._backoff.late_delay()
        else:
            delay_s = self._backoff.delay(self._told_s if after_s is None else after_s)
        self._told_s = None
        log.info("not connected (%s); next attempt in %.2f s", shown(ending), delay_s)
        with anyio.CancelScope() as self._interruptible:
            await anyio.sleep(delay_s)
        self._interruptible = None

    # One connection

    async def _connection(self) -> Ending | None:
        """Returns how it ended; None: it was interrupted before it was open."""
        link: Link | None = None
        try:
            with anyio.CancelScope() as self._interruptible:
                with anyio.fail_after(self._connect_timeout_s):
                    link = await self._introduction.connect()
                    self._link = link
                    pulse = await self._introduce(link)
                self._interruptible = None
                return await self._converse(link, pulse)
            return None
        except TimeoutError as error:
            if error.args:
                return error
            return TimeoutError(f"no connection within {self._connect_timeout_s:g} s")
        except (ConnectionClosed, RequestRefused, ProtocolError, RequestError, OSError) as error:
            return error
        finally:
            self._interruptible = None
            self._link = None
            self._conversation.disconnected()
            if link is not None:
                await link.aclose()

    async def _introduce(self, link: Link) -> Pulse:
        """Send ``init`` and take the answer; returns the heartbeat that the server wants.

        Raises:
            RequestError: the server refuses the session.
            ConnectionClosed, ProtocolError: there is no connection any more.
        """
        conversation = self._conversation
        link.send(conversation.hello(await self._introduction.content()))
        await link.flush()
        while not conversation.is_answer_to_hello(message := await link.receive()):
            self._take(message)
        opening, session = conversation.opened(message)
        times = session.heartbeat
        interval_s = max(times.interval_ms / 1000, MIN_INTERVAL_S) if times.interval_ms else 0.0
        timeout_s = max(times.timeout_ms / 1000, MIN_INTERVAL_S)
        self._told_s = None
        self._board.show(_STATUS_OF[opening])
        return Pulse(interval_s, timeout_s, anyio.current_time())

    async def _converse(self, link: Link, pulse: Pulse) -> Ending:
        """Read and write until the connection ends; returns why."""
        link.pulse = pulse
        opened_at = anyio.current_time()
        endings: list[Ending] = []

        async def until_it_ends(part: Callable[[Link], Awaitable[Ending]]) -> None:
            endings.append(await part(link))
            tasks.cancel_scope.cancel()

        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(until_it_ends, self._write)
            tasks.start_soon(until_it_ends, self._beat)
            await until_it_ends(self._read)
        self._tasks = None
        if anyio.current_time() - opened_at >= STABLE_S:
            self._backoff.reset()
            self._token_renewed = False
        return endings[0]

    async def _write(self, link: Link) -> Ending:
        conversation = self._conversation
        try:
            while True:
                while not link.congested and (due := conversation.next_message()) is not None:
                    self._send(link, *due)
                if not await link.flush():
                    await link.output_due.wait()
        except ConnectionClosed as ending:
            # The reader may know better: there may be a close frame on its way.
            await anyio.sleep(FAREWELL_S)
            return ending

    def _send(self, link: Link, message: Message[Any], pending: Pending | None) -> None:
        try:
            link.send(message)
        except (TypeError, ValueError) as error:  # it was changed since it was asked for
            if pending is None:
                raise
            self._conversation.fail(pending, RequestError("invalid_content", str(error)))

    async def _read(self, link: Link) -> Ending:
        conversation = self._conversation
        try:
            while True:
                message = await link.receive()
                if conversation.is_blocked_by(message) is not None:
                    await self._wait_for_room(message)
                if self._closing:
                    continue  # nobody is there to take it
                self._take(message)
                if conversation.has_due:
                    link.output_due.set()
        except (ConnectionClosed, ProtocolError) as ending:
            conversation.disconnected()
            with anyio.move_on_after(FAREWELL_S):  # for the answer to a close frame
                await link.drain()
            return ending

    def _take(self, message: Message[Any]) -> None:
        if self._conversation.receive(message, anyio.current_time()) and not self._warned:
            self._warned = True
            log.warning("nobody iterates over messages(): the oldest ones are dropped")
        if message.reply_to is not None:
            return
        if message.type == "system":
            self._heed(message.content)
        elif message.type == "error":
            log.warning("the server reports an error: %s", shown(error_of(message)))
        else:
            self.arrived.set()

    async def _wait_for_room(self, message: Message[Any]) -> None:
        """Read nothing more until the application has taken something, or takes nothing at all."""
        conversation = self._conversation
        self._reading = False
        try:
            while not self._closing and conversation.is_blocked_by(message) is not None:
                with anyio.move_on_after(self._stall_timeout_s):
                    await self.taken.wait()
                    continue
                self._go_on_without(conversation.is_blocked_by(message))
        finally:
            self._reading = True

    def _go_on_without(self, full: Pending | PushedMessages | None) -> None:
        """The application takes nothing: perhaps it waits for an answer that comes behind."""
        if isinstance(full, PushedMessages):
            log.warning("messages() is not iterated over any more: the oldest ones are dropped")
            full.listening = False
            self._board.show(Status.GAP)
        elif full is not None:
            text = "The parts of the answer were not taken in time."
            self._conversation.abandon(full, RequestError("slow_consumer", text))
            self.wake()

    def _heed(self, content: Any) -> None:
        """Do what the server asks every client to do."""
        event = content.get("event") if isinstance(content, dict) else None
        if event == "draining":
            after_ms = content.get("reconnectAfterMs")
            if isinstance(after_ms, (int, float)):
                self._told_s = seconds(after_ms)
        elif event == "token_expiring" and self._tasks is not None:
            self._tasks.start_soon(self._renew_token)

    async def _renew_token(self) -> None:
        tokens = self._introduction.tokens
        if self._renewing or not tokens.can_renew:
            return
        self._renewing = True
        try:
            tokens.discard()
            content = await self._introduction.token_content()
            if content is not None:
                ticket = Ticket(self._conversation, self.wake, "auth", content)
                await ticket.answer(self._connect_timeout_s)
        except RequestError as error:
            log.warning("the server did not take the new token: %s", shown(error))
        except ConnectError:
            return  # everybody else hears of it
        finally:
            self._renewing = False

    async def _beat(self, link: Link) -> Ending:
        """Acknowledge in time, ping a silent server, and give it up."""
        conversation = self._conversation
        while True:
            now = anyio.current_time()
            while self._strays:
                conversation.abandon(self._strays.popleft())
            conversation.acknowledge_by(now)
            if conversation.has_due:
                link.output_due.set()
            beat = link.pulse.check(now, reading=self._reading)
            if beat is Beat.DEAD:
                return ConnectionClosed(ABNORMAL, "the server is silent")
            if beat is Beat.PING:
                link.ping()
            due_at = now + self._ack_delay_s
            if conversation.ack_at is not None and conversation.ack_at > now:
                due_at = conversation.ack_at
            if link.pulse.due_at is not None:
                due_at = min(due_at, link.pulse.due_at)
            await anyio.sleep_until(due_at)
