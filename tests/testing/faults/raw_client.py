"""A client on any byte stream that does nothing by itself: no ``init``, no second try."""

from __future__ import annotations

import secrets
from collections import deque
from functools import partial
from typing import Any

import anyio.abc

from wsframe.errors import ConnectionClosed
from wsframe.messages import Message, codec_for
from wsframe.protocol.client_handshake import ClientHandshake
from wsframe.protocol.connection import Role, WebSocket

CODEC = codec_for("wsframe.v1.json")


class RawClient:
    def __init__(self, stream: anyio.abc.ByteStream) -> None:
        self.stream = stream
        self._messages: deque[Message[Any]] = deque()
        self._websocket = WebSocket(
            Role.CLIENT, max_message_bytes=2**20, mask_key=partial(secrets.token_bytes, 4)
        )

    async def open(self, target: str = "/ws") -> RawClient:
        handshake: ClientHandshake[Any] = ClientHandshake(
            "testserver",
            target,
            key=secrets.token_bytes(16),
            subprotocols=(CODEC.subprotocol,),
            extensions=None,
            accept_extensions=None,
            headers=(),
        )
        await self.stream.send(handshake.request())
        while handshake.receive_data(await self.stream.receive()) is None:
            pass
        await self._take(handshake.trailing)
        return self

    async def send(self, type: str, content: Any, message_id: str) -> None:
        payload = CODEC.encode(Message(type=type, content=content, id=message_id))
        await self.stream.send(self._websocket.send_text(payload))

    async def receive(self) -> Message[Any]:
        while not self._messages:
            await self._take(await self.stream.receive())
        return self._messages.popleft()

    async def answer(self, type: str, content: Any, message_id: str) -> Message[Any]:
        await self.send(type, content, message_id)
        while not (message := await self.receive()).final:
            pass
        return message

    async def _take(self, data: bytes) -> None:
        for event in self._websocket.receive_data(data):
            if isinstance(event, str):
                self._messages.append(CODEC.decode(event))
        for output in self._websocket.output:
            await self.stream.send(output)
        self._websocket.output.clear()
        if self._websocket.close_code is not None and not self._messages:
            raise ConnectionClosed(self._websocket.close_code, self._websocket.close_reason)
