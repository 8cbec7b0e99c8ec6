"""The application of the simulation: it does what a message says, and notes each run."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any

import anyio

from tests.simulation.truth import Run, Truth
from wsframe import App, HandlerError, Message

SLOW_TIMEOUT_S = 0.5
ROOMS = ("red", "green", "blue")


class Planned(Exception):
    """What a handler raises that the scenario lets fail."""


def make_app(truth: Truth, settings: dict[str, Any]) -> App:
    """A new application for one life of the server."""
    app = App(**settings)
    app.reconfigure({"plugins.only": ()})
    app.rooms.open_to_clients(*ROOMS)

    def begins(message: Message[Any], connection: Any) -> int:
        """Note a run; returns how many there have been."""
        assert message.id is not None
        runs = truth.runs[connection.session_id, message.id]
        runs.append(Run(truth.life, len(runs) + 1))
        truth.note(f"runs {message.content['token']} ({len(runs)})")
        return len(runs)

    async def act(message: Message[Any], connection: Any) -> Any:
        run = begins(message, connection)
        content = message.content
        if content["wait_s"] > 0:
            await anyio.sleep(content["wait_s"])
        match content["do"]:
            case "error":
                raise HandlerError("sim.refused", "As planned.", details=content["token"])
            case "retry" if run <= content["times"]:
                raise HandlerError("sim.again", "As planned.", retryable=True, retry_after_ms=50)
            case "crash":
                raise Planned
            case "none":
                return None
        return {"token": content["token"], "run": run, "padding": content["padding"]}

    async def tell(message: Message[Any], connection: Any) -> AsyncGenerator[Any, None]:
        run = begins(message, connection)
        content = message.content
        for number in range(1, content["parts"] + 1):
            if content["wait_s"] > 0:
                await anyio.sleep(content["wait_s"])
            if content["do"] == "error" and number == content["times"]:
                raise HandlerError("sim.refused", "As planned.", details=content["token"])
            if content["do"] == "retry" and run <= content["times"]:
                raise HandlerError("sim.again", "As planned.", retryable=True, retry_after_ms=50)
            yield {"token": content["token"], "run": run, "from": number, "to": number,
                   "padding": content["padding"]}  # fmt: skip

    async def stubborn(message: Message[Any], connection: Any) -> Any:
        run = begins(message, connection)
        with anyio.CancelScope(shield=True):
            await anyio.sleep(message.content["wait_s"])
        return {"token": message.content["token"], "run": run, "padding": ""}

    async def push(message: Message[Any], connection: Any) -> Any:
        run = begins(message, connection)
        for number in range(message.content["parts"]):
            await connection.send({
                "type": "note",
                "content": {"token": message.content["token"], "number": number},
            })  # fmt: skip
        return {"token": message.content["token"], "run": run, "padding": ""}

    async def shout(message: Message[Any], connection: Any) -> Any:
        run = begins(message, connection)
        token = message.content["token"]
        await app.rooms.publish(message.content["room"], {"type": "news", "content": token})
        await app.broadcast({"type": "typing", "content": token, "transient": True})
        return {"token": token, "run": run, "padding": ""}

    def merged(earlier: Any, later: Any) -> Any:
        return {**later, "from": earlier["from"]}

    app.add_handler("act", act)
    app.add_handler("beside", act, concurrent=True)
    app.add_handler("slow", act, timeout_s=SLOW_TIMEOUT_S)
    app.add_handler("stubborn", stubborn, timeout_s=SLOW_TIMEOUT_S)
    app.add_handler("tell", tell)
    app.add_handler("tell.merged", tell, coalesce=merged)
    app.add_handler("push", push)
    app.add_handler("shout", shout)
    return app
