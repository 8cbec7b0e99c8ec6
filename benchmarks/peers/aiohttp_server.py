"""aiohttp on uvloop."""

from __future__ import annotations

import uvloop
from aiohttp import WSMsgType, web

from benchmarks.peers import chat
from benchmarks.peers.options import address

subscribers: set[web.WebSocketResponse] = set()


async def opened(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(max_msg_size=1 << 25)
    await socket.prepare(request)
    return socket


async def echo(request: web.Request) -> web.WebSocketResponse:
    socket = await opened(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket


async def converse(request: web.Request) -> web.WebSocketResponse:
    socket = await opened(request)
    async for message in socket:
        await socket.send_str(chat.answer(message.data))
    return socket


async def subscribe(request: web.Request) -> web.WebSocketResponse:
    socket = await opened(request)
    subscribers.add(socket)
    try:
        async for _ in socket:
            pass
    finally:
        subscribers.discard(socket)
    return socket


async def publish(request: web.Request) -> web.WebSocketResponse:
    socket = await opened(request)
    async for message in socket:
        payload = message.data.encode()
        for subscriber in tuple(subscribers):
            await subscriber.send_frame(payload, WSMsgType.TEXT)
    return socket


def main() -> None:
    host, port = address(__doc__)
    app = web.Application()
    app.router.add_get("/chat", converse)
    app.router.add_get("/room", subscribe)
    app.router.add_get("/publish", publish)
    app.router.add_get("/{name:.*}", echo)
    web.run_app(
        app,
        host=host,
        port=port,
        access_log=None,
        backlog=2048,
        print=None,
        loop=uvloop.new_event_loop(),
    )


if __name__ == "__main__":
    main()
