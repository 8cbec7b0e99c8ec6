"""Messages on their way to whoever waits for them."""

from __future__ import annotations

from collections import deque
from typing import Any

import anyio

from ..errors import ConnectionClosed, ProtocolError
from ..messages import Message


class Mailbox:
    """Messages for one reader, in the order they came, until the connection ends."""

    def __init__(self) -> None:
        self._messages: deque[Message[Any]] = deque()
        self._changed: anyio.Event | None = None
        self._end: ConnectionClosed | ProtocolError | None = None

    @property
    def waiting(self) -> list[Message[Any]]:
        """The messages nobody has taken, oldest first."""
        return list(self._messages)

    def put(self, message: Message[Any]) -> None:
        """Deliver a message."""
        self._messages.append(message)
        self._wake()

    def end(self, error: ConnectionClosed | ProtocolError) -> None:
        """Nothing more comes; whoever waits gets ``error`` behind the last message."""
        if self._end is None:
            self._end = error
        self._wake()

    async def get(self, timeout_s: float, wanted: str) -> Message[Any]:
        """Take the next message.

        Args:
            timeout_s: how long to wait, in seconds of the event loop's clock.
            wanted: names in an error what was waited for.

        Raises:
            ConnectionClosed: there is none, and none will come.
            ProtocolError: the server sent something that is no message.
            TimeoutError: none came in time.
        """
        with anyio.move_on_after(timeout_s):
            while not self._messages:
                if self._end is not None:
                    raise self._end
                self._changed = anyio.Event()
                await self._changed.wait()
            return self._messages.popleft()
        raise TimeoutError(f"no {wanted} within {timeout_s:g} s")

    def _wake(self) -> None:
        changed, self._changed = self._changed, None
        if changed is not None:
            changed.set()
