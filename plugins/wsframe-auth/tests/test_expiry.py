"""Tokens expire while their clients are connected."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest

from wsframe import Connection
from wsframe.testing import RequestError


def ends_in(seconds: float) -> int:
    return int(time.time()) + round(seconds)


async def test_a_client_is_warned_once_for_each_token(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    client = await wsframe_client(guarded(warn_before_s=10), token=mint(exp=ends_in(100)))
    warning = await client.receive()
    assert 9_000 < warning.content["expiresInMs"] <= 10_000
    await anyio.sleep(5)
    assert client.messages == []
    answer = await client.request("auth", {"token": mint(exp=ends_in(200))})
    assert answer.content["subject"] == "ann"
    assert answer.content["expiresInMs"] > 100_000
    warning = await client.receive()
    assert warning.content["event"] == "token_expiring"
    assert (await client.wait_closed())[0] == 4401


async def test_a_client_that_does_not_want_warnings_gets_none(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    client = await wsframe_client(guarded(warn_before_s=0), token=mint(exp=ends_in(50)))
    assert (await client.wait_closed())[0] == 4401
    assert client.messages == []


async def test_the_expiry_of_a_token_in_init_counts_as_well(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    client = await wsframe_client(guarded(), init_content={"token": mint(exp=ends_in(50))})
    assert await client.wait_closed() == (4401, "the token has expired")


async def test_a_renewal_with_a_token_that_does_not_count_changes_nothing(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    client = await wsframe_client(guarded(), token=mint(scope="a"))
    for token in ("nonsense", mint(exp=1), mint(key="another secret of at least 32 bytes..")):
        with pytest.raises(RequestError) as refused:
            await client.request("auth", {"token": token})
        assert refused.value.code == "unauthenticated"
    with pytest.raises(RequestError) as refused:
        await client.request("auth", {"token": 7})
    assert refused.value.code == "invalid_content"
    assert (await client.request("echo")).content["scopes"] == ["a"]


async def test_a_session_that_was_closed_goes_on_with_a_new_token(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    app = guarded()

    @app.handler("slow", concurrent=True, timeout_s=None)
    async def slow(message: Any, connection: Any) -> str:
        await anyio.sleep(60)
        return "done"

    client = await wsframe_client(app, token=mint(exp=ends_in(50)))
    client.send("slow", id="slow")
    await client.wait_closed()
    resume = {"sessionId": client.session_id, "secret": client.secret, "seq": client.seq}
    again = await wsframe_client(app, token=mint(), init_content={"resume": resume})
    assert again.init.content["resumed"] is True
    answer = await again.receive()
    assert (answer.reply_to, answer.content) == ("slow", "done")
    await anyio.sleep(100)
    assert again.closed is None


async def test_a_token_without_exp_never_expires_where_that_is_allowed(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    client = await wsframe_client(guarded(require=("sub",)), token=mint(exp=...))
    await anyio.sleep(1_000)
    assert (await client.request("echo")).content["subject"] == "ann"


async def test_connections_that_end_are_watched_no_longer(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    app = guarded()
    clients = [await wsframe_client(app, token=mint()) for _ in range(5)]
    (plugin,) = app.plugins
    assert len(plugin._watch) == 5
    for client in clients:
        await client.close()
    await anyio.sleep(1)
    assert len(plugin._watch) == 0


async def test_a_client_that_does_not_read_holds_up_nobody_elses_end(
    wsframe_client: Any, guarded: Any, mint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def waits(self: Connection, message: Any) -> None:
        await anyio.sleep_forever()

    app = guarded(warn_before_s=20)
    monkeypatch.setattr(Connection, "send", waits)
    clients = [await wsframe_client(app, token=mint(exp=ends_in(50))) for _ in range(3)]
    began = anyio.current_time()
    for client in clients:
        assert (await client.wait_closed())[0] == 4401
    assert anyio.current_time() - began < 56


async def test_a_revocation_is_forgotten_when_its_tokens_have_expired(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    app = guarded()
    await wsframe_client(app, token=mint())
    (plugin,) = app.plugins
    plugin.revoke(jti="1", expires_at=time.time() + 100)
    plugin.revoke(subject="bob", expires_at=time.time() + 100)
    plugin.revoke(jti="2")
    assert len(plugin._revocations) == 3
    await anyio.sleep(110)
    assert len(plugin._revocations) == 1
    for wrong in ({}, {"jti": "1", "subject": "ann"}):
        with pytest.raises(ValueError, match="either jti or subject"):
            plugin.revoke(**wrong)


async def test_the_application_can_be_stopped_and_started_again(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    app = guarded()
    for _ in range(2):
        client = await wsframe_client(app, token=mint(exp=ends_in(50)))
        assert (await client.wait_closed())[0] == 4401
        await wsframe_client.stop(app)


async def test_disabled_at_run_time_the_plugin_watches_nobody(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    app = guarded()
    await wsframe_client(app, token=mint())
    await app.disable_plugin("auth")
    client = await wsframe_client(app)
    await anyio.sleep(100)
    assert (await client.request("echo")).content["subject"] == "anonymous"
    await app.enable_plugin("auth")
    with pytest.raises(RequestError) as refused:
        await client.request("echo")
    assert refused.value.code == "unauthenticated"
    with pytest.raises(RequestError):
        await wsframe_client(app)


async def test_a_client_that_renews_all_the_time_takes_no_more_memory(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    app = guarded()
    client = await wsframe_client(app, token=mint())
    (plugin,) = app.plugins
    for number in range(300):
        await client.request("auth", {"token": mint(exp=ends_in(500 + number))})
    assert len(plugin._watch._due) < 80
    await anyio.sleep(700)
    assert client.closed is None
    assert (await client.wait_closed())[0] == 4401
