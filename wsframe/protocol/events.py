"""What :class:`~wsframe.protocol.connection.WebSocket` reports.

A whole message is its payload: ``str`` for text, ``bytes`` for binary. Everything else is one of
the values below.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Ping:
    """The peer sent a ping; the pong is in ``WebSocket.output`` already."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """The peer answered a ping, or sent a pong of its own accord (RFC 6455 section 5.5.3)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class CloseReceived:
    """The peer sent a close frame: an ordinary end. ``code`` is 1005 when the frame had none."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The peer broke the protocol or a limit, and the connection was failed with ``code``."""

    code: int
    reason: str


Event = str | bytes | Ping | Pong | CloseReceived | Failed
