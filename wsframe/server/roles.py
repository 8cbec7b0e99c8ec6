"""What a link and its neighbours are to each other: the peer below, the endpoint above.

::

    transport ──bytes──▶ Link ──requests, messages──▶ Endpoint (the dispatcher, or a raw echo)
                           └── shares a LinkContext (the node) with all others
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, Any, Protocol

from ..protocol.connection import WebSocket
from ..protocol.http import Request

if TYPE_CHECKING:
    from .link import StreamLink
    from .turns import Turns


class Phase(Enum):
    """What a link is doing."""

    HEAD = "head"
    DECIDING = "deciding"
    ANSWERED = "answered"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


class Link(Protocol):
    """What the layers above need of a peer, whatever carries it."""

    request: Request
    subprotocol: str | None
    writable: bool
    owner: Any

    @property
    def open(self) -> bool:
        """May messages be written?"""

    @property
    def idle(self) -> bool:
        """Is nothing to be written, and can an uncompressed server frame go out as it is?"""

    def write(self, frame: bytes) -> None:
        """Send one uncompressed server frame, together with others of this turn of the loop."""

    def write_together(self, links: list[Any], frame: bytes) -> None:
        """Send the same uncompressed server frame to many links that are :attr:`idle`."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Start the close handshake."""

    def fail(self, code: int, reason: str) -> None:
        """Close because of the peer, and take nothing more from it."""

    def abort(self) -> None:
        """Drop the peer at once."""


class Endpoint(Protocol):
    """What stands above links: the application's dispatcher, or a raw echo."""

    def request_received(self, link: Any, request: Request) -> None:
        """A request head is complete; answer with ``link.accept`` or ``link.respond``."""

    def message_received(self, link: Any, payload: str | bytes) -> None:
        """A whole message arrived."""

    def writable_changed(self, link: Any) -> None:
        """``link.writable`` changed."""

    def link_closed(self, link: Any, code: int, reason: str) -> None:
        """The WebSocket of a link ended; called once for each that was accepted."""


class LinkContext(Protocol):
    """What all links of a node share."""

    endpoint: Endpoint
    links: dict[StreamLink, None]
    stopped: bool
    bytes_received: int
    bytes_sent: int
    max_header_bytes: int
    handshake_timeout_s: float
    close_timeout_s: float
    heartbeat_interval_s: float
    heartbeat_timeout_s: float
    now: Callable[[], float]
    call_soon: Callable[[Callable[[], None]], Any]
    """Call a function in the next turn of the loop."""
    turns: Turns

    def make_websocket(self, deflate: Any) -> WebSocket:
        """A sans-IO WebSocket with this node's limits."""
