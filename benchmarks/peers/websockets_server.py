"""websockets on uvloop, compression negotiated as it is by default."""

from __future__ import annotations

import asyncio

import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve

from benchmarks.peers import chat
from benchmarks.peers.options import address

LARGEST_MESSAGE = 1 << 25
subscribers: set[ServerConnection] = set()


async def echo(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(message)


async def converse(connection: ServerConnection) -> None:
    async for message in connection:
        await connection.send(chat.answer(message))


async def subscribe(connection: ServerConnection) -> None:
    subscribers.add(connection)
    try:
        await connection.wait_closed()
    finally:
        subscribers.discard(connection)


async def publish(connection: ServerConnection) -> None:
    async for message in connection:
        broadcast(subscribers, message)


PATHS = {"/chat": converse, "/room": subscribe, "/publish": publish}


async def handle(connection: ServerConnection) -> None:
    assert connection.request is not None
    await PATHS.get(connection.request.path, echo)(connection)


async def main() -> None:
    host, port = address(__doc__)
    async with serve(handle, host, port, max_size=LARGEST_MESSAGE, backlog=2048) as server:
        await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
