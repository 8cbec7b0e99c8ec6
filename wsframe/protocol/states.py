"""Where a WebSocket stands, and which end of it we are.

==================  ============================================  =========
from                because of                                    to
==================  ============================================  =========
OPEN                ``close()``                                   CLOSING
OPEN                a close frame from the peer (it is answered)  CLOSED
CLOSING             a close frame from the peer                   CLOSED
OPEN, CLOSING       the end of the stream                         CLOSED
OPEN, CLOSING       the peer broke a rule; ``fail()``             FAILED
==================  ============================================  =========

In CLOSED and FAILED nothing is taken from the peer any more: input is dropped, not kept.
"""

from __future__ import annotations

from enum import Enum


class Role(Enum):
    """Which end of the connection we are."""

    SERVER = "server"
    CLIENT = "client"


class State(Enum):
    """Where a connection stands."""

    OPEN = "open"
    CLOSING = "closing"
    """We sent a close frame and wait for the peer's."""
    CLOSED = "closed"
    """Close frames went both ways, or the stream ended."""
    FAILED = "failed"
    """The peer broke the protocol or a limit, or we gave the connection up."""
