"""What somebody without a token gets: nothing, or what is for everybody."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from wsframe import Identity, RequestRefused
from wsframe.testing import RequestError


async def code_of(client: Any, message_type: str, content: Any = None) -> str:
    with pytest.raises(RequestError) as refused:
        await client.request(message_type, content)
    return refused.value.code


@pytest.mark.parametrize("subprotocol", ["json", None])
async def test_required_whoever_has_no_token_gets_nothing(
    wsframe_client: Any, guarded: Any, mint: Any, subprotocol: Any
) -> None:
    app = guarded()
    client = await wsframe_client(app, init=False, subprotocol=subprotocol)
    friend = await wsframe_client(app, token=mint())
    await friend.request("join", {"room": "lobby"})
    assert (await client.request("ping")).type == "pong"
    assert await code_of(client, "echo") == "unauthenticated"
    assert await code_of(client, "nowhere") == "unauthenticated"
    assert await code_of(client, "auth", {"token": mint()}) == "unauthenticated"
    assert await code_of(client, "join", {"room": "lobby"}) == "unauthenticated"
    assert await code_of(client, "join_myself") == "unauthenticated"
    await app.broadcast({"type": "news"})
    await app.rooms.publish("lobby", {"type": "news"})
    await anyio.sleep(1)
    assert client.messages == []
    assert [message.type for message in friend.messages] == ["news", "news"]
    assert (await client.wait_closed())[0] == 4401


async def test_required_an_identity_that_somebody_else_has_found_counts_too(
    wsframe_client: Any, guarded: Any
) -> None:
    client = await wsframe_client(guarded(), identity=Identity(subject="bob"))
    assert (await client.request("echo")).content["subject"] == "bob"


async def test_required_an_application_cannot_put_somebody_unknown_into_a_room(
    wsframe_client: Any, guarded: Any
) -> None:
    app = guarded()
    refusals = []

    @app.on("connection:added")
    async def greet(connection: Any) -> None:
        try:
            await connection.join("lobby")
        except Exception as error:
            refusals.append(getattr(error, "code", error))

    await wsframe_client(app, init=False)
    await anyio.sleep(1)
    assert refusals == ["unauthenticated"]
    assert app.rooms.members("lobby") == []


async def test_optional_no_token_is_anonymous_and_a_bad_one_is_refused(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    app = guarded(policy="optional", permissions={"echo": ()}, default_permission="authenticated")
    client = await wsframe_client(app)
    assert (await client.request("echo")).content["subject"] == "anonymous"
    assert await code_of(client, "join_myself") == "unauthenticated"
    with pytest.raises(RequestRefused):
        await wsframe_client(app, token=mint(exp=1))
    with pytest.raises(RequestError):
        await wsframe_client(app, init_content={"token": mint(exp=1)})
    known = await wsframe_client(app, token=mint())
    await known.request("join_myself")
    await anyio.sleep(100)
    assert client.closed is None


async def test_anonymous_tokens_are_not_looked_at_and_no_key_is_needed(
    wsframe_client: Any, guarded: Any
) -> None:
    app = guarded(policy="anonymous", secret=None, algorithms=())
    client = await wsframe_client(app, token="nonsense", init_content={"token": "nonsense"})
    assert (await client.request("echo")).content["subject"] == "anonymous"
    assert await code_of(client, "auth", {"token": "nonsense"}) == "forbidden"


async def test_scopes_are_read_from_texts_lists_and_inside_of_tables(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    app = guarded(scope_claims=("scope", "realm.roles", "https://x.example/roles"))
    token = mint(scope="a b", realm={"roles": ["c", 1, None]}, **{"https://x.example/roles": ["d"]})
    client = await wsframe_client(app, token=token)
    assert (await client.request("echo")).content["scopes"] == ["a", "b", "c", "d"]
