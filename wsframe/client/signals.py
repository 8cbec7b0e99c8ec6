"""Waking whoever waits for a change, on asyncio and trio alike."""

from __future__ import annotations

import anyio


class Signal:
    """Something may have changed.

    Whoever waits looks first, then calls :meth:`wait`, then looks again; nothing is lost between,
    because all of it happens in one thread.
    """

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def set(self) -> None:
        """Wake everybody who waits."""
        event, self._event = self._event, None
        if event is not None:
            event.set()

    async def wait(self) -> None:
        """Wait for the next :meth:`set`."""
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()
