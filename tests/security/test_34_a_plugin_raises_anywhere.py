"""Threat 34, plugins: whatever a hook raises, the message is answered and nobody else suffers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from wsframe import App, hookimpl
from wsframe.hooks import SPECS

pytestmark = pytest.mark.anyio

SECRET = "internals-that-nobody-may-see"
FAULTS: dict[str, Callable[[], BaseException]] = {
    "exception": lambda: RuntimeError(SECRET),
    "system exit": lambda: SystemExit(SECRET),
    "group": lambda: BaseExceptionGroup(SECRET, [SystemExit(SECRET), ValueError(SECRET)]),
    "stray cancellation": lambda: asyncio.CancelledError(SECRET),
}
RUNTIME = [name for name, spec in SPECS.items() if spec.is_async and name != "started"]
BEFORE_THE_UPGRADE = {"connection_opening", "authenticate"}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Faulty:
    """A plugin that raises in one hook, for clients that ask for it."""

    def __init__(self, hook: str, error: Callable[[], BaseException]) -> None:
        self.raised = 0
        spec = SPECS[hook]
        arguments = ", ".join(spec.parameters)
        scope: dict[str, Any] = {"plugin": self}
        exec(
            f"async def {hook}({arguments}):\n    plugin.fail(({arguments},))\n",
            scope,
        )
        self._error = error
        setattr(self, hook, hookimpl(scope[hook]))

    def fail(self, arguments: tuple[Any, ...]) -> None:
        for argument in arguments:
            request = getattr(argument, "request", argument)
            if getattr(request, "query", "victim") != "victim":
                return
        self.raised += 1
        raise self._error()


def application(plugin: Faulty) -> App:
    app = App(plugins=[plugin])
    app.rooms.open_to_clients("lobby")

    @app.handler("text")
    async def echo(message: Any, connection: Any) -> Any:
        return message.content

    @app.handler("fail")
    async def fail(message: Any, connection: Any) -> Any:
        raise RuntimeError(SECRET)

    return app


WAIT_S = 60.0
"""A guard against hanging: what is waited for comes much earlier."""


async def ask(client: ClientConnection, message_type: str, **content: Any) -> dict[str, Any]:
    await client.send(json.dumps({"id": message_type, "type": message_type, "content": content}))
    while True:
        text = str(await asyncio.wait_for(client.recv(), WAIT_S))
        assert SECRET not in text
        answer: dict[str, Any] = json.loads(text)
        if answer.get("replyTo") == message_type:
            return answer


async def converse(address: str, hook: str) -> None:
    """As the victim of the plugin: every message has its answer, or the refusal says why."""
    async with connect(
        address,
        subprotocols=["wsframe.v1.json"],  # type: ignore[list-item]
        open_timeout=WAIT_S,
    ) as client:
        opened = await ask(client, "init")
        if hook == "session_opening":
            assert opened["content"]["code"] == "internal"
            return
        expected = {
            "text": {"message_received", "message_sending"},
            "join": {"room_joining"},
        }
        for message_type, refused_by in expected.items():
            answer = await ask(client, message_type, room="lobby")
            if hook in refused_by:
                assert answer["content"]["code"] == "internal"
            else:
                assert answer["type"] == message_type
        assert (await ask(client, "fail"))["type"] == "error"


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("hook", sorted(set(RUNTIME) - {"session_resumed"}))
async def test_34_a_hook_that_raises_leaves_no_message_unanswered_and_no_one_else_touched(
    hook: str, fault: str
) -> None:
    plugin = Faulty(hook, FAULTS[fault])
    app = application(plugin)
    address = await app.start(host="127.0.0.1", port=0)
    try:
        async with connect(f"{address}?bystander", open_timeout=WAIT_S) as bystander:
            if hook in BEFORE_THE_UPGRADE:
                with pytest.raises(InvalidStatus) as refused:
                    await converse(f"{address}?victim", hook)
                assert refused.value.response.status_code == 500
                body = refused.value.response.body or b""
                assert json.loads(body)["code"] == "internal"
                assert SECRET.encode() not in body
            else:
                await converse(f"{address}?victim", hook)
            assert (await ask(bystander, "text", text="hi"))["content"] == {"text": "hi"}
    finally:
        await app.stop()
    assert plugin.raised > 0
