"""The application of clients that resume sessions by hand, without any code of wsframe."""

from __future__ import annotations

from collections import Counter
from typing import Any

import anyio

from wsframe import App, Connection, Message, Request

app = App(outbox_messages=20)
app.rooms.open_to_clients("news")
runs: Counter[str] = Counter()
gates: dict[str, anyio.Event] = {}
"""What a stream waits for behind its first word, by the stream's own name."""


@app.handler("text")
async def text(message: Message[Any], connection: Connection) -> dict[str, Any]:
    runs["text"] += 1
    return {"text": f"Echo: {message.content['text']}", "runs": runs["text"]}


@app.handler("ask", concurrent=True, timeout_s=None)
async def ask(message: Message[Any], connection: Connection) -> Any:
    runs["ask"] += 1
    gate = gates.setdefault(message.content["gate"], anyio.Event())
    for number, word in enumerate(message.content["prompt"].split()):
        if number == 1:
            await gate.wait()
        yield {"delta": word}


@app.handler("tell")
async def tell(message: Message[Any], connection: Connection) -> None:
    await publish(message.content["count"])


async def publish(count: int) -> None:
    for number in range(1, count + 1):
        await app.rooms.publish("news", {"type": "news", "content": {"number": number}})


@app.http_route("/open/*", methods=["POST"])
async def open_gate(request: Request) -> dict[str, Any]:
    """Let a stream go on; whether its client is there is of no matter."""
    gates.setdefault(request.path.rpartition("/")[2], anyio.Event()).set()
    return {}


@app.http_route("/tell/*", methods=["POST"])
async def tell_from_outside(request: Request) -> dict[str, Any]:
    await publish(int(request.path.rpartition("/")[2]))
    return {}


@app.http_route("/runs")
async def report_runs(_request: Request) -> dict[str, Any]:
    return dict(runs)
