"""Threats 15 and 16: tokens that want keys fetched, from elsewhere or again and again."""

from __future__ import annotations

import logging
import socket
import threading
import time
from contextlib import suppress
from typing import Any

import anyio
import jwt
import pytest
from wsframe_auth import KeySource
from wsframe_auth.jwks import fetch

from tests.security.token_scene import (
    ISSUER,
    KeyServer,
    claims,
    guarded,
    jwk,
    key_server,
    public_pem,
    rs_token,
    rsa_key,
)
from wsframe import App, PluginError, RequestRefused

OTHER = "https://other.example"


async def status(connect: Any, app: App, token: str) -> int:
    try:
        await connect(app, token=token)
    except RequestRefused as error:
        return error.status
    return 101


def behind(server: KeyServer, **settings: Any) -> App:
    return guarded(jwks_url=server.url, algorithms=("RS256",), **settings)


@pytest.mark.parametrize("header", ["jku", "x5u", "iss"])
async def test_15_an_address_in_a_token_is_never_asked(wsframe_client: Any, header: str) -> None:
    with key_server(jwk("evil", 1)) as evil, key_server(jwk("good")) as good:
        app = behind(good, issuer=ISSUER)
        changes = {"iss": evil.url} if header == "iss" else {"iss": ISSUER}
        headers = {"kid": "evil"} if header == "iss" else {"kid": "evil", header: evil.url}
        token = jwt.encode(claims(**changes), rsa_key(1), algorithm="RS256", headers=headers)
        assert await status(wsframe_client, app, token) == 401
        assert await status(wsframe_client, app, rs_token("good", iss=ISSUER)) == 101
        assert evil.asked == []


@pytest.mark.parametrize("header", ["jwk", "x5c"])
async def test_15_a_key_inside_of_a_token_does_not_count(wsframe_client: Any, header: str) -> None:
    app = guarded(public_key=public_pem(), algorithms=("RS256",))
    headers = {header: jwk(None, 1)}
    token = jwt.encode(claims(), rsa_key(1), algorithm="RS256", headers=headers)
    assert await status(wsframe_client, app, rs_token()) == 101
    assert await status(wsframe_client, app, token) == 401


async def test_15_a_redirection_of_the_key_set_is_not_followed(wsframe_client: Any) -> None:
    with key_server(jwk("evil", 1)) as evil, key_server() as moved:
        moved.status, moved.location = 302, evil.url
        assert await status(wsframe_client, behind(moved), rs_token("evil", 1)) == 503
        assert (len(moved.asked), evil.asked) == (1, [])


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example/keys",
        "http://127.0.0.1.evil.example/keys",
        "ftp://127.0.0.1/keys",
        "file:///etc/passwd",
        "https://user:password@id.example/keys",
        "https:///keys",
    ],
)
def test_15_a_key_set_comes_by_https_or_from_this_machine(url: str) -> None:
    with pytest.raises(PluginError, match="jwks_url"):
        guarded(jwks_url=url, algorithms=("RS256",)).prepare()


