"""A transport that does what a test says, and the node above it; the test makes time pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.conformance.peer import request
from wsframe.protocol.connection import Role, WebSocket
from wsframe.protocol.handshake import accept_response, check_upgrade
from wsframe.protocol.http import Request
from wsframe.server.link import Phase, StreamLink
from wsframe.server.turns import Turns

UPGRADE = request(start="GET /ws HTTP/1.1")


class FakeLink(StreamLink):
    """Remembers what is asked of the transport."""

    __slots__ = ("calls", "reading", "sent")

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.sent = b""
        self.calls: list[str] = []
        self.reading = True

    def transport_write(self, data: bytes) -> None:
        assert "eof" not in self.calls, "written after EOF"
        assert self.phase is not Phase.CLOSED, "written to a lost transport"
        self.sent += data

    def _transport_write_eof(self) -> None:
        self.calls.append("eof")

    def _transport_close(self) -> None:
        self.calls.append("close")

    def _transport_abort(self) -> None:
        self.calls.append("abort")

    def _transport_pause_reading(self) -> None:
        assert self.reading
        self.reading = False

    def _transport_resume_reading(self) -> None:
        assert not self.reading
        self.reading = True

    def taken(self) -> bytes:
        """What was written since the last call."""
        sent, self.sent = self.sent, b""
        return sent


class Context:
    """A node and an endpoint."""

    max_header_bytes = 16_384
    handshake_timeout_s = 10.0
    close_timeout_s = 5.0
    heartbeat_interval_s = 30.0
    heartbeat_timeout_s = 10.0
    stopped = False
    bytes_received = 0
    bytes_sent = 0

    def __init__(self) -> None:
        self.links: dict[StreamLink, None] = {}
        self.time = 0.0
        self.endpoint: Any = self
        self.soon: list[Callable[[], None]] = []
        self.turns = Turns(self.call_soon)
        self.heard: list[Any] = []
        self.closed: list[tuple[int, str]] = []
        self.writable: list[bool] = []
        self.on_request: Callable[[FakeLink, Request], None] = accept
        self.on_message: Callable[[FakeLink, Any], None] = lambda _link, _payload: None

    def now(self) -> float:
        return self.time

    def call_soon(self, function: Callable[[], None]) -> None:
        self.soon.append(function)

    def make_websocket(self, deflate: Any) -> WebSocket:
        return WebSocket(Role.SERVER, max_message_bytes=100_000, deflate=deflate)

    def request_received(self, link: Any, request: Request) -> None:
        self.on_request(link, request)

    def message_received(self, link: Any, payload: Any) -> None:
        self.heard.append(payload)
        self.on_message(link, payload)

    def writable_changed(self, link: Any) -> None:
        self.writable.append(link.writable)

    def link_closed(self, link: Any, code: int, reason: str) -> None:
        self.closed.append((code, reason))

    def turn(self) -> None:
        """One turn of the event loop."""
        soon, self.soon = self.soon, []
        for function in soon:
            function()


def accept(link: FakeLink, received: Request) -> None:
    link.accept(
        accept_response(check_upgrade(received), subprotocol=None, extensions=None),
        subprotocol=None,
        opened=lambda: None,
    )


def decide_later(link: FakeLink, _request: Request) -> None:
    link.pause_reading()


def connected(context: Context) -> FakeLink:
    link = FakeLink(context)
    link.connected("192.0.2.7", False)
    return link


def opened(context: Context) -> FakeLink:
    link = connected(context)
    link.take(UPGRADE)
    assert link.taken().startswith(b"HTTP/1.1 101 ")
    return link
