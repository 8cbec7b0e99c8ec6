"""Threats 17 and 18: a token ends, or is ended, while its client is connected."""

from __future__ import annotations

import time
from typing import Any

import anyio
import pytest

from tests.security.token_scene import guarded, hs_token
from wsframe import App, RequestRefused
from wsframe.testing import RequestError

HOUR_S = 3600


async def guarded_and_running(connect: Any) -> tuple[App, float]:
    """An application, and what time it is for it.

    Its clock is read once, when it starts: how long the machine takes until then does not count.
    """
    app = guarded()
    await connect(app, token=hs_token())
    (plugin,) = app.plugins
    return app, plugin._now()  # type: ignore[attr-defined]


async def test_17_a_connection_is_closed_within_5_s_of_the_end_of_its_token(
    wsframe_client: Any,
) -> None:
    app, now = await guarded_and_running(wsframe_client)
    client = await wsframe_client(app, token=hs_token(exp=int(now) + 100))
    began = anyio.current_time()
    assert await client.wait_closed() == (4401, "the token has expired")
    assert 98 < anyio.current_time() - began < 105


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
async def test_17_a_jump_of_the_wall_clock_ends_no_token_and_lengthens_none(
    wsframe_client: Any, monkeypatch: pytest.MonkeyPatch, jump_s: int
) -> None:
    app, now = await guarded_and_running(wsframe_client)
    token = hs_token(exp=int(now) + 1000)
    client = await wsframe_client(app, token=token)
    began, wall = anyio.current_time(), time.time
    monkeypatch.setattr(time, "time", lambda: wall() + jump_s)
    await anyio.sleep(900)
    assert (await client.request("echo")).content == {"subject": "ann"}
    assert client.closed is None
    await wsframe_client(app, token=token)
    assert (await client.wait_closed())[0] == 4401
    assert 998 < anyio.current_time() - began < 1005
    with pytest.raises(RequestRefused):
        await wsframe_client(app, token=token)


async def test_17_after_the_end_nothing_but_the_renewal_is_taken(wsframe_client: Any) -> None:
    app = guarded(grace_s=60, warn_before_s=30)
    client = await wsframe_client(app, token=hs_token(exp=int(time.time()) + 100))
    warning = await client.receive()
    assert (warning.type, warning.transient) == ("system", True)
    assert warning.content["event"] == "token_expiring"
    assert 29_000 <= warning.content["expiresInMs"] <= 30_000
    await anyio.sleep(40)
    with pytest.raises(RequestError) as refused:
        await client.request("echo")
    assert refused.value.code == "unauthenticated"
    renewed = await client.request("auth", {"token": hs_token(exp=int(time.time()) + 5000)})
    assert renewed.content["subject"] == "ann"
    assert (await client.request("echo")).content == {"subject": "ann"}
    await anyio.sleep(1000)
    assert client.closed is None


@pytest.mark.parametrize("door", ["auth", "init"])
async def test_17_a_token_of_somebody_else_does_not_take_over_a_session(
    wsframe_client: Any, door: str
) -> None:
    app = guarded()
    client = await wsframe_client(app, token=hs_token(), init=False)
    with pytest.raises(RequestError) as refused:
        await client.request(door, {"token": hs_token(sub="eve", scope="admin")})
    assert refused.value.code == ("forbidden" if door == "auth" else "unauthenticated")
    if door == "auth":
        assert (await client.request("echo")).content == {"subject": "ann"}
    else:
        assert (await client.wait_closed())[0] == 4401


async def test_17_a_session_is_resumed_by_its_own_subject_only(wsframe_client: Any) -> None:
    app = guarded()
    client = await wsframe_client(app, token=hs_token())
    resume = {"sessionId": client.session_id, "secret": client.secret, "seq": 0}
    await client.drop()
    for door in ("handshake", "init"):
        token = hs_token(sub="eve")
        content: dict[str, Any] = {"resume": resume}
        if door == "init":
            content["token"] = token
        thief = await wsframe_client(
            app, token=token if door == "handshake" else None, init_content=content
        )
        assert thief.init.content["resumed"] is False
    owner = await wsframe_client(app, init_content={"resume": resume, "token": hs_token()})
    assert owner.init.content["resumed"] is True


@pytest.mark.parametrize("by", ["jti", "subject"])
async def test_18_a_revoked_token_ends_its_connections_within_a_second(
    wsframe_client: Any, by: str
) -> None:
    app = guarded()
    (plugin,) = app.plugins
    token = hs_token(jti="1")
    clients = [await wsframe_client(app, token=token) for _ in range(3)]
    other = await wsframe_client(app, token=hs_token(jti="2", sub="bob"))
    await anyio.sleep(5)
    plugin.revoke(**({"jti": "1"} if by == "jti" else {"subject": "ann"}))  # type: ignore[attr-defined]
    with anyio.fail_after(1):
        for client in clients:
            assert await client.wait_closed() == (4401, "the token was revoked")
    assert (await other.request("echo")).content == {"subject": "bob"}
    with pytest.raises(RequestRefused) as refused:  # replayed
        await wsframe_client(app, token=token)
    assert refused.value.status == 401
    client = await wsframe_client(app, init=False)
    with pytest.raises(RequestError):
        await client.request("init", {"token": token})
    with pytest.raises(RequestError):
        await other.request("auth", {"token": token})


async def test_18_a_message_in_the_very_moment_of_the_revocation_is_not_handled(
    wsframe_client: Any,
) -> None:
    app = guarded()
    (plugin,) = app.plugins
    client = await wsframe_client(app, token=hs_token(jti="1"))
    plugin.revoke(jti="1")  # type: ignore[attr-defined]
    with pytest.raises(RequestError) as refused:
        await client.request("echo")
    assert refused.value.code == "cancelled"
    assert (await client.wait_closed())[0] == 4401


async def test_18_after_a_log_out_everywhere_a_token_that_is_newer_counts(
    wsframe_client: Any,
) -> None:
    app = guarded(leeway_s=10)
    (plugin,) = app.plugins
    await wsframe_client(app, token=hs_token(sub="bob"))
    older = hs_token()
    plugin.revoke(subject="ann")  # type: ignore[attr-defined]
    for token in (hs_token(iat=...), older):
        with pytest.raises(RequestRefused):
            await wsframe_client(app, token=token)
    await anyio.sleep(3)
    now = plugin._now()  # type: ignore[attr-defined]
    await wsframe_client(app, token=hs_token(iat=int(now), exp=now + 3600))
