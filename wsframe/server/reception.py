"""Who is connected: connections come, are announced, and go; sessions may go on without them.

:class:`Reception` is the part of the dispatcher that knows connections; how their messages end is
:mod:`wsframe.server.endings`, and how they are handled :mod:`wsframe.server.dispatcher`.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import AnswerError, CloseConnection
from ..hooks.containment import escaping_part
from ..hooks.table import Implementations
from ..messages import Message, codec_for
from ..protocol.closing import is_sendable
from ..routing import MessageCall, Rooms
from ..session import ANONYMOUS, Identity, Outcome, Session
from .accepted import Accepted
from .beginning import Beginning
from .builtin import Builtins
from .connection import TAKEN_OVER, Connection
from .opening import Opening
from .sessions import Sessions
from .workers import Stopped, isolated

if TYPE_CHECKING:
    from ..config import Config
    from ..hooks import HookTable
    from ..routing import ConnectionCall, HandlerTable
    from .counters import Counters
    from .doorway import Doorway
    from .events import Events
    from .journal import Journal
    from .node import Node
    from .sending import Sender

log = logging.getLogger("wsframe.server")


class Reception:
    """Keeps the connections of a node, and tells whom it concerns."""

    __slots__ = (
        "_builtins",
        "_config",
        "_connection_call",
        "_counters",
        "_events",
        "_handlers",
        "_listened",
        "_message_call",
        "_openings",
        "_routes",
        "beginning",
        "connections",
        "doorway",
        "draining",
        "hooks",
        "journal",
        "node",
        "rooms",
        "sender",
        "sessions",
    )

    hooks: HookTable
    node: Node
    doorway: Doorway

    def __init__(
        self,
        *,
        config: Config,
        handlers: HandlerTable,
        sender: Sender,
        counters: Counters,
        events: Events,
        rooms: Rooms,
    ) -> None:
        self._config = config
        self._handlers = handlers
        self._routes = handlers.routes
        self._counters = counters
        self._events = events
        self.beginning = Beginning(self)  # type: ignore[arg-type]  # always a Dispatcher
        self._builtins = Builtins(self)  # type: ignore[arg-type]  # likewise
        self._listened = False
        self._message_call: MessageCall | None = None
        self._connection_call: ConnectionCall | None = None
        self._openings: dict[Connection, Opening] = {}
        self.sender = sender
        self.rooms = rooms
        self.connections: dict[str, Connection] = {}
        """Open connections, by id."""
        self.sessions = Sessions(config, ended=self._session_ended, expired=self._session_expired)
        self.journal: Journal | None = None
        """Tells a store of what happens to sessions; None: they live in memory only."""
        self.draining = False
        """Refuse new messages: the server is about to stop."""

    def use(
        self,
        hooks: HookTable,
        message_call: MessageCall | None,
        connection_call: ConnectionCall | None,
    ) -> None:
        """Take a table of hooks, and middleware composed around messages and new connections."""
        self.hooks = hooks
        self._message_call = message_call
        self._connection_call = connection_call

    def listen(self) -> None:
        """Look again who listens to the messages that are received."""
        self._listened = self._events.heard("message:received")

    @property
    def config(self) -> Config:
        """The settings it works by."""
        return self._config

    def find(self, any_id: str) -> Connection | None:
        """The open connection of this id, or the one that speaks for the session of this id."""
        session = self.sessions.by_id.get(any_id)
        if session is not None:
            connection: Connection = session.connection
            return connection
        return self.connections.get(any_id)

    def request_received(self, link: Any, request: Any) -> None:
        """A request head is complete."""
        self.doorway.request_received(link, request)

    def opened(self, link: Any, identity: Identity = ANONYMOUS) -> Connection:
        """A link was accepted: make its connection and its session."""
        session = self.sessions.make(self.node.new_id("s"), identity)
        connection = Connection(
            self, link, self.node.new_id("c"), codec_for(link.subprotocol), session, self.node.now()
        )
        link.owner = session.connection = connection
        self.sessions.add(session)
        self.connections[connection.id] = connection
        self._counters.total_connections += 1
        if (
            self.hooks.connection_opened
            or self._connection_call
            or self._events.heard("connection:added")
        ):
            session.serving = True
            self.node.workers.submit(self._open, connection)
        return connection

    async def _open(self, connection: Connection) -> None:
        """Tell whom it concerns of a new connection, then serve what it has sent meanwhile."""
        limit_s = self._config.handshake_timeout_s
        with Opening(connection, self.node.now() + limit_s, self._openings) as opening:
            try:
                await self.node.workers.contained(self._introduce(connection, opening), opening)
            except Stopped:
                log.error(
                    "connection %s closed (1013): after handshake_timeout_s (%g s), %s still waits",
                    connection.id,
                    limit_s,
                    opening.at,
                )
                self._turn_away(connection, 1013, "try again later")
            except CloseConnection as error:
                self._turn_away(connection, error.code, error.reason)
            except AnswerError as error:
                code = 4403 if error.code == "forbidden" else 1008
                self._turn_away(connection, code, error.message)
            except BaseException as error:  # noqa: BLE001 - raised() sorts it out
                self._turn_away(connection, 1011, "internal error")
                await self.raised(error, connection, None)
        await self._serve_inbox(connection.session)

    async def _introduce(self, connection: Connection, opening: Opening) -> None:
        if self._connection_call is not None:
            opening.at = "a connection middleware"
            await self._connection_call(connection)
        else:
            await self.announce(connection)

    async def announce(self, connection: Connection) -> None:
        """Tell plugins and listeners of a new connection; innermost in connection middleware."""
        opening = self._openings.get(connection)  # None: a middleware announces it later
        around = "" if opening is None else opening.at
        for plugin, function in self.hooks.connection_opened:
            if opening is not None:
                opening.at = f"plugin {plugin!r} in connection_opened"
            one = Implementations("connection_opened", [(plugin, function)])
            await self.hooks.notify(one, connection)
        if opening is not None:
            opening.at = "a listener of 'connection:added'"
        await self._events.emit("connection:added", connection)
        if opening is not None:
            opening.at = around

    def _turn_away(self, connection: Connection, code: Any, reason: Any) -> None:
        """Close a connection that may not open; what it has sent meanwhile is not handled."""
        close_as_told(connection, code, reason)
        for accepted in list(connection.session.ledger.running.values()):
            accepted.stop(Outcome.CANCELLED)

    def check_openings(self, now: float) -> None:
        """Stop the openings that are out of time."""
        for opening in list(self._openings.values()):
            opening.check(now)

    def link_closed(self, link: Any, code: int, reason: str) -> None:
        """A link ended; its session goes on if the client may come back to it."""
        connection: Connection = link.owner
        session = connection.session
        del self.connections[connection.id]
        self.doorway.closed(link)
        self._counters.closed[code] += 1
        taken_over = session.connection is not connection
        if session.watched is not None and not taken_over:
            session.watched.tell("dropped", connection.id, code)
        connection.gone()
        goes_on = taken_over or self.sessions.left(session, code, self.node)
        if (
            self.hooks.connection_closed
            or (self.hooks.session_expired and not goes_on)
            or self._events.heard("connection:removed")
        ):
            ended = None if goes_on else session
            self.node.workers.submit(self._closed, (connection, code, reason, ended))
        log.debug("connection %s closed: %s %s", connection.id, code, reason)

    @isolated
    async def _closed(self, closed: tuple[Connection, int, str, Session[Accepted] | None]) -> None:
        connection, code, reason, ended = closed
        if self.hooks.connection_closed:
            await self.hooks.notify(self.hooks.connection_closed, connection, code, reason)
        if ended is not None:
            await self._tell_expired(ended)
        await self._events.emit("connection:removed", connection, code, reason)

    # Sessions beyond their connections

    def record(self, session: Session[Accepted]) -> None:
        """A session has begun: tell the store of it from now on, if there is one."""
        if self.journal is not None:
            session.record(self.journal.record)
            if self.journal.strict:
                session.outbox.released = 0

    def change_session(self, connection: Connection, session: Session[Accepted]) -> None:
        """Let a connection speak for a session that was resumed, instead of its own new one."""
        fleeting = connection.session
        self.sessions.forget(fleeting)
        self.rooms.leave_all(fleeting)
        connection.succeed(session.connection)
        self.sessions.returned(session)
        self.rooms.adopt(connection)

    def revive(
        self, session: Session[Accepted], rooms: Collection[str], interrupted: Collection[str]
    ) -> None:
        """Take in a session that a store has kept; its client has not resumed it yet.

        Args:
            rooms: where it is.
            interrupted: ids of messages whose handlers ended with another process.
        """
        assert self.journal is not None, "somebody has kept it"
        outbox = session.outbox
        if self.journal.strict:
            outbox.released = outbox.count
        connection = session.connection = Connection(
            self, None, self.node.new_id("c"), codec_for(session.subprotocol), session,
            self.node.now(),
        )  # fmt: skip
        session.rooms.update(rooms)
        self.sessions.add(session)
        self.rooms.adopt(connection)
        error = AnswerError("interrupted")
        for message_id in interrupted:
            self._counters.refused[error.code] += 1
            answer = self.sender.message("error", error.content(), message_id, True)
            frame = self.sender.frame(connection.codec, answer)
            connection.push_answer(frame, message_id, remember=False)
        self.sessions.keep(session, self.node)

    def release(self, numbers: Mapping[str, int]) -> None:
        """Messages up to these numbers are stored: they may leave now."""
        for session_id, number in numbers.items():
            session = self.sessions.by_id.get(session_id)
            if session is not None:
                session.outbox.released = number
                session.connection.flow()

    def lose(self, session_ids: Collection[str]) -> None:
        """Other nodes have claimed these sessions: they are over here."""
        for session_id in session_ids:
            session = self.sessions.by_id.get(session_id)
            if session is not None:
                log.warning("session %s goes on at another node", session_id)
                session.unrecord()
                session.connection.close(TAKEN_OVER, "the session goes on at another node")
                self.sessions.end(session)

    def _session_ended(self, session: Session[Accepted]) -> None:
        connection: Connection | None = session.connection
        self.rooms.leave_all(session)
        if connection is not None:
            connection.wake()
        if not self.hooks.session_expired:
            _part(session)

    def _session_expired(self, session: Session[Accepted]) -> None:
        if self.hooks.session_expired:
            self.node.workers.submit(self._tell_expired, session)

    @isolated
    async def _tell_expired(self, session: Session[Accepted]) -> None:
        if self.hooks.session_expired:
            await self.hooks.notify(self.hooks.session_expired, session)
        _part(session)

    def writable_changed(self, link: Any) -> None:
        """A link can be written again, or cannot."""
        link.owner.flow()

    def overflowed(self, connection: Connection) -> None:
        """The client does not read: drop it."""
        if connection.open:
            log.warning("connection %s reads too slowly: dropped (1013)", connection.id)
            connection.drop(1013, "reading too slowly")

    async def may_join(self, connection: Connection, room: str) -> bool:
        """Ask the plugins whether a session may join a room.

        Returns:
            True when one of them allows it explicitly, or the application does.

        Raises:
            Refused: one of them refuses.
        """
        allowed = self.rooms.opened_to_clients(room)
        if self.hooks.room_joining:
            session = connection.session
            allowed |= await self.hooks.gate(self.hooks.room_joining, session, room)
        return allowed

    @isolated
    async def raised(
        self, error: BaseException, connection: Connection | None, message: Message[Any] | None
    ) -> None:
        """Report an error nobody expected."""
        escaping = escaping_part(error)
        if escaping is not None:
            raise escaping
        self._counters.errors += 1
        log.error(
            "%s in the handling of %s on %s",
            type(error).__name__,
            f"a message of type {message.type!r}" if message is not None else "a connection",
            connection.id if connection is not None else "no connection",
            exc_info=error,
        )
        if self.hooks.error_raised:
            await self.hooks.notify(self.hooks.error_raised, error, connection, message)
        await self._events.emit("error", error, connection, message)

    def take_backlog(self, connection: Connection) -> None:
        """Take what a client has sent while its ``init`` was being decided."""
        raise NotImplementedError

    async def _serve_inbox(self, session: Session[Accepted]) -> None:
        """Handle what waits in a session's inbox; it is marked as being served."""
        raise NotImplementedError


def _part(session: Session[Accepted]) -> None:
    """Part a session that is over from its connection, if that is gone.

    They know each other: the garbage collector would find them only minutes later, with everything
    that was kept for replay.
    """
    connection: Connection | None = session.connection
    if connection is not None and not connection.attached:
        session.connection = None


def close_as_told(connection: Connection, code: Any, reason: Any) -> None:
    """Close as a hook or a handler says; it may say what must not be sent."""
    if not isinstance(code, int) or not is_sendable(code):
        log.error("connection %s: close code %r must not be sent", connection.id, code)
        code, reason = 1011, "internal error"
    connection.close(code, str(reason))
