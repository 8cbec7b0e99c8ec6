"""What plugins need of the running event loop, asyncio or trio: its clock, and tasks of their own.

anyio's functions find out which loop it is whenever they are called; on the path of every message
that costs more than what is asked for.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

import anyio
import sniffio


def loop_clock() -> Callable[[], float]:
    """The clock of the running event loop, in seconds; it does not jump, and a test can set it.

    Raises:
        sniffio.AsyncLibraryNotFoundError: no event loop runs here.
    """
    if sniffio.current_async_library() == "asyncio":
        return asyncio.get_running_loop().time
    clock: Callable[[], float] = sys.modules["trio"].current_time
    return clock


class Background:
    """A task of a plugin, on asyncio or trio, that outlives the hook which starts it.

    Args:
        function: runs until it is cancelled; it lets nothing else escape.
        name: of the task, for who looks at the running ones.
    """

    def __init__(self, function: Callable[[], Awaitable[None]], *, name: str) -> None:
        self._function = function
        self._name = name
        self._scope = anyio.CancelScope()
        self._ended = anyio.Event()
        self._task: object = None

    def start(self) -> None:
        """Begin; a hook returns long before the task ends, so no task group can hold it."""
        if sniffio.current_async_library() == "asyncio":
            self._task = asyncio.create_task(self._run(), name=self._name)
        else:
            self._task = sys.modules["trio"].lowlevel.spawn_system_task(self._run, name=self._name)

    async def _run(self) -> None:
        try:
            with self._scope:
                await self._function()
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """Cancel it, and wait until it has ended."""
        self._scope.cancel()
        with anyio.CancelScope(shield=True):
            await self._ended.wait()
