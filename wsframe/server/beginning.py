"""How a session begins: the client's ``init``, which opens a new session or resumes an old one.

Until ``init`` is answered nothing else of its connection is looked at: whose session it is decides
what an id, an ``ack`` or a ``cancel`` means. What came meanwhile is taken up afterwards, in order.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from typing import TYPE_CHECKING, Annotated, Any

import anyio
import msgspec

from ..errors import Refused, StoreError
from ..messages import Message
from ..protocol.frames import payload_of
from ..session import Gap, Session
from ..stores import SessionOwner
from .accepted import Accepted
from .workers import isolated

if TYPE_CHECKING:
    from .connection import Connection
    from .dispatcher import Dispatcher
    from .journal import Journal

log = logging.getLogger("wsframe.server")

SECRET_BYTES = 24
"""Random bytes of a session's secret."""
PAGE = 256
"""Messages or answers read from a store at a time."""
MAX_SEQ = 2**53 - 1
"""The highest count that every client can name exactly; what is counted on from it fits a store."""

Count = Annotated[int, msgspec.Meta(ge=0, le=MAX_SEQ)]


class ClientInfo(msgspec.Struct):
    """What a client says of itself."""

    name: str = ""
    version: str = ""


class Resume(msgspec.Struct, rename="camel"):
    """Which session a client wants back, and how far it has come."""

    session_id: str
    secret: str
    seq: Count = 0
    attempt: Count | None = None


class InitContent(msgspec.Struct):
    """The content of a client's ``init``."""

    token: str | None = None
    client: ClientInfo | None = None
    resume: Resume | None = None


