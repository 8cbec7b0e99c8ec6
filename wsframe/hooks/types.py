"""What a hook may expect of the objects it is given.

The real ones are made by upper layers; these protocols name the part that every plugin can rely
on, whatever transport is below.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from wsframe.config import Config
    from wsframe.protocol.http import Request
    from wsframe.session import Identity


class App(Protocol):
    """The application; it offers plugins all that it offers its author."""

    @property
    def config(self) -> Config:
        """The settings it runs with."""
        ...

    def add_handler(self, message_type: str, function: Callable[..., Any], /) -> Any:
        """Let ``function`` answer the messages of one type."""
        ...

    def use(self, middleware: Callable[..., Any], /) -> Any:
        """Put middleware around every message, or around the opening of every connection."""
        ...

    def on(self, event: str, callback: Callable[..., Any], /) -> Any:
        """Have ``callback`` called for each event of a name, such as ``connection:added``."""
        ...


class Connection(Protocol):
    """One live WebSocket."""

    identity: Identity
    """Who it is; ``session_opening`` implementations that authenticate set it."""

    @property
    def id(self) -> str:
        """Unique on this node."""
        ...

    @property
    def session_id(self) -> str:
        """The session it belongs to."""
        ...

    @property
    def request(self) -> Request:
        """The upgrade request it began with."""
        ...

    @property
    def metadata(self) -> dict[str, Any]:
        """Whatever plugins and the application keep with it, by key."""
        ...

    def send(self, message: Mapping[str, Any], /) -> Awaitable[Any]:
        """Send a message, at least ``{"type": …}``."""
        ...

    def join(self, room: str, /) -> Awaitable[None]:
        """Put its session into a room."""
        ...

    def leave(self, room: str, /) -> Awaitable[None]:
        """Take its session out of a room."""
        ...

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Start the close handshake, with a close code and up to 123 bytes of reason."""
        ...
