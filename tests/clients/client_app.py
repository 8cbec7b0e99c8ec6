"""The application that the JavaScript client talks to in its tests."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio

from wsframe import (
    App,
    CloseConnection,
    Connection,
    HandlerError,
    Message,
    Refused,
    Request,
    hookimpl,
)

STALE_TOKEN = "stale"


class Tokens:
    """Refuses a stale token, in ``init``."""

    @hookimpl
    async def session_opening(self, connection: Connection, init: Message[Any]) -> None:
        if init.content.get("token") == STALE_TOKEN:
            raise Refused("unauthenticated", "The token is stale.")


app = App(plugins=[Tokens()], max_in_flight=8, max_message_bytes=65_536)
runs: Counter[str] = Counter()
gates: dict[str, anyio.Event] = {}
"""What handlers wait for, by name."""


def gate(name: str) -> anyio.Event:
    return gates.setdefault(name, anyio.Event())


@app.http_route("/open/*", methods=["POST"])
async def open_gate(request: Request) -> dict[str, Any]:
    """Let those go on who wait; whether their client is there is of no matter."""
    gate(request.path.rpartition("/")[2]).set()
    return {}


@app.handler("text")
async def text(message: Message[Any], connection: Connection) -> dict[str, Any]:
    return {"text": f"Echo: {message.content['text']}"}


@app.handler("slowly", concurrent=True)
async def slowly(message: Message[Any], connection: Connection) -> dict[str, Any]:
    await anyio.sleep(message.content["seconds"])
    return {"n": message.content["n"]}


@app.handler("wait", concurrent=True)
async def wait(message: Message[Any], connection: Connection) -> dict[str, Any]:
    await gate(message.content["gate"]).wait()
    return {"n": message.content["n"]}


@app.handler("ask", concurrent=True)
async def ask(message: Message[Any], connection: Connection) -> Any:
    waits_at = message.content.get("gates", {})
    for number, word in enumerate(message.content["prompt"].split(), 1):
        yield {"delta": word}
        if str(number) in waits_at:
            await gate(waits_at[str(number)]).wait()
        await anyio.sleep(message.content.get("pause_s", 0))
    if message.content.get("endless"):
        await anyio.sleep_forever()


@app.handler("flaky", retries=0)
async def flaky(message: Message[Any], connection: Connection) -> dict[str, Any]:
    runs["flaky"] += 1
    if runs["flaky"] < 3:
        raise HandlerError("shop.busy", "Try again.", retryable=True, retry_after_ms=10)
    return {"runs": runs["flaky"]}


@app.handler("divide")
async def divide(message: Message[Any], connection: Connection) -> dict[str, Any]:
    raise HandlerError("math.division_by_zero", "by must not be 0", details={"by": 0})


@app.handler("push")
async def push(message: Message[Any], connection: Connection) -> None:
    for number in range(message.content["n"]):
        await connection.send({"type": "news", "content": {"number": number}})


@app.handler("kick")
async def kick(message: Message[Any], connection: Connection) -> None:
    raise CloseConnection(message.content["code"], "kicked")
