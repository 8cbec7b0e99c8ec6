"""Whom a token stands for, and whether it was revoked: here, or elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence

from wsframe import Connection, Identity, Refused, Request

from .config import Config
from .errors import InvalidToken, KeysUnavailable
from .revocations import Revocations
from .sources import Issuer
from .tokens import Verifier

log = logging.getLogger("wsframe.plugins.auth")

Revoked = Callable[[Identity], Awaitable[bool]]
"""Says whether a token was revoked, by the identity that it stands for."""


class Identifying:
    """Checks tokens wherever they are presented.

    Args:
        config: the settings.
        revocations: what was revoked here.
        now: seconds since the epoch, by a clock that does not jump.

    Attributes:
        verifier: checks the token itself.
        ask_revoked: asked for each token that counts; None: nobody is.
    """

    def __init__(self, config: Config, revocations: Revocations, now: Callable[[], float]) -> None:
        self._config = config
        self._revocations = revocations
        self._now = now
        self.ask_revoked: Revoked | None = None
        self.take([])

    def take(self, issuers: Sequence[Issuer]) -> None:
        """Let the tokens of these issuers count, and no others."""
        config = self._config
        self.verifier = Verifier(
            issuers,
            require=config.require,
            leeway_s=config.leeway_s,
            scope_claims=config.scope_claims,
        )

    async def identify(self, token: str, request: Request) -> Identity:
        """Whom the token of a request stands for.

        Raises:
            InvalidToken: it does not count.
            KeysUnavailable: it cannot be checked at the moment.
        """
        where = request.address or "an unknown address"
        try:
            identity = await self.verifier.verify(token, self._now())
            # Asked elsewhere first: while that is waited for, it may be revoked here.
            if await self._is_revoked_elsewhere(identity) or self._revocations.cover(identity):
                raise InvalidToken("it was revoked")
        except InvalidToken as error:
            log.info("refused a token from %s: %s", where, error.reason)
            raise
        except KeysUnavailable as error:
            log.warning("a token from %s cannot be checked: %s", where, error)
            raise
        return identity

    async def _is_revoked_elsewhere(self, identity: Identity) -> bool:
        """What the application says.

        Raises:
            KeysUnavailable: it fails, and nobody knows.
        """
        if self.ask_revoked is None:
            return False
        try:
            return bool(await self.ask_revoked(identity))
        except Exception as error:
            log.exception("nobody can say if a token was revoked")
            raise KeysUnavailable("nobody can say if it was revoked") from error

    async def identify_later(self, token: str, connection: Connection) -> Identity:
        """The same for a token in a message.

        Raises:
            Refused: it does not count, or cannot be checked.
        """
        try:
            return await self.identify(token, connection.request)
        except InvalidToken as error:
            raise Refused("unauthenticated", error.message) from None
        except KeysUnavailable:
            raise Refused("unavailable", "Tokens cannot be checked at the moment.") from None
