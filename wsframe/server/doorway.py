"""Who may come in: from a request head to an open connection, or to a refusal."""

from __future__ import annotations

import logging
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from ..errors import AnswerError, CloseConnection, RequestRefused
from ..protocol.deflate import DeflateSettings, negotiate
from ..protocol.handshake import (
    Upgrade,
    accept_response,
    check_upgrade,
    choose_subprotocol,
)
from ..protocol.http import Request, Response, refusal
from ..session import ANONYMOUS, Identity
from .link import Phase
from .workers import isolated

if TYPE_CHECKING:
    from ..hooks import HookTable
    from ..http import Routes
    from .counters import Counters
    from .dispatcher import Dispatcher
    from .link import StreamLink
    from .meters import Meter

log = logging.getLogger("wsframe.server")

RETRY_AFTER_S = 5
"""What a client is told that comes while the server is full or about to stop."""

_STATUS_OF_CODE = {
    "unauthenticated": 401,
    "forbidden": 403,
    "rate_limited": 429,
    "draining": 503,
    "unavailable": 503,
    "internal": 500,
}


class Doorway:
    """Answers request heads: opens connections, serves plain HTTP, refuses the rest.

    Attributes:
        meter: measures how requests are answered.
        accepting: False while the server is about to stop: every upgrade is answered 503.
    """

    def __init__(self, dispatcher: Dispatcher, routes: Routes, counters: Counters) -> None:
        config = dispatcher.config
        self._config = config
        self._dispatcher = dispatcher
        self._routes = routes
        self._counters = counters
        self._deflate = DeflateSettings.from_config(config)
        self._by_address: Counter[str] = Counter()
        self.meter: Meter | None = None
        self.accepting = True

    @property
    def _hooks(self) -> HookTable:
        return self._dispatcher.hooks

    def request_received(self, link: StreamLink, request: Request) -> None:
        """Answer a request that arrived on a byte stream; never waits."""
        if request.path != self._config.path:
            link.deadline = None  # the handler has its own
            self._ask(self._answer, link, request)
            return
        began = self.now()
        try:
            upgrade = check_upgrade(request)
            self.check_capacity(request)
        except RequestRefused as error:
            self.refuse(link, error, began)
            return
        if self._hooks.connection_opening or self._hooks.authenticate:
            self._ask(self._decide, link, (upgrade, began))
        else:
            self._open(link, upgrade, link.identity or ANONYMOUS, began)

    def check_capacity(self, request: Request) -> None:
        """Is there room for one more connection?

        Raises:
            RequestRefused: 503 when the server is full or about to stop, 429 when this address has
                too many connections.
        """
        config = self._config
        retry_after = (("retry-after", str(RETRY_AFTER_S)),)
        if not self.accepting:
            raise RequestRefused(
                503, "draining", "The server is about to restart.", headers=retry_after
            )
        if len(self._dispatcher.connections) >= config.max_connections:
            raise RequestRefused(
                503, "unavailable", "The server is full; try again later.", headers=retry_after
            )
        limit = config.max_connections_per_address
        address = request.address
        if limit is not None and address and self._by_address[address] >= limit:
            raise RequestRefused(
                429,
                "rate_limited",
                "Too many connections from this address.",
                headers=retry_after,
            )

    @isolated
    async def identify(self, request: Request, known: Identity | None = None) -> Identity:
        """Let plugins refuse a request, and say whose it is unless that is known.

        Raises:
            RequestRefused: a plugin refuses.
        """
        hooks = self._hooks
        identity = known
        try:
            if hooks.connection_opening:
                await hooks.gate(hooks.connection_opening, request)
            if identity is None and hooks.authenticate:
                identity = await hooks.first(hooks.authenticate, request)
        except AnswerError as error:
            status = _STATUS_OF_CODE.get(error.code, 403)
            raise RequestRefused(status, error.code, error.message) from error
        except CloseConnection as error:
            raise RequestRefused(403, "forbidden", error.reason or "Refused.") from error
        return ANONYMOUS if identity is None else identity

    def opened(self, link: Any, identity: Identity) -> None:
        """Count and announce a connection that was accepted, on whatever transport.

        Where there is no address (a Unix socket) there is no limit for it either.
        """
        if self._config.max_connections_per_address is not None:
            self._by_address[link.request.address] += 1
        self._dispatcher.opened(link, identity)

    def closed(self, link: Any) -> None:
        """A connection that was opened has ended."""
        if self._config.max_connections_per_address is not None:
            address = link.request.address
            self._by_address[address] -= 1
            if self._by_address[address] <= 0:
                del self._by_address[address]

    def now(self) -> float:
        """The node's clock, in seconds."""
        return self._dispatcher.node.now()

    def answered(self, request: Request, status: int, began: float) -> None:
        """A request that came at ``began``, by the node's clock, was answered: measure it."""
        if self.meter is not None:
            self.meter(request, status, self.now() - began)

    def refuse(self, link: StreamLink, error: RequestRefused, began: float) -> None:
        """Answer with an error status and close."""
        if link.phase is not Phase.DECIDING:  # the client has left
            return
        self._counters.refused_connections[error.status] += 1
        log.info("refused %s: %s %s", link.address, error.status, error.code)
        link.respond(refusal(error))
        self.answered(link.request, error.status, began)

    @isolated
    async def respond(self, request: Request) -> Response:
        """Answer a plain HTTP request; whatever goes wrong becomes a response."""
        began = self.now()
        try:
            response = await self._routes.respond(request)
        except RequestRefused as error:
            response = refusal(error)
        except Exception as error:  # noqa: BLE001 - reported
            await self._dispatcher.raised(error, None, None)
            response = refusal(RequestRefused(500, "internal", HTTPStatus(500).phrase))
        self.answered(request, response.status, began)
        return response

    def _ask(self, job: Any, link: StreamLink, argument: Any) -> None:
        """Answer later, in a worker; until then nothing more is read."""
        link.pause_reading()
        self._dispatcher.node.workers.submit(job, (link, argument))

    async def _answer(self, asked: tuple[StreamLink, Request]) -> None:
        link, request = asked
        response = await self.respond(request)
        try:
            link.respond(response, close=not request.keep_alive or response.status >= 400)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not reach the worker
            link.failed(error)

    async def _decide(self, asked: tuple[StreamLink, tuple[Upgrade, float]]) -> None:
        link, (upgrade, began) = asked
        try:
            identity = await self.identify(link.request, link.identity)
            self.check_capacity(link.request)  # others may have come in meanwhile
            self._open(link, upgrade, identity, began)
        except RequestRefused as error:
            self.refuse(link, error, began)
        except Exception as error:  # noqa: BLE001 - likewise
            link.failed(error)

    def _open(self, link: StreamLink, upgrade: Upgrade, identity: Identity, began: float) -> None:
        if link.phase is not Phase.DECIDING:  # the client has left
            return
        subprotocol = choose_subprotocol(upgrade.subprotocols)
        agreed = negotiate(upgrade.extensions, self._deflate) if self._deflate else None
        deflate, extensions = agreed if agreed is not None else (None, None)
        response = accept_response(upgrade, subprotocol=subprotocol, extensions=extensions)
        link.accept(
            response,
            subprotocol=subprotocol,
            deflate=deflate,
            opened=lambda: self.opened(link, identity),
        )
        self.answered(link.request, 101, began)
