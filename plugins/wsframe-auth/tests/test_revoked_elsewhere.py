"""An application, or another plugin, may know better which tokens were revoked."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest
from wsframe_auth import AuthPlugin

from wsframe import App, PluginError, RequestRefused, hookimpl
from wsframe.testing import RequestError


async def refusals(connect: Any, app: Any, token: str, friend: Any) -> list[Any]:
    """What a token is answered at the handshake, at init, and at a renewal."""
    with pytest.raises(RequestRefused) as refused:
        await connect(app, token=token)
    client = await connect(app, init=False)
    with pytest.raises(RequestError) as init:
        await client.request("init", {"token": token})
    with pytest.raises(RequestError) as renewed:
        await friend.request("auth", {"token": token})
    return [refused.value.status, init.value.code, renewed.value.code]


async def test_who_is_asked_refuses_a_token_at_every_door(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    app = guarded()
    (plugin,) = app.plugins
    asked: list[str] = []

    @plugin.check_revoked
    async def revoked(identity: Any) -> bool:
        asked.append(identity.claims["jti"])
        return bool(identity.claims["jti"] == "stolen")

    friend = await wsframe_client(app, token=mint(jti="good"))
    stolen = mint(jti="stolen")
    found = await refusals(wsframe_client, app, stolen, friend)
    assert found == [401, "unauthenticated", "unauthenticated"]
    assert asked == ["good", "stolen", "stolen", "stolen"]
    assert (await friend.request("echo")).content["subject"] == "ann"
    with pytest.raises(RequestRefused):  # nobody is asked about what does not count anyway
        await wsframe_client(app, token=mint(jti="late", exp=1))
    assert "late" not in asked


async def test_as_long_as_nobody_can_say_no_token_counts(
    wsframe_client: Any, guarded: Any, mint: Any, caplog: pytest.LogCaptureFixture
) -> None:
    app = guarded()
    (plugin,) = app.plugins
    friend = await wsframe_client(app, token=mint())

    @plugin.check_revoked
    async def revoked(identity: Any) -> bool:
        raise ConnectionError("the database is gone")

    token = mint()
    assert await refusals(wsframe_client, app, token, friend) == [503, "unavailable", "unavailable"]
    assert "the database is gone" in caplog.text
    assert token not in caplog.text


async def test_a_setting_names_who_is_asked(
    wsframe_client: Any, guarded: Any, mint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def revoked(identity: Any) -> bool:
        return bool(identity.subject == "eve")

    module = ModuleType("revocations_of_a_test")
    module.revoked = revoked  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    app = guarded(revoked="revocations_of_a_test:revoked")
    await wsframe_client(app, token=mint())
    with pytest.raises(RequestRefused):
        await wsframe_client(app, token=mint(sub="eve"))


@pytest.mark.parametrize("name", ["there.is.none:x", "json:nothing", "json:", "math:pi", ""])
def test_a_setting_that_names_nothing_keeps_the_server_from_starting(
    guarded: Any, name: str
) -> None:
    with pytest.raises(PluginError, match="revoked"):
        guarded(revoked=name).prepare()


async def test_whoever_has_the_application_finds_the_plugin(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    app = guarded()
    with pytest.raises(LookupError):
        AuthPlugin.of(app)

    @app.handler("log_out")
    async def log_out(message: Any, connection: Any) -> None:
        AuthPlugin.of(app).revoke(subject=connection.identity.subject)

    client = await wsframe_client(app, token=mint())
    with pytest.raises(RequestError):
        await client.request("log_out")
        await client.request("echo")
    assert (await client.wait_closed())[0] == 4401


async def test_another_plugin_can_be_who_is_asked(
    wsframe_client: Any, guarded: Any, mint: Any
) -> None:
    class Blocklist:
        @hookimpl(trylast=True)
        def setup(self, app: App) -> None:
            AuthPlugin.of(app).check_revoked(self.revoked)

        async def revoked(self, identity: Any) -> bool:
            return bool(identity.subject == "eve")

    app = guarded()
    app.plugins.append(Blocklist())
    await wsframe_client(app, token=mint())
    with pytest.raises(RequestRefused):
        await wsframe_client(app, token=mint(sub="eve"))
