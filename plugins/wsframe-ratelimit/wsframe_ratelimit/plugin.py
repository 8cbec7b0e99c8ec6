"""The hooks: a message or a handshake is counted, and refused if it is too much.

A message is counted when the ledger has accepted it as new, and before anything else looks at it.
So a message that is sent again because its answer was lost costs nothing: the ledger answers it. A
message that was refused has cost nothing either, and costs when it comes back and passes.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import sniffio

from wsframe import (
    App,
    CloseConnection,
    Connection,
    Message,
    Refused,
    Request,
    RequestRefused,
    hookimpl,
    loop_clock,
)

from . import config as settings
from .limits import Charge, Limits, Sender, give_back, is_forgotten, take
from .sharing import Sharing, shared_limits

log = logging.getLogger("wsframe.plugins.ratelimit")

KEY: Final = "wsframe_ratelimit"
"""Of the :class:`Sender` among what is kept with a connection: it goes over to the next one of the
session, and is gone with the last."""
TOO_MANY: Final = 4429


class RatelimitPlugin:
    """Refuses what is too much with ``rate_limited``, and who does not stop with 4429."""

    Config = settings.Config

    def __init__(self, config: settings.Config) -> None:
        self.config = config
        self._limits = Limits(config)
        self._scale = self._limits.scale
        self._special_types = self._limits.special_types
        self._now: Callable[[], int] = time.monotonic_ns
        self._sharing: Sharing | None = None
        # A hook that does nothing still costs every message.
        if not config.counts_messages:
            self.message_received = None  # type: ignore[method-assign,assignment]
        if config.handshakes is None:
            self.connection_opening = None  # type: ignore[method-assign,assignment]

    @hookimpl(tryfirst=True)
    async def started(self, app: App) -> None:
        """Take the event loop's clock, and see whether the store counts for all nodes."""
        self._now = _clock()
        self._limits = Limits(self.config)  # what was counted by another loop's clock means nothing
        shared = shared_limits(app.store) if self.config.shared else None
        if shared is not None:
            self._sharing = Sharing(shared, self._now, time.time() - self._now() / 1e9)
            log.info("rate limits are shared with the other nodes of the store")

    @hookimpl
    async def stopping(self) -> None:
        """Let go of the store."""
        self._sharing = None

    @hookimpl(tryfirst=True)
    async def connection_opening(self, request: Request) -> None:
        """Refuse an upgrade request with 429, if too many come from its address."""
        address = self._limits.addresses.key(request)
        if address is None:
            return
        charge = self._limits.handshaking(address)
        now = self._now() * self._scale
        if take(charge, now):
            wait_s = await self._take_shared(charge)
        else:
            ((bucket, _, room),) = charge.draws
            wait_s = (bucket.full_at - room - now) / (self._limits.ticks_per_ms * 1_000)
        if wait_s:
            raise RequestRefused(
                429,
                "rate_limited",
                "Too many connections from this address.",
                headers=(("retry-after", str(max(1, -int(-wait_s // 1)))),),
            )

    @hookimpl(tryfirst=True)
    async def message_received(self, connection: Connection, message: Message[Any]) -> None:
        """Count a message; refuse it if its sender has no token left."""
        sender: Sender | None = connection.metadata.get(KEY)
        if (
            sender is None
            or sender.identity is not connection.identity
            or sender.connection_id is not connection.id
        ):
            sender = connection.metadata[KEY] = self._limits.meet(connection, sender)
        if message.type in self._special_types:
            charge = sender.special.get(message.type) or self._limits.special(
                sender, connection, message.type
            )
        else:
            charge = sender.usual
        now = self._now() * self._scale
        for bucket, cost, room in charge.draws:  # take(), written out: every message costs it
            full_at = bucket.full_at
            if full_at <= now:
                bucket.full_at = now + cost
            elif full_at - now <= room:
                bucket.full_at = full_at + cost
            else:
                give_back(charge, until=bucket)
                break
        else:
            if self._sharing is not None and charge.shared:
                await self._count_shared(sender, charge)
            return
        if is_forgotten(charge):
            connection.metadata[KEY] = self._limits.meet(connection, sender)
            await self.message_received(connection, message)
            return
        name, retry_after_ms = self._limits.refused(sender, charge, now)
        raise self._refusal(sender, name, retry_after_ms, now)

    async def _take_shared(self, charge: Charge) -> float:
        """Take from the buckets of all nodes what was taken from this node's own."""
        if self._sharing is None:
            return 0.0
        wait_s = await self._sharing.take(charge.shared)
        if wait_s:
            give_back(charge)
        return wait_s

    async def _count_shared(self, sender: Sender, charge: Charge) -> None:
        wait_s = await self._take_shared(charge)
        if wait_s:
            now = self._now() * self._scale
            due = now + round(wait_s * 1e9) * self._scale
            cost = max(cost for _, cost, _ in charge.draws)
            raise self._refusal(sender, "shared", self._limits.promise(sender, due, cost, now), now)

    def _refusal(self, sender: Sender, name: str, retry_after_ms: int, now: int) -> Exception:
        refused = Refused(
            "rate_limited", details={"limit": name}, retry_after_ms=max(1, retry_after_ms)
        )
        if sender.closing or take(sender.violations, now):
            return refused
        sender.closing = True
        log.warning(
            "connection %s closed (%d): it goes on too fast", sender.connection_id, TOO_MANY
        )
        return CloseConnection(TOO_MANY, "too many messages, again and again", answer=refused)


def _clock() -> Callable[[], int]:
    """The event loop's clock, in nanoseconds; where that is the usual one, without a detour."""
    if sniffio.current_async_library() == "asyncio":
        loop = asyncio.get_running_loop()
        if type(loop).time is asyncio.BaseEventLoop.time or type(loop).__module__ == "uvloop":
            return time.monotonic_ns
    seconds = loop_clock()
    return lambda: round(seconds() * 1e9)
