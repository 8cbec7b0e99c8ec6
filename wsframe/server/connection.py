"""The connection as handlers, hooks and applications see it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ..errors import ConnectionClosed
from ..messages import Codec, Message
from ..protocol.http import Request
from ..session import Identity, Session, State

FINISHED = 1000
"""The close code of a client, or an application, that is done: its session ends with it."""
TAKEN_OVER = 4409
_ENDED: Final = State.ENDED  # in Python 3.11 an enum is slow to find its members

if TYPE_CHECKING:
    from .accepted import Accepted
    from .link import Link
    from .reception import Reception
    from .workers import Job


class Connection:
    """One live WebSocket, and what handlers do with its session.

    Args:
        link: the peer; None: a session that comes from a store has none yet.

    A handler may outlive the connection that its message came by. What it sends then goes to the
    session: to its newer connection, or into the outbox until the client is back.

    Attributes:
        id: names this connection, for logs and ``app.send``.
        codec: how its messages are encoded.
        session: the conversation it belongs to.
        opened_at: when it was opened, by the node's clock, in seconds.
    """

    __slots__ = (
        "_backlog",
        "_dispatcher",
        "_drained",
        "_flowing",
        "_link",
        "_metadata",
        "_request",
        "_speaking",
        "codec",
        "heard",
        "id",
        "opened_at",
        "resumable",
        "session",
        "taking",
    )

    def __init__(
        self,
        dispatcher: Reception,
        link: Link | None,
        connection_id: str,
        codec: Codec,
        session: Session[Accepted],
        opened_at: float,
    ) -> None:
        self.id = connection_id
        self.codec = codec
        self.session = session
        self.opened_at = opened_at
        self.heard = False
        """Did the client send anything yet?"""
        self.taking = False
        """Is what it sends taken as it comes: was it heard, and is no ``init`` being decided?"""
        # A client that negotiated a subprotocol speaks first: until then nothing is written, so
        # that live messages cannot overtake the answer to its init.
        negotiated = link is None or link.subprotocol is not None
        self.resumable = negotiated and dispatcher.config.resume_window_s > 0
        """May its session outlive it?"""
        self._dispatcher = dispatcher
        self._link: Link | None = link
        self._request = Request("GET", dispatcher.config.path) if link is None else None
        self._metadata: dict[str, Any] | None = None
        self._backlog: list[Message[Any]] | None = None  # while init is being decided
        self._speaking = not negotiated
        self._flowing = self._speaking and link is not None and link.writable
        self._drained: Any = None

    def __repr__(self) -> str:
        return f"<Connection {self.id} session={self.session.id} {self.identity.subject}>"

    @property
    def session_id(self) -> str:
        """The id of its session; may be shown to others."""
        return self.session.id

    @property
    def identity(self) -> Identity:
        """Who it belongs to; anonymous until a plugin says otherwise."""
        return self.session.identity

    @identity.setter
    def identity(self, identity: Identity) -> None:
        self.session.identify(identity)

    @property
    def request(self) -> Request:
        """The upgrade request: path, query, headers, the peer's address. It outlives the link."""
        link = self._link
        if link is not None:
            return link.request
        assert self._request is not None, "gone() keeps it"
        return self._request

    @property
    def metadata(self) -> dict[str, Any]:
        """The application's own notes about the session; never sent, nor stored.

        They go over to the next connection of the session.
        """
        if self._metadata is None:
            self._metadata = {}
        return self._metadata

    @property
    def open(self) -> bool:
        """Is this connection still there?"""
        return self._link is not None and self._link.open

    @property
    def attached(self) -> bool:
        """Is a client there: on this connection, or on a newer one of the session?"""
        current: Connection = self.session.connection or self
        return current._link is not None

    @property
    def reachable(self) -> bool:
        """Can messages be sent, to be read now or when the client is back?"""
        return self.session.state is not _ENDED

    @property
    def rooms(self) -> frozenset[str]:
        """The rooms its session is in."""
        return frozenset(self.session.rooms)

    async def send(self, message: Mapping[str, Any]) -> None:
        """Send a message to the session; waits while the client reads too slowly.

        Args:
            message: an envelope, at least ``{"type": …}``, usually with ``"content"``;
                ``"transient": True`` for one that is not numbered, and lost if nobody is there.

        Raises:
            ConnectionClosed: the session is over.
            ValueError: the message is no envelope, or its content cannot be encoded.
        """
        self._require_session()
        await self._dispatcher.sender.send(self, message)
        await self.drained()

    async def join(self, room: str) -> None:
        """Put its session into a room.

        Raises:
            Refused: the name is malformed, or a plugin's ``room_joining`` refuses.
            ConnectionClosed: the session is over.
        """
        await self._dispatcher.may_join(self, room)
        self.enter(room)

    def enter(self, room: str) -> None:
        """Put its session into a room that it may join.

        Raises:
            Refused: the name is malformed, or the session is in too many rooms.
            ConnectionClosed: it is over; nobody would take it out of the room again.
        """
        self._require_session()
        self._dispatcher.rooms.join(self.session.connection, room)

    async def leave(self, room: str) -> None:
        """Take its session out of a room; not being in it is no error."""
        self._dispatcher.rooms.leave(self.session, room)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Start the close handshake, on the newest connection of the session.

        Args:
            code: 1000-1003, 1007-1014 or 3000-4999 (RFC 6455 section 7.4). With 1000 the session
                ends too; otherwise the client may come back to it.
            reason: for the client's eyes; cut at 123 bytes.
        """
        current: Connection = self.session.connection or self
        if current._link is not None:
            current._link.close(code, reason)
        elif code == FINISHED and self.reachable:
            self._dispatcher.sessions.expire(self.session)

    async def drained(self) -> None:
        """Wait until what was sent is no longer held back by a slow or absent client.

        While nobody is there, it waits only once half of the outbox is taken.

        Raises:
            ConnectionClosed: the session is over.
        """
        while True:
            current: Connection = self.session.connection or self
            if current._flowing:
                return
            self._require_session()
            if not current._is_held_back():
                return
            if current._drained is None:
                current._drained = self._dispatcher.node.make_event()
            await current._drained.wait()

    def _is_held_back(self) -> bool:
        link = self._link
        full = link is not None and self._speaking and not link.writable
        return full or self.session.outbox.crowded

    def _require_session(self) -> None:
        if not self.reachable:
            raise ConnectionClosed

    # What the dispatcher does with it

    def push(self, frame: bytes, together: list[Link] | None = None) -> bool:
        """Send a numbered frame of the session; ``together`` takes a link that others write along.

        Returns:
            False: the session is over, and there is nobody to read it.
        """
        session = self.session
        if session.state is _ENDED:
            return False
        if self._flowing:
            session.outbox.written(frame)
            link: Link = self._link  # type: ignore[assignment]  # flowing means linked
            if together is None or not link.idle:
                link.write(frame)
            else:
                together.append(link)
        else:
            self._hold(frame)
        recorder = session.recorder
        if recorder is not None:
            recorder.sent(frame)
        return True

    def push_answer(self, frame: bytes, message_id: str, *, remember: bool) -> None:
        """Send the final answer of a message."""
        session = self.session
        if self._flowing:
            session.outbox.written(frame)
            self._link.write(frame)  # type: ignore[union-attr]  # likewise
        else:
            self._hold(frame)
        recorder = session.recorder
        if recorder is not None:
            recorder.answered(message_id, frame, remember=remember)

    def _hold(self, frame: bytes) -> None:
        """Leave a frame to a newer connection, or in the outbox until it can be written."""
        session = self.session
        newer: Connection = session.connection or self
        if newer is not self:
            if newer._flowing:
                session.outbox.written(frame)
                newer._link.write(frame)  # type: ignore[union-attr]  # likewise
            else:
                newer._hold(frame)
        elif session.state is not _ENDED:
            session.outbox.hold(frame)
            if session.outbox.overflowed and self._link is not None:
                self._dispatcher.overflowed(self)

    def replace_newest(self, frame: bytes) -> None:
        """Put a frame in the place of the newest one, which was not written yet."""
        self.session.outbox.replace_newest(frame)
        if self.session.recorder is not None:
            self.session.recorder.sent(frame)

    def push_unnumbered(self, frame: bytes) -> None:
        """Send a frame that does not count; it is lost if nobody is there."""
        if self._flowing:
            self._link.write(frame)  # type: ignore[union-attr]
        elif (newer := self.session.connection or self) is not self:
            newer.push_unnumbered(frame)
        elif self._link is not None:
            if not self.session.outbox.hold_unnumbered(frame):
                self._dispatcher.overflowed(self)
            elif self.session.outbox.released is not None:
                self.flow()

    def push_first(self, frame: bytes, *, speaks: bool) -> None:
        """Write the answer to ``init``, before anything that waits.

        Args:
            speaks: the session has begun; otherwise the connection is about to be closed.
        """
        if self._link is not None:
            self._link.write(frame)
            if speaks:
                self.speak()
                self._dispatcher.take_backlog(self)

    def speak(self) -> None:
        """The client has spoken: from now on, write."""
        self.heard = True
        self.taking = self._backlog is None
        self._speaking = True
        self.flow()

    # While init is being decided

    def await_init(self) -> None:
        """Put off what the client sends until its ``init`` is answered."""
        self.taking = False
        self._backlog = []

    def put_off(self, message: Message[Any]) -> bool:
        """Keep a message for later, if ``init`` is being decided."""
        if self._backlog is None:
            return False
        if len(self._backlog) >= self._dispatcher.config.max_in_flight:
            self.drop(1008, "too many messages before init was answered")
        else:
            self._backlog.append(message)
        return True

    def take_backlog(self) -> list[Message[Any]]:
        """What was put off, in order; from now on nothing is put off."""
        backlog, self._backlog = self._backlog, None
        self.taking = self.heard
        return backlog or []

    # The link

    def drop(self, code: int, reason: str) -> None:
        """End it from our side without waiting for what is queued."""
        if self._link is not None:
            self._link.fail(code, reason)

    def abort(self) -> None:
        """End it at once, without a close handshake."""
        if self._link is not None:
            self._link.abort()

    def submit(self, job: Job, argument: Any) -> None:
        """Run a job in a worker."""
        self._dispatcher.node.workers.submit(job, argument)

    def flow(self) -> None:
        """Write what waits, as far as the link takes it."""
        link = self._link
        if link is None or not self._speaking:
            return
        if not link.writable:
            self._flowing = False
            return
        outbox = self.session.outbox
        if outbox.waiting:
            for frame in outbox.take():
                link.write(frame)
            if self.session.watched is not None:
                self.session.watched.tell("written", outbox.cursor)
        self._flowing = link.writable  # what was written may have filled it again
        if self._flowing:
            self.wake()
        if outbox.released is not None:  # each message waits for its release
            self._flowing = False

    def gone(self) -> None:
        """The link has ended."""
        if self._link is not None:
            self._request = self._link.request
        self._link = None
        self._flowing = False
        self._backlog = None
        self.wake()

    def succeed(self, former: Connection) -> None:
        """Speak for the session of ``former``, which has ended or is to end now."""
        self._flowing = False
        self.session = former.session
        self.session.connection = self
        if former._metadata is not None:
            self._metadata = {**former._metadata, **(self._metadata or {})}
        if former._link is not None:
            former._link.close(TAKEN_OVER, "the session goes on over a newer connection")
        former.gone()

    def wake(self) -> None:
        """Let those go on who wait in :meth:`drained`."""
        drained, self._drained = self._drained, None
        if drained is not None:
            drained.set()
