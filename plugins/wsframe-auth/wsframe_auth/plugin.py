"""The hooks: who may come in, how long he may stay, and what he may send.

Each refuses by itself, so that none depends on another having done its work: a message of somebody
anonymous, with an expired or a revoked token is refused even if nobody has watched his connection.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import anyio
import msgspec

from wsframe import (
    App,
    Background,
    CloseConnection,
    Connection,
    ConnectionClosed,
    Identity,
    Message,
    Refused,
    Request,
    RequestRefused,
    hookimpl,
    loop_clock,
)

from . import config as settings
from .errors import InvalidToken, KeysUnavailable
from .identifying import Identifying, Revoked
from .permissions import BY_DEFAULT, Patterns, deny, permits, require
from .presented import Scrub, token_of, unauthenticated
from .revocations import Revocations
from .sources import make_issuers, named_function
from .watch import UNAUTHENTICATED, Watch

if TYPE_CHECKING:
    import click

log = logging.getLogger("wsframe.plugins.auth")

RENEWAL: Final = "auth"
"""The message type that brings a new token."""
SWEEP_INTERVAL_S: Final = 0.25
KEYS_INTERVAL_S: Final = 2.0
"""How often somebody looks whether keys have changed; what is fetched has a pace of its own."""
RETRY_AFTER_S: Final = 5

_of_app: WeakKeyDictionary[App, AuthPlugin] = WeakKeyDictionary()

_PENDING: Final = Identity(subject="anonymous", anonymous=True, pending=True)


class Renewal(msgspec.Struct):
    """The content of ``auth``."""

    token: str

    def __repr__(self) -> str:
        return "Renewal(token=***)"


class AuthPlugin:
    """Authenticates by JSON Web Tokens, and lets people do what their scopes allow.

    Args:
        config: ``[plugins.auth]``.
    """

    Config = settings.Config

    def __init__(self, config: settings.Config) -> None:
        self.config = config
        self._revocations = Revocations()
        self._types = Patterns(config.permissions)
        self._otherwise = BY_DEFAULT[config.default_permission]
        self._rooms = Patterns(config.rooms)
        self._watch = Watch(config, self._revocations, self._warn)
        self._identifying = Identifying(config, self._revocations, self._now)
        self._task: Background | None = None
        self._scrub = Scrub(config.query_parameter)
        self._warnings: list[tuple[Connection, float]] = []
        self._epoch = time.time() - time.monotonic()
        self._clock: Callable[[], float] = time.monotonic

    def __repr__(self) -> str:
        return f"<AuthPlugin {self.config!r}>"

    def _now(self) -> float:
        """Seconds since the epoch; setting the wall clock does not move it."""
        return self._epoch + self._clock()

    # For the application

    @classmethod
    def of(cls, app: App) -> AuthPlugin:
        """The plugin of an application that has started, however it came to it.

        Raises:
            LookupError: it has none.
        """
        found = _of_app.get(app)
        if found is None:
            raise LookupError("wsframe-auth is not active in this application, or not started yet")
        return found

    def check_revoked(self, function: Revoked) -> Revoked:
        """Have each token that is presented looked up elsewhere: ``await function(identity)``.

        It is asked at the handshake, at ``init`` and at a renewal, for tokens that count otherwise.
        What it raises is logged, and the token refused as ``unavailable``. Connections that are
        open are not asked for again: :meth:`revoke` closes them.

        Args:
            function: returns True for a token that was revoked.

        Returns:
            The function, so that this is a decorator.
        """
        self._identifying.ask_revoked = function
        return function

    def revoke(
        self,
        *,
        jti: str | None = None,
        subject: str | None = None,
        expires_at: float | None = None,
    ) -> None:
        """Let a token count no longer, or all that somebody was issued so far.

        Live connections are closed with 4401 within a second. It holds on this node, until the
        process ends; may be called from any thread.

        Args:
            jti: the claim ``jti`` of the token.
            subject: the subject of an identity. What is issued in a later second counts again.
            expires_at: seconds since the epoch after which the tokens have expired anyway, so that
                this may be forgotten; None: it is remembered.

        Raises:
            ValueError: neither or both of ``jti`` and ``subject`` are given.
        """
        if (jti is None) == (subject is None):
            raise ValueError("revoke() needs either jti or subject")
        forget_at = None if expires_at is None else expires_at + self.config.leeway_s
        if jti is not None:
            self._revocations.add_token(jti, forget_at)
            log.info("a token was revoked")
        elif subject is not None:
            self._revocations.add_subject(subject, self._now(), forget_at)
            log.info("all tokens of %.64r were revoked", subject)

    # Start and stop

    @hookimpl
    def register_commands(self, cli: click.Group) -> None:
        """Add ``wsframe token``."""
        from .commands import token_group

        cli.add_command(token_group(self.config))

    @hookimpl
    def setup(self, app: App) -> None:
        """Get the keys ready, or keep the server from starting."""
        _of_app[app] = self
        if self.config.revoked is not None:
            self.check_revoked(named_function("revoked", self.config.revoked))
        if self.config.policy != "anonymous":
            self._identifying.take(make_issuers(self.config, self._now))
        app.add_handler(RENEWAL, self._renew)
        # As middleware, because a connection whose middleware fails is closed.
        app.use(self._opening, kind="connection")

    @hookimpl(tryfirst=True)
    async def started(self) -> None:
        """Take the event loop's clock, fetch keys, and begin to watch."""
        self._clock = loop_clock()
        self._epoch = time.time() - self._clock()
        self._scrub.install()
        for issuer in self._changing:
            await issuer.keys.refresh()
        self._task = Background(self._run, name="wsframe-auth")
        self._task.start()

    @hookimpl(trylast=True)
    async def stopping(self) -> None:
        """Watch no longer."""
        task, self._task = self._task, None
        if task is not None:
            await task.stop()
        self._scrub.remove()

    @property
    def _changing(self) -> list[Any]:
        return [issuer for issuer in self._identifying.verifier.issuers if issuer.keys.changes]

    # Beside everything else

    async def _run(self) -> None:
        async with anyio.create_task_group() as task_group:
            if self._changing:
                task_group.start_soon(self._renew_keys)
            while True:
                await anyio.sleep(SWEEP_INTERVAL_S)
                try:
                    now = self._now()
                    self._watch.sweep(now)
                    self._revocations.forget(now)
                except Exception:
                    log.exception("the sweep failed; it goes on")
                warnings, self._warnings = self._warnings, []
                for connection, left_s in warnings:
                    task_group.start_soon(self._send_warning, connection, left_s)

    async def _renew_keys(self) -> None:
        while True:
            await anyio.sleep(KEYS_INTERVAL_S)
            for issuer in self._changing:
                try:
                    await issuer.keys.refresh()
                except Exception:
                    log.exception("keys could not be looked at; the former stay")

    def _warn(self, connection: Connection, left_s: float) -> None:
        self._warnings.append((connection, left_s))

    async def _send_warning(self, connection: Connection, left_s: float) -> None:
        content = {"event": "token_expiring", "expiresInMs": max(0, round(left_s * 1000))}
        try:
            # Sending waits for a slow client; a warning that comes too late is none.
            with anyio.move_on_after(left_s):
                await connection.send({"type": "system", "content": content, "transient": True})
        except (ConnectionClosed, Refused):
            log.debug("connection %s was not told that its token expires", connection.id)
        except Exception:
            log.exception("connection %s could not be told that its token expires", connection.id)

    # Who it is

    @hookimpl
    async def authenticate(self, request: Request) -> Identity | None:
        """Say whose request it is, by the token that it presents."""
        policy = self.config.policy
        if policy == "anonymous":
            return None
        token = token_of(request, self.config)
        if token is None:
            if policy == "optional":
                return None
            if self.config.init_timeout_s > 0:
                return _PENDING
            raise unauthenticated("This needs a token.")
        try:
            return await self._identifying.identify(token, request)
        except InvalidToken as error:
            raise unauthenticated(error.message) from None
        except KeysUnavailable:
            retry_after = (("retry-after", str(RETRY_AFTER_S)),)
            raise RequestRefused(
                503, "unavailable", "Tokens cannot be checked at the moment.", headers=retry_after
            ) from None

    @hookimpl
    async def session_opening(self, connection: Connection, init: Message[Any]) -> None:
        """Authenticate by the token in ``init``, unless the handshake had one."""
        if self.config.policy == "anonymous":
            return
        token = init.content.get("token") if isinstance(init.content, dict) else None
        known = connection.identity
        if token is not None:
            identity = await self._identifying.identify_later(token, connection)
            if not known.anonymous and identity.subject != known.subject:
                raise Refused("unauthenticated", "The token belongs to somebody else.")
            connection.identity = identity
            self._watch.look(connection, self._now())
        elif known.anonymous:
            if self.config.policy == "required":
                raise Refused("unauthenticated", "This needs a token.")
        else:
            self._check(known)

    async def _opening(self, connection: Connection, call_next: Callable[[Any], Any]) -> None:
        """Watch a new connection before anybody is told of it."""
        if self._task is not None and self.config.policy != "anonymous":
            self._watch.add(connection, self._now())
        await call_next(connection)

    @hookimpl
    async def connection_closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self._watch.remove(connection)

    # What he may send

    @hookimpl(tryfirst=True)
    async def message_received(self, connection: Connection, message: Message[Any]) -> None:
        """Let a message pass whose sender is known, still is who he was, and may send it."""
        identity = connection.identity
        renews = message.type == RENEWAL
        if not identity.anonymous:
            expires_at = identity.expires_at
            if self._revocations.any or (
                expires_at is not None and self._epoch + self._clock() >= expires_at
            ):
                self._check(identity, renews=renews)
        elif self.config.policy == "required":
            raise Refused("unauthenticated", "This needs a token.")
        if renews:
            return
        needed = self._types.find(message.type)
        if needed is None:
            needed = self._otherwise
            if needed is None:
                deny(identity)
        if needed:
            require(needed, identity)

    @hookimpl(tryfirst=True)
    async def room_joining(self, session: Any, room: str) -> bool | None:
        """Let somebody join a room that he may; what is refused does not say if it exists."""
        identity = session.identity
        if not identity.anonymous:
            self._check(identity)
        elif self.config.policy == "required":
            raise Refused("unauthenticated", "This needs a token.")
        needed = self._rooms.find(room)
        if needed is not None:
            require(needed, identity, f"Joining {room!r} is not allowed.")
            return True
        if self.config.default_room == "deny":
            deny(identity, f"Joining {room!r} is not allowed.")
        return None

    @hookimpl
    async def session_resumed(self, session: Any) -> None:
        """Take whoever comes back with another token out of rooms that it does not open."""
        await self._leave_rooms(session.connection)

    async def _leave_rooms(self, connection: Connection) -> None:
        for room in connection.rooms:
            needed = self._rooms.find(room)
            if needed is not None and not permits(needed, connection.identity):
                log.info("session %s leaves %.64r, which its token allows no longer",
                         connection.session_id, room)  # fmt: skip
                await connection.leave(room)

    def _check(self, identity: Identity, *, renews: bool = False) -> None:
        """See that a token still counts.

        Raises:
            Refused: it has expired; during the grace it may be renewed.
            CloseConnection: there is nothing to renew.
        """
        if self._revocations.cover(identity):
            raise CloseConnection(UNAUTHENTICATED, "the token was revoked")
        if identity.expires_at is not None:
            late_s = self._now() - identity.expires_at
            if late_s >= self.config.grace_s:
                raise CloseConnection(UNAUTHENTICATED, "the token has expired")
            if late_s >= 0 and not renews:
                raise Refused("unauthenticated", "The token has expired.")

    async def _renew(self, message: Message[Renewal], connection: Connection) -> dict[str, Any]:
        """Let a session go on with a new token of the same subject.

        Returns:
            The content of the answer: until when the new token counts.

        Raises:
            Refused: it does not count, or is somebody else's; the former one stays.
        """
        if self.config.policy == "anonymous":
            raise Refused("forbidden", "Tokens are not looked at here.")
        known = connection.identity
        if known.anonymous:
            raise Refused(
                "unauthenticated", "A session begins with its token, at the latest in init."
            )
        identity = await self._identifying.identify_later(message.content.token, connection)
        if identity.subject != known.subject:
            log.warning("connection %s brought the token of somebody else", connection.id)
            raise Refused("forbidden", "The token belongs to somebody else.")
        now = self._now()
        connection.identity = identity
        self._watch.look(connection, now)
        await self._leave_rooms(connection)
        left_s = None if identity.expires_at is None else identity.expires_at - now
        return {
            "subject": identity.subject,
            "expiresInMs": None if left_s is None else round(left_s * 1000),
        }
