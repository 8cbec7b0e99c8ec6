"""A failure inside of any hook of the plugin opens no door."""

from __future__ import annotations

import logging
import time
from typing import Any

import anyio
import pytest
from wsframe_auth import AuthPlugin
from wsframe_auth.watch import Watch

from wsframe import PluginError, RequestRefused, hookimpl
from wsframe.testing import RequestError

pytestmark = pytest.mark.filterwarnings("default")


async def fails(*_: Any) -> Any:
    raise RuntimeError("injected")


class FailingAuthenticate(AuthPlugin):
    @hookimpl
    async def authenticate(self, request: Any) -> Any:
        await fails()


class FailingSession(AuthPlugin):
    @hookimpl
    async def session_opening(self, connection: Any, init: Any) -> None:
        await fails()


class FailingMessage(AuthPlugin):
    @hookimpl
    async def message_received(self, connection: Any, message: Any) -> None:
        await fails()


class FailingRoom(AuthPlugin):
    @hookimpl
    async def room_joining(self, session: Any, room: str) -> bool | None:
        await fails()
        return True


class FailingClosed(AuthPlugin):
    @hookimpl
    async def connection_closed(self, connection: Any) -> None:
        await fails()


class FailingStart(AuthPlugin):
    @hookimpl
    async def started(self) -> None:
        await fails()


class FailingSetup(AuthPlugin):
    @hookimpl
    def setup(self, app: Any) -> None:
        raise RuntimeError("injected")


@pytest.mark.parametrize("with_token", [True, False])
async def test_nobody_comes_in_while_the_handshake_cannot_be_checked(
    wsframe_client: Any, guarded: Any, mint: Any, with_token: bool
) -> None:
    with pytest.raises(RequestRefused) as refused:
        await wsframe_client(guarded(FailingAuthenticate), token=mint() if with_token else None)
    assert refused.value.status == 500


async def test_no_session_begins_while_init_cannot_be_checked(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    app = guarded(FailingSession)
    client = await wsframe_client(app, init=False)
    with pytest.raises(RequestError) as refused:
        await client.request("init", {"token": mint()})
    assert refused.value.code == "internal"
    assert (await client.wait_closed())[0] == 4401


async def test_no_message_is_handled_while_it_cannot_be_checked(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    client = await wsframe_client(guarded(FailingMessage), token=mint())
    with pytest.raises(RequestError) as refused:
        await client.request("echo")
    assert refused.value.code == "internal"


async def test_no_room_is_joined_while_it_cannot_be_checked(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    app = guarded(FailingRoom)
    client = await wsframe_client(app, token=mint())
    for message_type, content in (("join", {"room": "lobby"}), ("join_myself", None)):
        with pytest.raises(RequestError) as refused:
            await client.request(message_type, content)
        assert refused.value.code == "internal"
    assert app.rooms.members("lobby") == []


@pytest.mark.parametrize("broken", [FailingStart, FailingSetup])
async def test_the_server_does_not_start_if_the_plugin_cannot(
    wsframe_client: Any, guarded: Any, broken: Any
) -> None:
    with pytest.raises(PluginError, match="injected"):
        await wsframe_client(guarded(broken))


async def test_who_cannot_be_watched_is_closed(
    wsframe_client: Any, guarded: Any, mint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("injected")

    app = guarded()
    monkeypatch.setattr(Watch, "add", fails)
    client = await wsframe_client(app, token=mint(), init=False)
    assert (await client.wait_closed())[0] == 1011


async def test_an_expired_token_is_refused_even_if_no_sweep_has_come_by(
    wsframe_client: Any, guarded: Any, mint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise RuntimeError("injected")

    app = guarded()
    client = await wsframe_client(app, token=mint(exp=int(time.time()) + 50))
    monkeypatch.setattr(Watch, "sweep", fails)
    await anyio.sleep(100)
    assert client.closed is None
    with pytest.raises(RequestError) as refused:
        await client.request("echo")
    assert refused.value.code == "cancelled"
    assert (await client.wait_closed())[0] == 4401


async def test_one_connection_that_cannot_be_looked_at_keeps_no_other_open(
    wsframe_client: Any, guarded: Any, mint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = guarded()
    first = await wsframe_client(app, token=mint(sub="first", exp=int(time.time()) + 50))
    second = await wsframe_client(app, token=mint(sub="second", exp=int(time.time()) + 50))
    look, left = Watch._look, [3]

    def fails_for_the_first(self: Watch, watched: Any, now: float) -> None:
        if watched.connection.identity.subject == "first" and left[0]:
            left[0] -= 1
            raise RuntimeError("injected")
        look(self, watched, now)

    monkeypatch.setattr(Watch, "_look", fails_for_the_first)
    assert (await second.wait_closed())[0] == 4401
    assert (await first.wait_closed())[0] == 4401


async def test_a_close_that_was_not_noticed_hurts_nobody(
    wsframe_client: Any, guarded: Any, mint: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    app = guarded(FailingClosed)
    for _ in range(2):
        client = await wsframe_client(app, token=mint(exp=int(time.time()) + 50))
        await client.close()
    await anyio.sleep(100)
    client = await wsframe_client(app, token=mint())
    assert (await client.request("echo")).content["subject"] == "ann"
