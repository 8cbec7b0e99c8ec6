"""Starlette on uvicorn, with uvloop and uvicorn's ``websockets-sansio`` implementation."""

from __future__ import annotations

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from benchmarks.peers import chat
from benchmarks.peers.options import address

subscribers: set[WebSocket] = set()


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    while (event := await socket.receive())["type"] == "websocket.receive":
        if event.get("text") is not None:
            await socket.send_text(event["text"])
        else:
            await socket.send_bytes(event["bytes"])


async def converse(socket: WebSocket) -> None:
    await socket.accept()
    try:
        async for text in socket.iter_text():
            await socket.send_text(chat.answer(text))
    except WebSocketDisconnect:
        pass


async def subscribe(socket: WebSocket) -> None:
    await socket.accept()
    subscribers.add(socket)
    try:
        while (await socket.receive())["type"] == "websocket.receive":
            pass
    finally:
        subscribers.discard(socket)


async def publish(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        for subscriber in tuple(subscribers):
            await subscriber.send_text(text)


app = Starlette(
    routes=[
        WebSocketRoute("/chat", converse),
        WebSocketRoute("/room", subscribe),
        WebSocketRoute("/publish", publish),
        WebSocketRoute("/{name:path}", echo),
    ]
)


def main() -> None:
    host, port = address(__doc__)
    uvicorn.run(
        app,
        host=host,
        port=port,
        loop="uvloop",
        ws="websockets-sansio",
        ws_max_size=1 << 25,
        log_level="warning",
    )


if __name__ == "__main__":
    main()
