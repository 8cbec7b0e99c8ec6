"""Starting and stopping: signals, exit codes, sockets, and the same application again."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import pytest
import sniffio
from websockets.sync.client import connect

from tests.integration.contract_servers import GUARD_S, Client, ServedApp, native
from tests.integration.test_transports import until
from wsframe import App, Config, StartError, hookimpl
from wsframe.server.listening import SocketFile, describe, open_sockets

WAYS = [native("asyncio", "uvloop", "tcp"), native("anyio", "trio", "tcp")]
pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


# Signals


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_42_one_signal_drains_with_1012_and_ends_with_0(
    way: Any, number: signal.Signals, tmp_path: Path
) -> None:
    with ServedApp(way, tmp_path) as server, ExitStack() as stack:
        clients = [stack.enter_context(Client(server)) for _ in range(50)]
        for client in clients:
            client.ask("init")
        os.kill(server.pid, number)
        for client in clients:
            assert client.hear()["content"]["event"] == "draining"
            assert client.ended_with()[0] == 1012
        assert server.ended() == 0
        assert "Traceback" not in "".join(server.output)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_42_a_running_message_is_finished_and_a_new_one_refused(way: Any, tmp_path: Path) -> None:
    with ServedApp(way, tmp_path, ["--set", "drain_timeout_s=60"]) as server, Client(server) as c:
        c.say("outlast", "1", n=1)
        until(lambda: server.state()["hanging"] == 1)
        os.kill(server.pid, signal.SIGTERM)
        assert c.hear()["type"] == "system"
        assert c.ask("text", "2")["content"]["code"] == "draining"
        finished = c.hear()
        assert (finished["replyTo"], finished["content"]) == ("1", {"n": 1})
        assert c.ended_with()[0] == 1012
        assert server.ended() == 0


def test_42_a_handler_that_ignores_its_cancellation_does_not_keep_the_server(
    tmp_path: Path,
) -> None:
    options = ["--set", "drain_timeout_s=0.2", "--set", "close_timeout_s=3"]
    with ServedApp(WAYS[0], tmp_path, options) as server, Client(server) as c:
        c.say("stubborn", "1")
        until(lambda: server.state()["hanging"] == 1)
        os.kill(server.pid, signal.SIGTERM)
        assert c.hear()["content"]["event"] == "draining"
        assert c.hear()["content"]["code"] == "interrupted"
        assert c.ended_with()[0] == 1012
        assert server.ended() == 1
        assert "does not stop" in "".join(server.output)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_42_a_second_signal_ends_it_at_once(way: Any, tmp_path: Path) -> None:
    with ServedApp(way, tmp_path, ["--set", "drain_timeout_s=600"]) as server, Client(server) as c:
        c.say("hang", "1")
        until(lambda: server.state()["hanging"] == 1)
        os.kill(server.pid, signal.SIGTERM)
        assert c.hear()["content"]["event"] == "draining"
        os.kill(server.pid, signal.SIGINT)
        assert server.ended() == 128 + signal.SIGINT


# Addresses


def test_localhost_with_a_free_port_is_the_same_port_on_every_address() -> None:
    sockets = open_sockets(Config(host="localhost", port=0))
    try:
        assert len({opened.getsockname()[1] for opened in sockets}) == 1
        hosts = {opened.getsockname()[0] for opened in sockets}
        assert "127.0.0.1" in hosts
    finally:
        for opened in sockets:
            opened.close()


def test_an_address_family_that_this_machine_lacks_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 0))
    here = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: [elsewhere, here])
    (opened,) = open_sockets(Config(host="both", port=0))
    assert opened.getsockname()[0] == "127.0.0.1"
    opened.close()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: [elsewhere])
    with pytest.raises(StartError, match="no such address"):
        open_sockets(Config(host="both", port=0))


def test_a_free_port_that_is_taken_on_another_address_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.create_server(("127.0.0.2", 0)) as taken:
        port = taken.getsockname()[1]
        rows = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0))
            for host in ("127.0.0.1", "127.0.0.2")
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_a, **_k: rows)
        real, binds = socket.socket.bind, []

        class Steered(socket.socket):
            def bind(self, address: Any) -> None:
                binds.append(address)
                real(self, ("127.0.0.1", port) if len(binds) == 1 else address)

        monkeypatch.setattr(socket, "socket", Steered)
        sockets = open_sockets(Config(host="both", port=0))
        assert len({opened.getsockname()[1] for opened in sockets}) == 1
        assert sockets[0].getsockname()[1] != port
        for opened in sockets:
            opened.close()


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 70 + ".example", "300.0.0.1"])
def test_a_host_that_is_none_is_one_clear_error(host: str) -> None:
    with pytest.raises(StartError, match="cannot listen on") as raised:
        open_sockets(Config(host=host, port=0))
    assert raised.value.hint


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="this machine has no IPv6")
async def test_ipv6_is_served_and_told_in_brackets() -> None:
    app = echo_app()
    address = await app.start(host="::1", port=0, **transport())
    try:
        assert address.startswith("ws://[::1]:")
        await conversation(address)
    finally:
        await app.stop()


def test_a_unix_socket_has_the_mode_of_the_umask_and_is_removed_by_its_owner_only(
    tmp_path: Path,
) -> None:
    path = tmp_path / "chat.sock"
    config = Config(unix_socket=str(path))
    before = os.umask(0o077)
    try:
        (first,) = open_sockets(config)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert describe(first, secure=False, path="/ws") == f"unix:{path}"
    file = SocketFile(str(path))
    with pytest.raises(StartError, match="in use"):
        open_sockets(config)
    first.close()
    (second,) = open_sockets(config)  # what a server that was killed has left is replaced
    file.remove()
    assert path.exists(), "it is another server's now"
    SocketFile(str(path)).remove()
    assert not path.exists()
    second.close()
    SocketFile(str(path)).remove()
    SocketFile(None).remove()


def test_a_unix_socket_that_cannot_be_opened_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    with pytest.raises(StartError, match="in use"):
        open_sockets(Config(unix_socket=str(tmp_path / "file")))
    assert (tmp_path / "file").read_text() == "kept"
    for path in (tmp_path / "no" / "folder", tmp_path / ("x" * 200)):
        with pytest.raises(StartError, match="cannot listen on"):
            open_sockets(Config(unix_socket=str(path)))


# The same application again


def echo_app(**settings: Any) -> App:
    app = App(**settings)

    @app.handler("text")
    async def text(message: Any, connection: Any) -> Any:
        return message.content

    return app


def transport() -> dict[str, Any]:
    return {} if sniffio.current_async_library() == "asyncio" else {"transport": "anyio"}


def talk(address: str, message_type: str = "text") -> str:
    with connect(address, open_timeout=GUARD_S) as client:
        client.send(json.dumps({"id": "1", "type": message_type}))
        return str(client.recv(GUARD_S))


async def conversation(address: str, message_type: str = "text") -> str:
    return await anyio.to_thread.run_sync(talk, address, message_type)


class Greeter:
    """A plugin that adds one thing of every kind."""

    name = "greeter"

    @hookimpl
    def setup(self, app: App) -> None:
        app.add_handler("greet", self.greet)
        app.http_route("/greeter")(self.greet)
        app.use(self.around)
        app.on("connection:added", self.added)

    async def greet(self, *_arguments: Any) -> Any:
        return {"greeting": "hello"}

    async def around(self, message: Any, connection: Any, call_next: Any) -> Any:
        return await call_next(message, connection)

    async def added(self, _connection: Any) -> None:
        pass


async def test_an_application_can_be_started_again_after_its_stop() -> None:
    app = echo_app(plugins=[Greeter()])
    for _ in range(3):
        address = await app.start(port=0, **transport())
        assert '"greeting":"hello"' in await conversation(address, "greet")
        await app.stop()
        assert app.runtime is None


async def test_a_restart_takes_plugins_and_settings_anew(tmp_path: Path) -> None:
    app = echo_app(plugins=[Greeter()])
    await app.start(port=0, **transport())
    await app.stop()
    file = tmp_path / "other.toml"
    file.write_text('[plugins]\ndisable = ["greeter"]\n')
    app.reconfigure(file=file)
    address = await app.start(port=0, **transport())
    try:
        assert "unknown_type" in await conversation(address, "greet")
        assert "replyTo" in await conversation(address)
    finally:
        await app.stop()


async def test_what_runs_cannot_be_started_twice_and_goes_on() -> None:
    app = echo_app()
    address = await app.start(port=0, **transport())
    try:
        with pytest.raises(RuntimeError, match="runs already"):
            await app.start(port=0)
        assert "replyTo" in await conversation(address)
    finally:
        await app.stop()


async def test_a_start_that_fails_leaves_nothing_behind() -> None:
    app = echo_app(plugins=[Greeter()])
    taken = socket.create_server(("127.0.0.1", 0))
    with taken, pytest.raises(StartError, match="in use"):
        await app.start(port=taken.getsockname()[1], **transport())
    address = await app.start(port=0, **transport())
    assert '"greeting":"hello"' in await conversation(address, "greet")
    await app.stop()


class Refuses(Greeter):
    """Its setup fails in the middle."""

    name = "refuses"
    works = False

    @hookimpl
    def setup(self, app: App) -> None:
        super().setup(app)
        if not self.works:
            raise RuntimeError("not today")

    @hookimpl
    async def message_received(self, connection: Any, message: Any) -> None:
        raise AssertionError("it was never set up")


class Works(Greeter):
    name = "works"


async def test_a_plugin_whose_setup_fails_is_not_taken_in_by_halves(tmp_path: Path) -> None:
    plugin, other = Refuses(), Works()
    file = tmp_path / "wsframe.toml"
    file.write_text('[plugins]\ndisable = ["refuses", "works"]\n')
    app = echo_app(plugins=[plugin, other], config_file=file)
    address = await app.start(port=0, **transport())
    try:
        with pytest.raises(StartError, match="not today"):
            await app.enable_plugin("refuses")
        assert "replyTo" in await conversation(address)
        assert "unknown_type" in await conversation(address, "greet")
        await app.enable_plugin("works")
        assert '"greeting":"hello"' in await conversation(address, "greet")
        await app.disable_plugin("works")
        await app.enable_plugin("works")
        assert '"greeting":"hello"' in await conversation(address, "greet")
    finally:
        await app.stop()


async def test_a_start_that_is_cancelled_does_not_go_on_in_the_background() -> None:
    class Slow:
        name = "slow"

        @hookimpl
        async def started(self, app: Any) -> None:
            await anyio.sleep(0.2)

    app = echo_app(plugins=[Slow()])
    with anyio.move_on_after(0.05) as scope:
        await app.start(port=0, **transport())
    assert scope.cancelled_caught
    with anyio.fail_after(GUARD_S):
        while app.runtime is not None:
            await anyio.sleep(0.01)
