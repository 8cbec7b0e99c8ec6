"""The whole client over a network that breaks all the time: everything is answered, once."""

from __future__ import annotations

import random
from contextlib import suppress

import anyio
import pytest

from tests.client.scripted import Peer, Server, client_of, serve
from tests.client.test_conversation_model import ModelServer
from wsframe.client import Client


async def begin(peer: Peer, model: ModelServer) -> None:
    """Begin the session, or go on with it."""
    await peer.accept()
    init = await peer.receive()
    resume = init.content.get("resume")
    seq = resume["seq"] if resume else 0
    missed = model.outbox[seq - model.evicted :]
    content = {
        "sessionId": model.session_id,
        "secret": model.secret,
        "resumed": resume is not None,
        "seq": seq,
        "inFlight": [*(each.reply_to for each in missed if each.final), *model.running],
    }
    await peer.answer(init, content)
    for message in missed:
        await peer.send_message(message)


async def go_on(peer: Peer, model: ModelServer, chance: random.Random) -> None:
    """Work for a while, then lose the connection somewhere in the middle."""
    for _ in range(chance.randrange(1, 25)):
        if model.running and chance.random() < 0.6:
            message_id = chance.choice(list(model.running))
            running = model.running[message_id]
            if running.message.type == "ask" and running.parts < 5:
                message = model.part(message_id)
            else:
                message = model.finish(message_id, None, retryable=False)
            if chance.random() < 0.9:  # or it is lost on its way
                await peer.send_message(message)
            else:
                break
            continue
        with anyio.move_on_after(0.01):
            answer = model.accept(await peer.receive())
            if answer is not None:
                await peer.send_message(answer)
    if chance.random() < 0.5:
        await anyio.sleep(chance.random())
    await peer.drop()


@pytest.mark.parametrize("seed", range(10))
async def test_everything_is_answered_once_however_often_the_network_breaks(seed: int) -> None:
    model = ModelServer("s1", 100_000)
    chance = random.Random(seed)
    answered: list[str] = []

    async def script(server: Server) -> None:
        with suppress(anyio.EndOfStream):
            while True:
                peer = await server.peer()
                with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                    await begin(peer, model)
                    await go_on(peer, model, chance)
                await peer.drop()

    async def request(client: Client, name: str) -> None:
        answer = await client.request("text", message_id=name, timeout_s=1e6)
        assert answer.content["id"] == name
        answered.append(name)

    async def stream(client: Client, name: str) -> None:
        parts = client.stream("ask", message_id=name, timeout_s=1e6)
        assert [part.content["n"] async for part in parts] == [1, 2, 3, 4, 5]
        answered.append(name)

    async with serve(script) as server:
        settings = {"ack_delay_s": 2, "backoff_cap_s": 1}
        async with client_of(server, **settings) as client, anyio.create_task_group() as tasks:
            for n in range(15):
                tasks.start_soon(request, client, f"r{n}")
                tasks.start_soon(stream, client, f"s{n}")
        server.finish()
    assert sorted(answered) == sorted(f"{kind}{n}" for kind in "rs" for n in range(15))
    assert set(model.runs.values()) == {1}
    assert len(server.attempts_at) > 3
