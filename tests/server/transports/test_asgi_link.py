"""A peer behind an ASGI server that has much to hand over at once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import anyio
import pytest

from wsframe import Request
from wsframe.server.transports.asgi_link import MESSAGES_PER_TURN, AsgiLink

pytestmark = pytest.mark.anyio

MESSAGES = 10 * MESSAGES_PER_TURN


async def test_others_have_their_turn_while_a_server_hands_over_many_messages() -> None:
    order: list[str] = []
    waiting = iter([str(number) for number in range(MESSAGES)])

    async def receive() -> Any:  # never waits: all of it has come in one read
        text = next(waiting, None)
        return {"type": "websocket.disconnect"} if text is None else {"text": text, "type": "x"}

    async def send(event: Any) -> None:
        pass

    async def other() -> None:
        while True:
            order.append("other")
            await anyio.lowlevel.checkpoint()

    dispatcher = SimpleNamespace(
        message_received=lambda _link, payload: order.append(payload),
        link_closed=lambda _link, code, reason: order.append("closed"),
        writable_changed=lambda _link: None,
    )
    config = SimpleNamespace(max_message_bytes=1_000, close_timeout_s=1)
    node = SimpleNamespace(bytes_received=0, bytes_sent=0)
    runtime: Any = SimpleNamespace(dispatcher=dispatcher, config=config, node=node)
    link = AsgiLink(runtime, Request("GET", "/ws"), None, receive, send)
    async with anyio.create_task_group() as task_group:
        task_group.start_soon(other)
        await anyio.lowlevel.checkpoint()
        await link.serve()
        task_group.cancel_scope.cancel()
    begun, ended = order.index("0"), order.index(str(MESSAGES - 1))
    assert [each for each in order if each != "other"] == [*map(str, range(MESSAGES)), "closed"]
    assert node.bytes_received == sum(len(str(number)) for number in range(MESSAGES))
    assert order[begun:ended].count("other") >= 5  # a backend may change their order
