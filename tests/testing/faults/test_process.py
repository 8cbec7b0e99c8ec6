"""A server in a process of its own, killed and started again."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from wsframe.testing.faults import ServerProcess, free_port
from wsframe.testing.faults import process as process_module
from wsframe.testing.faults.process import Process

pytestmark = pytest.mark.slow

CHAT = """
from wsframe import App

app = App()


def create_app():
    made = App()

    @made.http_route("/limits")
    async def limits(request):
        return {"bytes": made.config.max_message_bytes}

    return made
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "chat.py").write_text(CHAT, encoding="utf-8")
    return tmp_path


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as answer:
        text: str = answer.read().decode()
        return text


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_server_is_killed_and_started_again_on_the_same_port(folder: Path) -> None:
    with ServerProcess("chat:app", cwd=folder) as server:
        port, first = server.port, server.pid
        assert "ok" in get(f"{server.http_url}/healthz")
        assert server.ws_url == f"ws://127.0.0.1:{port}/ws"
        server.kill()
        assert not server.running
        assert not exists(first)
        server.restart()
        assert server.running
        assert (server.port, server.pid == first) == (port, False)
        assert "ok" in get(f"{server.http_url}/healthz")
        assert server.transcript.count("listening on") == 2
        second = server.pid
        server.restart()
        assert not exists(second)
    assert not server.running


def test_the_port_of_a_server_that_is_down_is_nobody_elses(folder: Path) -> None:
    with ServerProcess("chat:app", cwd=folder) as server, socket.socket() as other:
        server.kill()
        assert free_port() != server.port
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port))
        with pytest.raises(OSError, match="in use"):
            other.bind(("127.0.0.1", server.port))
        server.restart()
        assert "ok" in get(f"{server.http_url}/healthz")


def test_a_server_that_is_asked_to_stop_says_how_it_ended(folder: Path) -> None:
    with ServerProcess("chat:app", cwd=folder) as server:
        assert server.stop() == 0
        assert server.stop() == 0


def test_port_settings_and_arguments_are_handed_on(folder: Path) -> None:
    with (
        process_module._reserve_port() as reserved,
        ServerProcess(
            "chat:create_app",
            cwd=folder,
            port=(port := reserved.getsockname()[1]),
            settings={"max_message_bytes": 4321},
            arguments=["--factory"],
        ) as server,
    ):
        assert server.port == port
        assert get(f"{server.http_url}/limits") == '{"bytes": 4321}'


def test_a_server_that_does_not_start_shows_what_it_printed(folder: Path) -> None:
    with pytest.raises(AssertionError, match=r"did not start:\n(.|\n)*absent"):
        ServerProcess("absent:app", cwd=folder)


def test_a_server_that_says_nothing_has_not_started(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_module, "START_TIMEOUT_S", 0.01)
    with pytest.raises(AssertionError, match="did not start"):
        Process([sys.executable, "-c", "import time; time.sleep(600)"])


def test_a_server_that_ignores_being_asked_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("listening on ws://127.0.0.1:1", flush=True)
time.sleep(600)
"""
    monkeypatch.setattr(process_module, "STOP_TIMEOUT_S", 0.01)
    with Process([sys.executable, "-c", deaf]) as server:
        with pytest.raises(AssertionError, match=r"does not stop:\nlistening on ws"):
            server.stop()
        assert not server.running


def test_what_it_printed_stands_below_the_error_of_a_test(folder: Path) -> None:
    with (
        pytest.raises(ZeroDivisionError) as raised,
        ServerProcess("chat:app", cwd=folder),
    ):
        _ = 1 / 0
    assert "listening on" in raised.value.__notes__[0]


def test_a_server_that_nobody_holds_is_killed(folder: Path) -> None:
    server = ServerProcess("chat:app", cwd=folder)
    pid = server.pid
    del server
    gc.collect()
    assert not exists(pid)


def test_a_server_does_not_outlive_the_interpreter(folder: Path) -> None:
    forgetful = f"""
from wsframe.testing.faults import ServerProcess
server = ServerProcess("chat:app", cwd={str(folder)!r})
print(server.pid, flush=True)
raise SystemExit(3)
"""
    done = subprocess.run(
        [sys.executable, "-c", forgetful], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 3, done.stderr
    assert not exists(int(done.stdout))
