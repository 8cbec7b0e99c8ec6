"""Counting together with other nodes, in a store that offers it.

This node's own buckets count all the while: they refuse what the store would refuse too, without
asking it, and they are what is left while it does not answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

import anyio

from wsframe.stores import SharedLimits, TokenBucket

log = logging.getLogger("wsframe.plugins.ratelimit")

PATIENCE_S: Final = 1.0
"""A store that takes longer to answer does not work."""
PAUSE_S: Final = 5.0
"""A store that does not work is left alone for so long."""


def shared_limits(store: Any) -> SharedLimits | None:
    """The part of a store that counts for all nodes; None: it has none."""
    return store if callable(getattr(store, "take", None)) else None


class Sharing:
    """Asks the store.

    Args:
        limits: the store.
        now_ns: nanoseconds, of a clock that does not jump.
        epoch: seconds since the epoch when the clock was at 0.
    """

    def __init__(self, limits: SharedLimits, now_ns: Callable[[], int], epoch: float) -> None:
        self._limits = limits
        self._now_ns = now_ns
        self._epoch = epoch
        self._alone_until = 0.0

    async def take(self, buckets: tuple[TokenBucket, ...]) -> float:
        """Take from all of them, or from none.

        Returns:
            0.0: taken, or the store does not work. Otherwise the seconds after which it could be.
        """
        now = self._now_ns() / 1e9
        if not buckets or now < self._alone_until:
            return 0.0
        try:
            with anyio.fail_after(PATIENCE_S):
                return await self._limits.take(buckets, now=self._epoch + now)
        except Exception as error:  # noqa: BLE001 - any failure of a store means the same here
            self._alone_until = self._now_ns() / 1e9 + PAUSE_S
            log.error(
                "the store does not count: for %g s each node counts by itself: %s: %s",
                PAUSE_S,
                type(error).__name__,
                error,
            )
            return 0.0
