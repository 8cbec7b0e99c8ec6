"""The messages that the server sends of its own accord, until the application takes them.

The queue never grows over its limit. While the application listens, a full queue makes the client
stop reading from the connection, so that the server holds the rest. An application that does not
listen must still get the answers to its requests, which come in the same stream: for it, the oldest
messages make room, and are counted.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from ..messages import Message


class PushedMessages:
    """A bounded queue.

    Args:
        limit: messages it holds at most.
    """

    __slots__ = ("_limit", "_messages", "dropped", "listening")

    def __init__(self, limit: int) -> None:
        if limit < 1:
            raise ValueError("the queue of pushed messages holds at least one")
        self._limit = limit
        self._messages: deque[Message[Any]] = deque()
        self.listening = False
        """Does the application take messages out?"""
        self.dropped = 0
        """Messages that made room for newer ones."""

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def blocked(self) -> bool:
        """Must the next message wait until one is taken out?"""
        return self.listening and len(self._messages) >= self._limit

    def put(self, message: Message[Any]) -> bool:
        """Add a message; returns whether an older one had to go for it."""
        dropping = len(self._messages) >= self._limit
        if dropping:
            self._messages.popleft()
            self.dropped += 1
        self._messages.append(message)
        return dropping

    def take(self) -> Message[Any] | None:
        """The oldest message; None: there is none. From now on, the application listens."""
        self.listening = True
        return self._messages.popleft() if self._messages else None