class Beginning:
    """Answers ``init``."""

    __slots__ = ("_dispatcher", "_restoring")

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._restoring: dict[str, _Restoring] = {}  # sessions that are being read from the store

    def received(self, connection: Connection, message: Message[Any]) -> None:
        """Take an ``init``, if it is the first message and well-formed; close 4400 otherwise."""
        if connection.heard:
            connection.close(4400, "init must be the first message, and sent once")
            return
        connection.heard = True
        try:
            msgspec.convert(message.content, InitContent)
        except msgspec.ValidationError as error:
            connection.close(4400, f"init: {error}")
            return
        connection.await_init()
        self._dispatcher.accept(connection, message)

    async def answer(self, message: Message[Any], connection: Connection) -> dict[str, Any]:
        """Open a session, or resume one.

        Returns:
            The content of the answer.
        """
        dispatcher = self._dispatcher
        if dispatcher.hooks.session_opening:
            await dispatcher.hooks.gate(dispatcher.hooks.session_opening, connection, message)
        resume = msgspec.convert(message.content, InitContent).resume
        if resume is not None and connection.resumable:
            session = await self._find(connection, resume)
            if session is not None:
                gap = self._take_over(connection, session, resume)
                seq = resume.seq if gap is None else gap.last
                return self._content(connection, resume.secret, seq=seq, resumed=True, gap=gap)
        secret = self._begin(connection)
        journal = dispatcher.journal
        if journal is not None and journal.strict and connection.resumable:
            await journal.flush()  # what a client is told of must be there after a crash
        return self._content(connection, secret, seq=0, resumed=False, gap=None)

    def _begin(self, connection: Connection) -> str:
        """Begin a new session, which the client may resume; returns its secret."""
        secret = secrets.token_urlsafe(SECRET_BYTES)
        if connection.resumable:
            session = connection.session
            session.begin(secret_digest=_digest(secret), subprotocol=connection.codec.subprotocol)
            self._dispatcher.record(session)
        return secret

    def _content(
        self, connection: Connection, secret: str, *, seq: int, resumed: bool, gap: Gap | None
    ) -> dict[str, Any]:
        config, session = self._dispatcher.config, connection.session
        identity = session.identity
        window_s = config.resume_window_s if connection.resumable else 0
        return {
            "sessionId": session.id,
            "secret": secret,
            "resumed": resumed,
            "seq": seq,
            "gap": _gap_content(gap),
            "inFlight": _in_flight(connection) if resumed else [],
            "identity": {"subject": identity.subject, "anonymous": identity.anonymous},
            "heartbeat": {
                "intervalMs": round(config.heartbeat_interval_s * 1000),
                "timeoutMs": round(config.heartbeat_timeout_s * 1000),
            },
            "limits": {
                "maxMessageBytes": config.max_message_bytes,
                "maxInFlight": config.max_in_flight,
                "outboxMessages": config.outbox_messages,
                "outboxBytes": config.outbox_bytes,
                "resumeWindowMs": round(window_s * 1000),
            },
        }

    # Resuming

    async def _find(self, connection: Connection, resume: Resume) -> Session[Accepted] | None:
        """The session that the client wants back, if it is there, and his.

        The client is not told which of the reasons it was; the log is.

        Raises:
            Refused: the store does not work.
        """
        dispatcher = self._dispatcher
        session_id = resume.session_id
        if session_id not in dispatcher.sessions.by_id and dispatcher.journal is not None:
            await self._restore(connection, resume, dispatcher.journal)
        session = dispatcher.sessions.by_id.get(session_id)
        problem: str | None
        if session is None or session.subprotocol is None:
            problem = "there is no such session"
        elif resume.seq > session.outbox.cursor:
            problem = "it has received more than was sent"
        elif resume.attempt is not None and resume.attempt < session.attempt:
            problem = "a later attempt of the same client was faster"
        elif not connection.open:
            problem = "it has left again"
        else:
            owner = SessionOwner(session.secret_digest, session.subprotocol, session.identity)
            problem = _mismatch(connection, resume, owner)
        if problem is None:
            return session
        log.info("connection %s cannot resume %.64r: %s", connection.id, session_id, problem)
        return None

    def _take_over(
        self, connection: Connection, session: Session[Accepted], resume: Resume
    ) -> Gap | None:
        """Let ``connection`` speak for a session from now on."""
        dispatcher = self._dispatcher
        gap = session.resume(resume.seq)
        session.attempt = resume.attempt or 0
        session.identify(connection.identity)
        dispatcher.change_session(connection, session)
        if session.watched is not None:
            session.watched.tell("resumed", connection.id, resume.seq, gap)
        log.debug("session %s resumed by connection %s", session.id, connection.id)
        if dispatcher.hooks.session_resumed:
            dispatcher.node.workers.submit(self._tell, (session, _gap_content(gap)))
        return gap

    @isolated
    async def _tell(self, resumed: tuple[Session[Accepted], dict[str, int] | None]) -> None:
        hooks = self._dispatcher.hooks
        await hooks.notify(hooks.session_resumed, *resumed)

    # From the store

    async def _restore(self, connection: Connection, resume: Resume, journal: Journal) -> None:
        """Make a session of what the store has kept of it, unless it has nothing for this client.

        It is read by a job of its own: once a session is claimed it must be taken in, whether or
        not the client who wanted it is still there.
        """
        session_id = resume.session_id
        restoring = self._restoring.get(session_id)
        if restoring is None:
            try:
                owner = await journal.store.owner(session_id)
            except Exception as error:
                raise _unavailable(session_id, error) from error
            if owner is None or _mismatch(connection, resume, owner) is not None:
                return  # _find() says why
            restoring = self._restoring.get(session_id)  # another connection may have been faster
            if restoring is None:
                restoring = self._restoring[session_id] = _Restoring()
                job = (restoring, journal, session_id, owner, resume.seq)
                self._dispatcher.node.workers.submit(self._claim, job)
        await restoring.done.wait()
        if restoring.error is not None:
            raise _unavailable(session_id, restoring.error) from restoring.error

    async def _claim(self, job: tuple[_Restoring, Journal, str, SessionOwner, int]) -> None:
        restoring, journal, session_id, owner, received = job
        try:
            if session_id not in self._dispatcher.sessions.by_id:
                with journal.timed("restore"):
                    await self._read(journal, session_id, owner, received)
        except Exception as error:  # noqa: BLE001 - likewise
            restoring.error = error
        finally:
            del self._restoring[session_id]
            restoring.done.set()

    async def _read(
        self, journal: Journal, session_id: str, owner: SessionOwner, received: int
    ) -> None:
        dispatcher, store = self._dispatcher, journal.store
        await journal.flush()  # it may have lived here, and left
        stored = await store.claim(session_id, now=dispatcher.node.unix_now())
        if stored is None:
            return
        frames: list[bytes] = []
        while page := await store.frames(
            session_id, after=stored.forgotten + len(frames), limit=PAGE
        ):
            frames += page
        answers: list[tuple[str, int, bytes]] = []
        while found := await store.answers(
            session_id, after=answers[-1][1] if answers else 0, limit=PAGE
        ):
            answers += [(each.message_id, each.number, each.frame) for each in found]
        if dispatcher.journal is not journal:
            return  # the node has ended meanwhile; the next one takes the session in
        session = dispatcher.sessions.make(session_id, owner.identity)
        session.begin(secret_digest=owner.secret_digest, subprotocol=owner.subprotocol)
        session.restore(
            journal.record,
            epoch=stored.epoch,
            forgotten=stored.forgotten,
            frames=frames,
            answers=answers,
            received=received,
        )
        # A handler elsewhere is stopped by its node, which has lost the session by this claim.
        dispatcher.revive(session, stored.rooms, stored.interrupted + stored.elsewhere)


class _Restoring:
    """A session on its way from the store."""

    __slots__ = ("done", "error")

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.error: Exception | None = None


def _unavailable(session_id: str, error: Exception) -> Refused:
    unexpected = None if isinstance(error, StoreError) else error
    log.error("session %.64r cannot be read: %s", session_id, error, exc_info=unexpected)
    return Refused("unavailable", "Sessions cannot be resumed at the moment.")


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def _in_flight(connection: Connection) -> list[str]:
    """Ids whose final answers the client has not received: they come, now or later."""
    session, answered = connection.session, connection.codec.answered
    outbox = session.outbox
    unread = [frame for number, frame in outbox.here() if number > outbox.cursor]
    found = [answered(payload_of(frame)) for frame in unread]
    found += [each.id for each in session.ledger.running.values() if each.named]
    return [each for each in dict.fromkeys(found) if each is not None]


def _gap_content(gap: Gap | None) -> dict[str, int] | None:
    return None if gap is None else {"from": gap.first, "to": gap.last}


def _mismatch(connection: Connection, resume: Resume, owner: SessionOwner) -> str | None:
    """Why a session is not this client's; None: it is."""
    if not hmac.compare_digest(_digest(resume.secret), owner.secret_digest):
        return "the secret is wrong"
    mine, its = connection.identity, owner.identity
    if (mine.subject, mine.anonymous) != (its.subject, its.anonymous):
        return "it belongs to somebody else"
    if owner.subprotocol != connection.codec.subprotocol:
        return "it speaks another subprotocol"
    return None
