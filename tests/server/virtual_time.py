"""A loop in virtual time that can be held still, for the state machine: it steps by itself.

Other tests run in `wsframe.testing.clocks.virtual_time`.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

import trio.testing


class _Jumping(selectors.DefaultSelector):  # type: ignore[misc, valid-type]
    """Where a loop would wait for a timer, time jumps to it."""

    now = 1_000.0
    jumps = True

    def select(self, timeout: float | None = None) -> Any:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        if not self.jumps:
            return super().select(None)
        self.now += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop in virtual time; while ``jumps`` is off, its time stands still."""

    def __init__(self) -> None:
        self._virtual = _Jumping()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    @property
    def jumps(self) -> bool:
        return self._virtual.jumps

    @jumps.setter
    def jumps(self, jumps: bool) -> None:
        self._virtual.jumps = jumps


def backend(name: str) -> tuple[str, dict[str, Any]]:
    """An anyio backend in virtual time, with its options."""
    if name == "asyncio":
        return "asyncio", {"loop_factory": VirtualLoop}
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}
