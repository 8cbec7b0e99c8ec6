"""The Python client and a real server, on real sockets, on each event loop."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest
import trustme

from wsframe import App, Connection, HandlerError, Message
from wsframe.client import Client, ConnectError, RequestError

LOOPS = ["asyncio", "uvloop", "trio"]
GUARD_S = 90.0
"""A deadlock guard: what a test waits for comes much earlier."""


@pytest.fixture(params=LOOPS)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    if request.param == "trio":
        return "trio", {}
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


def make_app(**settings: Any) -> App:
    """An application with one handler for everything that a client can meet."""
    app = App(drain_timeout_s=0.2, close_timeout_s=GUARD_S, **settings)
    app.rooms.open_to_clients("lobby")

    @app.handler("text")
    async def text(message: Message[Any], connection: Connection) -> Any:
        return message.content

    @app.handler("ask", concurrent=True)
    async def ask(message: Message[Any], connection: Connection) -> AsyncIterator[Any]:
        for word in message.content["prompt"].split():
            yield {"delta": word}

    @app.handler("hang", concurrent=True)
    async def hang(message: Message[Any], connection: Connection) -> None:
        await anyio.sleep_forever()

    @app.handler("flaky", retries=0)
    async def flaky(message: Message[Any], connection: Connection) -> Any:
        flaky_calls.append(message.id)
        if len(flaky_calls) % 3:
            raise HandlerError("shop.busy", "Later", retryable=True, retry_after_ms=10)
        return {"calls": len(flaky_calls)}

    @app.handler("close")
    async def close(message: Message[Any], connection: Connection) -> None:
        connection.close(message.content["code"], "asked for")

    flaky_calls: list[str | None] = []
    return app


@asynccontextmanager
async def running(app: App) -> AsyncIterator[str]:
    """The application, served; yields its URL."""
    url = await (app.start() if app.config.unix_socket else app.start(port=0))
    try:
        yield url
    finally:
        await app.stop()


@pytest.mark.parametrize("subprotocol", ["json", "msgpack"])
async def test_requests_streams_and_rooms(subprotocol: Any) -> None:
    app = make_app()
    with anyio.fail_after(GUARD_S):
        async with running(app) as url, Client(url, subprotocol=subprotocol) as client:
            assert client.status == "open"
            assert (await client.request("text", {"text": "世界"})).content == {"text": "世界"}
            large = {"text": "abc" * 100_000}
            assert (await client.request("text", large)).content == large
            stream = client.stream("ask", {"prompt": "once upon a time"})
            assert [part.content["delta"] async for part in stream] == ["once", "upon", "a", "time"]
            await client.request("join", {"room": "lobby"})
            for n in range(100):
                await app.rooms.publish("lobby", {"type": "said", "content": {"n": n}})
            messages = client.messages()
            assert [(await anext(messages)).content["n"] for _ in range(100)] == list(range(100))
            with pytest.raises(RequestError) as caught:
                await client.request("txet")
            assert caught.value.code == "unknown_type"
            assert "text" in caught.value.details["nearest"]
        assert client.status == "closed"


async def test_many_requests_at_once_are_each_answered() -> None:
    answers: dict[int, int] = {}

    async def ask(client: Client, n: int) -> None:
        answers[n] = (await client.request("text", {"n": n})).content["n"]

    with anyio.fail_after(GUARD_S):
        async with (
            running(make_app(max_in_flight=16)) as url,
            Client(url, retries=0) as client,
            anyio.create_task_group() as tasks,
        ):
            for n in range(200):
                tasks.start_soon(ask, client, n)
    assert answers == {n: n for n in range(200)}


async def test_retries_timeouts_and_cancelling() -> None:
    async def hang() -> None:
        with pytest.raises(RequestError) as caught:
            await client.request("hang", message_id="mine")
        assert caught.value.code == "cancelled"

    with anyio.fail_after(GUARD_S):
        async with running(make_app()) as url, Client(url) as client:
            assert (await client.request("flaky")).content == {"calls": 3}
            with pytest.raises(RequestError) as caught:
                await client.request("hang", timeout_s=0.05)
            assert (caught.value.code, caught.value.retryable) == ("timeout", True)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(hang)
                while not await client.cancel("mine"):
                    await anyio.sleep(0.01)


async def test_a_restarted_server_gets_its_client_back() -> None:
    app = make_app(reconnect_after_ms=10)
    with anyio.fail_after(GUARD_S):
        url = await app.start(port=0)
        port = int(url.rpartition(":")[2].partition("/")[0])
        async with Client(url) as client:
            first = client.session_id
            await app.stop()
            async for status in client.statuses():  # it has noticed, or it would ask the old one
                if status == "connecting":
                    break
            app = make_app()
            await app.start(port=port)
            try:
                assert (await client.request("text", {"n": 1})).content == {"n": 1}
                assert client.session_id != first
            finally:
                await client.close()
                await app.stop()


async def test_a_final_close_and_a_wrong_path_say_what_is_wrong() -> None:
    with anyio.fail_after(GUARD_S):
        async with running(make_app()) as url:
            async with Client(url) as client:
                with pytest.raises((ConnectError, RequestError)):
                    await client.request("close", {"code": 4403})
                with pytest.raises(ConnectError) as caught:
                    await client.request("text")
                assert caught.value.close_code == 4403
            with pytest.raises(ConnectError) as caught:
                await Client(url + "/elsewhere").__aenter__()
            assert caught.value.status == 404
            assert "path" in caught.value.hint


async def test_a_unix_socket(tmp_path: Path) -> None:
    path = str(tmp_path / "chat.sock")
    app = make_app(unix_socket=path)
    with anyio.fail_after(GUARD_S):
        async with running(app), Client("ws://chat.example/ws", unix_socket=path) as client:
            assert (await client.request("text", {"n": 1})).content == {"n": 1}


async def test_tls_with_a_certificate_that_is_trusted_and_one_that_is_not(tmp_path: Path) -> None:
    authority, file = trustme.CA(), tmp_path / "certificate.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(file))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    with anyio.fail_after(GUARD_S):
        async with running(make_app(tls_certificate_file=str(file))) as url:
            async with Client(url, ssl_context=trusting) as client:
                assert (await client.request("text", {"n": 1})).content == {"n": 1}
            with pytest.raises(ConnectError, match="certificate"):
                await Client(url).__aenter__()


@asynccontextmanager
async def proxy(authorization: bytes) -> AsyncIterator[str]:
    """An HTTP proxy that knows CONNECT only; yields its address."""

    async def forward(
        source: anyio.abc.ByteStream, target: anyio.abc.ByteStream, both: anyio.CancelScope
    ) -> None:
        try:
            async for data in source:
                await target.send(data)
            await target.send_eof()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            both.cancel()  # as one end breaks, so does the other

    async def serve(client: anyio.abc.ByteStream) -> None:
        async with client:
            head = b""
            while b"\r\n\r\n" not in head:
                head += await client.receive()
            if authorization not in head:
                await client.send(b"HTTP/1.1 407 x\r\nContent-Length: 0\r\n\r\n")
                return
            target = head.split()[1].decode()
            host, _, port = target.rpartition(":")
            async with (
                await anyio.connect_tcp(host, int(port)) as server,
                anyio.create_task_group() as tasks,
            ):
                await client.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
                tasks.start_soon(forward, client, server, tasks.cancel_scope)
                await forward(server, client, tasks.cancel_scope)
                tasks.cancel_scope.cancel()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield f"127.0.0.1:{listener.extra(anyio.abc.SocketAttribute.local_port)}"
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("secure", [False, True])
async def test_a_proxy(secure: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority, file = trustme.CA(), tmp_path / "certificate.pem"
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(file))
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    app = make_app(tls_certificate_file=str(file)) if secure else make_app()
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with anyio.fail_after(GUARD_S):
        credentials = b"Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"
        async with proxy(credentials) as address, running(app) as url:
            monkeypatch.setenv("ALL_PROXY", f"http://me:secret@{address}")
            async with Client(url, ssl_context=trusting) as client:
                assert (await client.request("text", {"n": 1})).content == {"n": 1}
            with pytest.raises(ConnectError) as caught:
                await Client(url, proxy=f"http://{address}").__aenter__()
            assert caught.value.status == 407
            assert "proxy" in caught.value.hint
