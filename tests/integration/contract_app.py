"""The application that every transport serves in the contract suite."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import Any

import anyio

from wsframe import App, Connection, HandlerError, Message

OUTBOX_BYTES = 2_097_152
SETTINGS = {
    "WSFRAME_OUTBOX_BYTES": str(OUTBOX_BYTES),
    "WSFRAME_MAX_MESSAGE_BYTES": "1572864",
    "WSFRAME_COMPRESSION_MIN_BYTES": "64",
    "WSFRAME_DRAIN_TIMEOUT_S": "60",
    "WSFRAME_CLOSE_TIMEOUT_S": "3",
    "WSFRAME_MESSAGE_TIMEOUT_S": "none",
    "WSFRAME_MAX_IN_FLIGHT": "2000",
    "WSFRAME_HEARTBEAT_INTERVAL_S": "600",
}
"""Those that matter for the suite; the command line, which is stronger, may have others."""


def make_app() -> App:
    """An application, which takes its settings from outside."""
    app = App()
    app.rooms.open_to_clients("lobby")
    state: Counter[str] = Counter()
    closed: list[Any] = []

    @app.handler("text")
    async def text(message: Message[Any], connection: Connection) -> Any:
        return message.content

    @app.handler("story")
    async def story(message: Message[Any], connection: Connection) -> Any:
        for word in message.content["words"]:
            yield {"delta": word}

    @app.handler("fail")
    async def fail(message: Message[Any], connection: Connection) -> Any:
        raise RuntimeError("internals")

    @app.handler("sell")
    async def sell(message: Message[Any], connection: Connection) -> Any:
        raise HandlerError("shop.sold_out", "Nothing is left.", details={"left": 0})

    @app.handler("slowly")
    async def slowly(message: Message[Any], connection: Connection) -> Any:
        await anyio.sleep(0.001 * (message.content["n"] % 3))
        return message.content

    @app.handler("parts")
    async def parts(message: Message[Any], connection: Connection) -> Any:
        padding = "x" * message.content["bytes"]
        for number in range(message.content["n"]):
            state[message.content.get("counted", "parts")] = number + 1
            yield {"n": number, "padding": padding}

    @app.handler("hang")
    async def hang(message: Message[Any], connection: Connection) -> Any:
        state["hung"] += 1
        state["hanging"] += 1
        try:
            await anyio.sleep_forever()
        finally:
            state["hanging"] -= 1

    @app.handler("outlast")
    async def outlast(message: Message[Any], connection: Connection) -> Any:
        """End once another message was refused because the server is about to stop."""
        state["hanging"] += 1
        while not app.metrics()["messages"]["refused"]["draining"]:
            await anyio.sleep(0.01)
        state["hanging"] -= 1
        return message.content

    @app.handler("stubborn")
    async def stubborn(message: Message[Any], connection: Connection) -> Any:
        state["hanging"] += 1
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)

    @app.handler("tell")
    async def tell(message: Message[Any], connection: Connection) -> Any:
        content = message.content
        told = {"type": "told", "content": content}
        if "room" in content:
            return {"count": await app.rooms.publish(content["room"], told)}
        return {"count": await app.broadcast(told)}

    @app.handler("close")
    async def close(message: Message[Any], connection: Connection) -> Any:
        connection.close(message.content["code"], message.content["reason"])

    @app.on("connection:removed")
    async def removed(connection: Connection, code: int, reason: str) -> None:
        if connection.request.query:
            closed.append([connection.request.query, code, reason])

    @app.http_route("/state")
    async def report(_request: Any) -> Any:
        assert app.runtime is not None
        sessions = app.runtime.dispatcher.sessions.by_id.values()
        largest = max((session.outbox.size for session in sessions), default=0)
        return {**state, "hanging": state["hanging"], "closed": closed, "largest_outbox": largest}

    return app


app = make_app()
