"""A light client of the wire protocol, of which one process can have thousands.

It is stricter than it must be: on a new connection it sends nothing again before it has heard all
that the server replays, which a ``pong`` ends. So each final answer and each part should come once
on the wire, not only once to the application.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import secrets
import socket
import struct
from collections import Counter
from functools import partial
from typing import Any

from wsframe.protocol.connection import Role, WebSocket
from wsframe.testing.faults.promise import Witness

CONNECT_TIMEOUT_S = 60.0
BACKOFF_S = (0.25, 4.0)
_REQUEST = (
    b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Protocol: wsframe.v1.json\r\n\r\n"
)
_MASK_KEY = partial(secrets.token_bytes, 4)


class Link(asyncio.Protocol):
    """One connection of a light client."""

    def __init__(self, owner: LightClient) -> None:
        self.owner = owner
        self.ended = asyncio.get_running_loop().create_future()
        self.retry_after_s = 0.0
        self.websocket: WebSocket | None = None
        self._head = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(_REQUEST)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self.ended.set_result(None)

    def data_received(self, data: bytes) -> None:
        if self.websocket is None:
            self._head += data
            head, found, data = self._head.partition(b"\r\n\r\n")
            if not found:
                return
            status = head.split()[1].decode()
            if status != "101":
                self.owner.counts[f"refused {status}"] += 1
                if later := re.search(rb"(?i)\r\nretry-after: *(\d+)", head):
                    self.retry_after_s = float(later[1])
                self.transport.abort()
                return
            self.websocket = WebSocket(Role.CLIENT, max_message_bytes=2**20, mask_key=_MASK_KEY)
            self.owner.opened(self)
        for event in self.websocket.receive_data(data):
            if isinstance(event, str):
                self.owner.received(self, json.loads(event))
        self._flush()
        if self.websocket.close_code is not None and not self.transport.is_closing():
            self.owner.close_codes[self.websocket.close_code] += 1
            self.transport.close()

    def _flush(self) -> None:
        assert self.websocket is not None
        for output in self.websocket.output:
            self.transport.write(output)
        self.websocket.output.clear()

    def send(self, message: dict[str, Any]) -> None:
        assert self.websocket is not None
        if self.websocket.close_code is None:
            self.transport.write(self.websocket.send_text(json.dumps(message).encode()))

    def leave(self) -> None:
        """Say goodbye for good."""
        if self.websocket is not None and self.websocket.close_code is None:
            self.transport.write(self.websocket.close(1000))

    def cut(self) -> None:
        """Lose it: what is on its way, either way, is lost."""
        if self.transport.is_closing():
            return
        raw = self.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def _self(link: Link) -> Link:
    return link


class LightClient:
    """A session over as many connections as it takes.

    Args:
        port: of the server on 127.0.0.1.
        name: of the client; its message ids begin with it.
        witness: is told what comes.
        counts: of what happens to the crowd.
        rng: of its pauses.
    """

    def __init__(
        self,
        port: int,
        name: str,
        *,
        witness: Witness,
        counts: Counter[str],
        rng: random.Random,
    ) -> None:
        self._port = port
        self._name = name
        self._witness = witness
        self._rng = rng
        self.counts = counts
        self.close_codes: Counter[int] = Counter()
        self.events: list[dict[str, Any]] = []
        self._numbers = 0
        self._seq = 0
        self._session: dict[str, str] | None = None
        self._unanswered: dict[str, dict[str, Any]] = {}
        self._sent_on: dict[str, Link] = {}
        self._begun: set[str] = set()  # parts of the answer have come
        self._pong = ""
        self._in_flight: set[str] = set()
        self._told_s = 0.0
        self.link: Link | None = None
        self.ready = asyncio.Event()
        self.times_ready = 0
        self.leaving = False

    # Asking

    def ask(self, type: str, content: Any, *, parts: int = 0) -> str:
        """Ask something; returns the id."""
        message_id = self._new_id()
        self._unanswered[message_id] = {"id": message_id, "type": type, "content": content}
        self._witness.sent(message_id, what=type, parts=parts)
        if self.ready.is_set():
            self._send(message_id)
        return message_id

    @property
    def waiting(self) -> int:
        """How many messages are not answered."""
        return len(self._unanswered)

    @property
    def begun(self) -> bool:
        """Has a part of an answer come?"""
        return bool(self._begun)

    def _new_id(self) -> str:
        self._numbers += 1
        return f"{self._name}-{self._numbers}"

    def _send(self, message_id: str) -> None:
        assert self.link is not None
        self._sent_on[message_id] = self.link
        self.link.send(self._unanswered[message_id])

    # Connections

    async def live(self) -> None:
        """Connect again and again, until :attr:`leaving`."""
        loop = asyncio.get_running_loop()
        limit_s, most_s = BACKOFF_S
        while not self.leaving:
            link = Link(self)
            was_ready = False
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await loop.create_connection(partial(_self, link), "127.0.0.1", self._port)
                    ready = loop.create_task(self.ready.wait())
                    await asyncio.wait([ready, link.ended], return_when="FIRST_COMPLETED")
                    ready.cancel()
                was_ready = self.ready.is_set()
                await link.ended
            except (OSError, TimeoutError) as error:
                self.counts[f"failed: {type(error).__name__}"] += 1
                if hasattr(link, "transport"):
                    link.transport.abort()
            self.ready.clear()
            self.link = None
            if self.leaving:
                return
            limit_s = BACKOFF_S[0] if was_ready else min(2 * limit_s, most_s)
            told_s = max(self._told_s, link.retry_after_s)
            self._told_s = 0.0
            await asyncio.sleep(told_s + self._rng.uniform(0, limit_s))

    def opened(self, link: Link) -> None:
        self.link = link
        content = {}
        if self._session is not None:
            content = {"resume": {**self._session, "seq": self._seq}}
        self._init = self._new_id()
        link.send({"id": self._init, "type": "init", "content": content})

    def cut(self) -> None:
        """Lose the connection, if there is one."""
        self.ready.clear()
        if self.link is not None:
            self.link.cut()

    async def vanish_after(self, stay_s: float, pause_s: float) -> None:
        """Ask for a time, and be gone in the middle of it, without a word and for ever."""
        life = asyncio.create_task(self.live())
        try:
            async with asyncio.timeout(stay_s):
                while True:
                    await asyncio.sleep(self._rng.expovariate(1 / pause_s))
                    parts = self._rng.randint(1, 10)
                    self.ask("count", {"to": parts, "pauseS": 0.1}, parts=parts)
                    self.ask("text", {})
        except TimeoutError:
            pass
        finally:
            self.leaving = True
            self.cut()
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)

    def leave(self) -> None:
        """End the session."""
        self.leaving = True
        if self.link is not None:
            self.link.leave()

    # What comes

    def received(self, link: Link, message: dict[str, Any]) -> None:
        kind, reply_to = message["type"], message.get("replyTo")
        if kind == "init":
            self._introduced(link, message["content"])
        elif kind == "pong":
            if reply_to == self._pong:
                self._replayed()
        elif message.get("transient"):
            self.events.append(message["content"])
            self._told_s = message["content"].get("reconnectAfterMs", 0) / 1000
        else:
            self._seq += 1
            self.counts["messages"] += 1
            self._answered(link, reply_to, message)
            if self._seq % 32 == 0:
                link.send({"type": "ack", "ack": self._seq})

    def _introduced(self, link: Link, content: dict[str, Any]) -> None:
        if self._session is not None:
            self.counts["resumed" if content["resumed"] else "NOT RESUMED"] += 1
            self.counts["GAPS"] += content["gap"] is not None
        self._session = {"sessionId": content["sessionId"], "secret": content["secret"]}
        self._seq = content["seq"]
        self._in_flight = set(content["inFlight"])
        self._pong = self._new_id()
        link.send({"id": self._pong, "type": "ping"})

    def _replayed(self) -> None:
        """All that was sent before is here: what is neither answered nor in flight was lost."""
        self.ready.set()
        self.times_ready += 1
        for message_id in list(self._unanswered):
            if message_id not in self._in_flight and self._sent_on.get(message_id) != self.link:
                self._send(message_id)
        if self.leaving:  # it was between two connections when it was told so
            self.leave()

    def _answered(self, link: Link, message_id: str, message: dict[str, Any]) -> None:
        content = message["content"]
        if message["type"] == "error" and content["retryable"] and message_id in self._unanswered:
            self.counts[f"retried: {content['code']}"] += 1
            if message_id in self._begun:  # they would come again
                del self._unanswered[message_id]
                self._witness.answered(message_id, content["code"], whole=False)
            elif self.ready.is_set() and self._sent_on.get(message_id) != link:
                self._send(message_id)
            else:  # among what is replayed: it goes out again when that is over
                self._sent_on.pop(message_id, None)
                self._in_flight.discard(message_id)
        elif message.get("final"):
            self._unanswered.pop(message_id, None)
            self._witness.answered(message_id, message["type"])
            self.counts["answered"] += 1
        else:
            self.counts["parts"] += 1
            self._begun.add(message_id)
            self._witness.part(message_id, content["number"])