async def test_16_ten_thousand_unknown_keys_cause_one_fetch_per_cool_down(
    wsframe_client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    with key_server(jwk("good")) as server:
        app = behind(server, jwks_cooldown_s=30)
        assert await status(wsframe_client, app, rs_token("good")) == 101
        assert len(server.asked) == 1
        await anyio.sleep(31)
        (plugin,) = app.plugins
        keys = plugin._identifying.verifier.issuers[0].keys  # type: ignore[attr-defined]

        async def flood(start: int) -> None:
            for number in range(start, start + 1000):
                with pytest.raises(Exception, match="its key is not in the key set"):
                    await keys.find(f"unknown-{number}", "RS256")

        async with anyio.create_task_group() as task_group:
            for start in range(0, 10_000, 1000):
                task_group.start_soon(flood, start)
        assert len(server.asked) == 2
        assert await status(wsframe_client, app, rs_token("unknown", 1)) == 401
        assert await status(wsframe_client, app, rs_token("good")) == 101
        assert len(server.asked) == 2


async def test_16_a_new_key_counts_as_soon_as_a_token_names_it(wsframe_client: Any) -> None:
    with key_server(jwk("old")) as server:
        app = behind(server)
        assert await status(wsframe_client, app, rs_token("old")) == 101
        server.keys = [jwk("new", 1)]
        assert await status(wsframe_client, app, rs_token("new", 1)) == 401  # cooling down
        await anyio.sleep(31)
        assert await status(wsframe_client, app, rs_token("new", 1)) == 101
        assert await status(wsframe_client, app, rs_token("old")) == 401


async def test_16_a_key_that_was_taken_out_counts_no_longer_after_the_refresh(
    wsframe_client: Any,
) -> None:
    with key_server(jwk("old"), jwk("new", 1)) as server:
        app = behind(server, jwks_refresh_s=100)
        assert await status(wsframe_client, app, rs_token("old")) == 101
        server.keys = [jwk("new", 1)]
        await anyio.sleep(110)
        assert await status(wsframe_client, app, rs_token("old")) == 401


@pytest.mark.parametrize("failure", ["down", "no set", "empty set", "too large", "secrets"])
async def test_16_the_last_good_keys_stay_while_the_key_set_cannot_be_had(
    wsframe_client: Any, failure: str
) -> None:
    with key_server(jwk("good")) as server:
        app = behind(server, jwks_refresh_s=60, jwks_max_bytes=2_000)
        assert await status(wsframe_client, app, rs_token("good")) == 101
        if failure == "down":
            server.status = 503
        server.body = {
            "down": b"sorry",
            "no set": b"<html>",
            "empty set": b'{"keys": []}',
            "too large": b" " * 2_001,
            "secrets": b'{"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "good"}]}',
        }[failure]
        await anyio.sleep(100)
        assert len(server.asked) > 1
        assert await status(wsframe_client, app, rs_token("good")) == 101
        server.status, server.body, server.keys = 200, None, [jwk("new", 1)]
        await anyio.sleep(100)
        assert await status(wsframe_client, app, rs_token("new", 1)) == 101


async def test_16_without_any_keys_nobody_comes_in_and_may_try_again(wsframe_client: Any) -> None:
    with key_server(jwk("good")) as server:
        server.status = 500
        app = behind(server)
        with pytest.raises(RequestRefused) as refused:
            await wsframe_client(app, token=rs_token("good"))
        assert (refused.value.status, refused.value.retry_after_s) == (503, 5)
        server.status = 200
        await anyio.sleep(35)
        assert await status(wsframe_client, app, rs_token("good")) == 101


async def test_16_the_same_kid_of_two_issuers_is_two_keys(wsframe_client: Any) -> None:
    with key_server(jwk("1", 0)) as mine, key_server(jwk("1", 1)) as other:
        app = guarded(
            jwks_url=mine.url,
            algorithms=("RS256",),
            issuer=ISSUER,
            issuers=(KeySource(jwks_url=other.url, algorithms=("RS256",), issuer=OTHER),),
        )
        assert await status(wsframe_client, app, rs_token("1", 0, iss=ISSUER)) == 101
        assert await status(wsframe_client, app, rs_token("1", 1, iss=OTHER)) == 101
        assert await status(wsframe_client, app, rs_token("1", 1, iss=ISSUER)) == 401
        assert await status(wsframe_client, app, rs_token("1", 0, iss=OTHER)) == 401
        first = await wsframe_client(app, token=rs_token("1", 0, iss=ISSUER))
        second = await wsframe_client(app, token=rs_token("1", 1, iss=OTHER))
        subjects = {(await each.request("echo")).content["subject"] for each in (first, second)}
        assert subjects == {f"{ISSUER}|ann", f"{OTHER}|ann"}


async def test_16_a_key_set_that_does_not_come_holds_up_nobody_whose_key_is_known(
    wsframe_client: Any,
) -> None:
    with key_server(jwk("good")) as server:
        app = behind(server)
        friend = await wsframe_client(app, token=rs_token("good"))
        await anyio.sleep(31)
        server.let_go.clear()
        statuses: list[int] = []

        async def asks() -> None:
            statuses.append(await status(wsframe_client, app, rs_token("unknown", 1)))

        async with anyio.create_task_group() as task_group:
            task_group.start_soon(asks)
            while len(server.asked) < 2:
                await anyio.sleep(0.01)
            assert (await friend.request("echo")).content == {"subject": "ann"}
            assert await status(wsframe_client, app, rs_token("good")) == 101
            assert statuses == []
            server.let_go.set()
        assert statuses == [401]


def test_16_a_key_set_that_does_not_come_is_waited_for_no_longer_than_allowed() -> None:
    with key_server(jwk("good")) as server:
        server.let_go.clear()
        try:
            with pytest.raises(OSError, match="timed out"):
                fetch(server.url, 0.05, 1_000)
        finally:
            server.let_go.set()


class RawServer:
    """Answers whoever connects with some bytes, and then a byte at a time, for ever."""

    def __init__(self, answer: bytes, *, trickles: bool) -> None:
        self._answer = answer
        self._trickles = trickles
        self._end = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/keys"

    def __enter__(self) -> RawServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        with suppress(OSError):  # whoever waits in accept() is not told of close()
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(60)
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection, suppress(OSError):
                    connection.recv(65_536)
                    connection.sendall(self._answer)
                    while self._trickles and not self._end.wait(0.01):
                        connection.sendall(b"x")


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 200 OK\r\nx-endless: ", b"HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n", b""],
    ids=["head", "body", "status"],
)
def test_16_a_key_set_that_comes_a_byte_at_a_time_is_cut_off(answer: bytes) -> None:
    # A socket's timeout begins anew with each byte.
    with RawServer(answer, trickles=True) as server, pytest.raises(OSError):  # noqa: PT011
        fetch(server.url, 0.2, 65_536)


def test_16_time_that_is_over_while_it_connects_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.create_connection

    def connect_late(*arguments: Any, **options: Any) -> socket.socket:
        time.sleep(0.3)
        return connect(*arguments, **options)

    monkeypatch.setattr(socket, "create_connection", connect_late)
    endless = b"HTTP/1.1 200 OK\r\nx-endless: "
    with RawServer(endless, trickles=True) as server, pytest.raises(OSError, match="timed out"):
        fetch(server.url, 0.05, 65_536)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\n" + b"x" * 100_000 + b"\r\n",
    ],
    ids=["no http", "nothing", "chunks", "many headers", "half a body", "long header"],
)
async def test_16_whatever_answers_in_place_of_the_key_set_the_server_starts_and_refuses(
    wsframe_client: Any, answer: bytes
) -> None:
    with RawServer(answer, trickles=False) as server:
        app = guarded(jwks_url=server.url, algorithms=("RS256",))
        assert await status(wsframe_client, app, rs_token("good")) == 503
