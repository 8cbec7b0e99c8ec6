"""The way of a message: from its payload to its one final answer.

:meth:`Dispatcher.message_received` runs in the transport's callback and never waits: it decodes,
asks the ledger, and begins the handler, or queues the message while another one of its connection
is at work. So the messages of a connection are handled one at a time, in order. A handler that
waits is taken over by a worker, which then serves the queue.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from ..errors import AnswerError, InvalidMessage, Refused
from ..hooks.containment import escaping_part
from ..messages import Message, check_type, convert_content
from ..routing import Route
from ..session import Session, Verdict
from .accepted import Accepted
from .builtin import BUILTIN_TYPES, IMMEDIATE_TYPES
from .endings import Endings
from .running import run_route
from .sending import REPLIED
from .watching import watched_gates
from .workers import LATER, Begun, Stopped

if TYPE_CHECKING:
    from .connection import Connection

_NEW: Final = Verdict.NEW  # in Python 3.11 an enum is slow to find its members
_UNCOMMON_TYPES: Final = IMMEDIATE_TYPES | {"init"}


class Dispatcher(Endings):
    """Accepts messages, runs their handlers, and sees that each is answered exactly once."""

    __slots__ = ("_alone", "_followed", "_unwrapped")

    def listen(self) -> None:
        """See :meth:`Reception.listen`."""
        super().listen()
        hooks = self.hooks
        self._followed = bool(self.sender.observed or hooks.message_handled)
        """Does anybody want to know how a message was answered?"""
        self._unwrapped = not (hooks.message_sending or self._message_call)
        """Is nothing around a handler behind the gates?"""
        surrounded = hooks.message_received or self._listened or not self._unwrapped
        self._alone = (
            self._builtins.routes
            if surrounded
            else {
                **{name: route for name, route in self._routes.items() if route.plain},
                **self._builtins.routes,
            }
        )
        """Routes with nothing around their handler."""

    def message_received(self, link: Any, payload: str | bytes) -> None:
        """Take one message of a client."""
        connection: Connection = link.owner
        self._counters.received += 1
        codec = connection.codec
        if (type(payload) is bytes) is not codec.binary:
            connection.close(1003, f"{codec.subprotocol} uses the other kind of frame")
            return
        try:
            message = codec.decode(payload)
            message_type = message.type
            if message_type not in self._routes and message_type not in BUILTIN_TYPES:
                _check_type(message)
        except InvalidMessage as error:
            connection.speak()
            self.refuse(connection, error, error.message_id)
            return
        if (
            connection.taking
            and message.ack is None
            and message.session_id is None
            and message_type not in _UNCOMMON_TYPES
        ):
            self.accept(connection, message)
        else:
            self._take(connection, message)

    def _take(self, connection: Connection, message: Message[Any]) -> None:
        """Take a message that may be the first, or have something to say besides its content."""
        if connection.put_off(message):
            return
        if message.type == "init":
            self.beginning.received(connection, message)
            return
        if not connection.heard:
            connection.speak()
        session = connection.session
        if message.ack is not None and not session.acknowledge(message.ack):
            self.refuse(connection, _acknowledges_too_much(message.ack), message.id)
        elif message.session_id is not None and message.session_id != session.id:
            self.refuse(connection, Refused("wrong_session"), message.id)
        elif message.type in IMMEDIATE_TYPES:
            self._builtins.immediate(connection, message)
        else:
            self.accept(connection, message)

    def accept(self, connection: Connection, message: Message[Any]) -> None:
        """Enter a message into the ledger and handle or queue it, or answer it at once."""
        session = connection.session
        message_id = message.id
        named = message_id is not None
        if message_id is None:
            message_id = message.id = self.sender.next_id()
        accepted = Accepted(self.node, session, connection, message, message_id, named)
        verdict = session.accept(message_id, accepted)
        if verdict is _NEW:
            if self.draining or (self.journal is not None and self.journal.overloaded):
                self._decline(accepted)
                return
            self._counters.accepted += 1
            if session.serving:
                inbox = session.inbox
                if inbox is None:
                    inbox = session.inbox = deque()
                accepted.queued_at = self.node.now()
                inbox.append(accepted)
            else:
                session.serving = True
                self._begin(accepted)
        elif verdict is Verdict.ANSWERED:
            connection.push(session.ledger.answer(message_id))
        elif verdict is Verdict.FULL:
            limit = session.ledger.max_in_flight
            error = Refused("too_many_in_flight", details={"limit": limit})
            self.refuse(connection, error, message_id)

    def take_backlog(self, connection: Connection) -> None:
        """Take what a client has sent while its ``init`` was being decided."""
        for message in connection.take_backlog():
            if message.type == "init" or connection.open:
                self._take(connection, message)

    def _decline(self, accepted: Accepted) -> None:
        """Answer a message that comes too late, or while nothing can be stored."""
        connection = accepted.connection
        error = self._builtins.draining() if self.draining else Refused("unavailable")
        accepted.session.ledger.settle(accepted.id, None)
        accepted.settled = True
        self._counters.refused[error.code] += 1
        if accepted.session.watched is not None:
            accepted.session.watched.tell("failed", accepted.id, error.code, None)
        message = self.sender.answering(accepted, "error", error.content())
        frame = self.sender.frame(connection.codec, message)
        if accepted.message.type == "init":
            connection.push_first(frame, speaks=True)
        else:
            connection.push_answer(frame, accepted.id, remember=False)
        self.sender.sent(connection, message)

    def refuse(self, connection: Connection, error: AnswerError, message_id: str | None) -> None:
        """Answer a message that is not accepted."""
        self._counters.refused[error.code] += 1
        if connection.session.watched is not None:
            connection.session.watched.tell("failed", message_id, error.code, None)
        self.sender.error(connection, error, message_id)

    def _begin(self, accepted: Accepted) -> None:
        """Handle a message at once, as far as it need not wait: most come to their end here."""
        session = accepted.session
        workers = self.node.workers
        try:
            result = workers.begin(self._process, accepted, self._serve)
            if result is LATER:
                return
            message = self._answer(accepted, result)
        except BaseException as error:  # noqa: BLE001 - _failed() sorts it out
            workers.submit(self._serve_after, (accepted, self._failed, error))
            return
        if self._followed and message is not None:
            workers.submit(self._serve_after, (accepted, self._follow, message))
        elif session.inbox:
            workers.submit(self._serve_inbox, session)
        else:
            session.serving = False

    async def _serve_after(self, what: tuple[Accepted, Callable[..., Any], Any]) -> None:
        """Do what is left to do for a message, then serve those that wait for their turn."""
        accepted, rest, argument = what
        await rest(accepted, argument)
        await self._serve_inbox(accepted.session)

    async def _serve(self, accepted: Accepted, begun: Begun | None = None) -> None:
        """Handle a message, and those that its connection sends meanwhile, one after the other."""
        session = accepted.session
        turn = session.turn
        while True:
            if begun is not None or accepted.stopping is None:
                await self._conclude(accepted, begun)
            else:  # while it waited for its turn
                await self.answer_stopped(accepted)
            if session.turn != turn:  # it took too long; another worker serves by now
                return
            inbox = session.inbox
            if not inbox:
                break
            accepted, begun = inbox.popleft(), None
        session.serving = False

    async def _serve_inbox(self, session: Session[Accepted]) -> None:
        """Handle what waits in a session's inbox; it is marked as being served."""
        inbox = session.inbox
        if inbox:
            await self._serve(inbox.popleft())
        else:
            session.serving = False

    async def _conclude(self, accepted: Accepted, begun: Begun | None) -> None:
        """Run a message's handler, or the rest of it, and answer with what comes of it."""
        try:
            code = begun or self._process(accepted)
            message = self._answer(accepted, await self.node.workers.contained(code, accepted))
        except BaseException as error:  # noqa: BLE001 - _failed() sorts it out
            await self._failed(accepted, error)
        else:
            if self._followed and message is not None:
                await self._follow(accepted, message)

    # What is run for a message

    def _process(self, accepted: Accepted) -> Coroutine[Any, Any, Any]:
        """What is to run for a message: its handler alone, wherever that is all there is."""
        message = accepted.message
        if accepted.beside:
            return self._run(accepted, self._routes[message.type])
        accepted.started_at = self.node.now()
        route = self._alone.get(message.type)
        if route is None:
            return self._gated(accepted)
        accepted.route = route
        if route.content_type is not None:
            convert_content(message, route.content_type, route.other_keys)
        return route.function(message, accepted.connection)  # type: ignore[return-value]  # plain

    async def _gated(self, accepted: Accepted) -> Any:
        """Gates and handler.

        Returns:
            The final answer, or with ``accepted.route`` set what the handler returned; None when a
            concurrent handler goes on beside.
        """
        connection, message = accepted.connection, accepted.message
        if self.hooks.message_received:
            timeout_s = self._config.message_timeout_s
            accepted.deadline = None if timeout_s is None else self.node.now() + timeout_s
            if accepted.session.watched is None:
                await self.hooks.gate(self.hooks.message_received, connection, message)
            else:
                await watched_gates(self.hooks, accepted)
        if self._listened:
            await self._events.emit("message:received", message, connection)
        route = self._routes.get(message.type)
        if route is None:
            raise self._handlers.unknown(message.type, connection.identity)
        if route.requires:
            route.check(connection.identity)
        if route.content_type is not None:
            convert_content(message, route.content_type, route.other_keys)
        if route.concurrent:
            accepted.beside = True
            self.node.workers.submit(self._beside, accepted)
            return None
        if route.plain and self._unwrapped:
            accepted.route = route
            timeout_s = route.timeout_s
            accepted.deadline = None if timeout_s is None else self.node.now() + timeout_s
            return await route.function(message, connection)  # type: ignore[misc]  # plain
        return await self._run(accepted, route)

    async def _beside(self, accepted: Accepted) -> None:
        """Run a concurrent handler in a worker of its own."""
        if accepted.stopping is None:
            await self._conclude(accepted, None)
        else:
            await self.answer_stopped(accepted)

    async def _run(self, accepted: Accepted, route: Route) -> Message[Any]:
        """Handler, middleware, and what plugins make of the answer."""
        accepted.deadline = None if route.timeout_s is None else self.node.now() + route.timeout_s
        sender = self.sender
        result = await run_route(route, accepted, sender, self._message_call)
        message = sender.reply(accepted, route, result)
        if self.hooks.message_sending:  # while it can still be stopped
            message = await sender.transformed(accepted.connection, message)
        return message

    # What comes of it

    def _answer(self, accepted: Accepted, result: Any) -> Message[Any] | None:
        """Answer a message with what its handler returned.

        Returns:
            The answer; None when a concurrent handler goes on beside.

        Raises:
            Stopped: it is being stopped.
            TypeError, ValueError: the result cannot be encoded.
        """
        route, sender = accepted.route, self.sender
        message: Message[Any]
        if route is not None:
            message = sender.reply(accepted, route, result)
        elif result is not None:
            message = result
        else:
            return None
        if accepted.stopping is not None:
            raise Stopped
        sender.settle(accepted, message, REPLIED)
        self._counters.handler_seconds += self.node.now() - accepted.started_at  # type: ignore[operator]
        return message

    async def _follow(self, accepted: Accepted, message: Message[Any]) -> None:
        """Tell plugins and listeners how a message was answered."""
        if self.sender.observed:
            await self.sender.tell(accepted.connection, message)
        if self.hooks.message_handled:
            await self.handled(accepted)

    async def _failed(self, accepted: Accepted, error: BaseException) -> None:
        """Answer a message whose handler raised, or was stopped."""
        if type(error) is Stopped or (
            accepted.stopping is not None and escaping_part(error) is None
        ):
            await self.answer_stopped(accepted)
        else:
            await self.answer_error(accepted, error)


def _check_type(message: Message[Any]) -> None:
    try:
        check_type(message.type)
    except InvalidMessage as error:
        error.message_id = message.id
        raise


def _acknowledges_too_much(number: int) -> InvalidMessage:
    return InvalidMessage(
        "invalid_envelope",
        "The message acknowledges more than was sent.",
        details=[{"path": "$.ack", "message": f"{number} was not sent yet"}],
    )
