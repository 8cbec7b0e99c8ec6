"""``wsframe run`` and ``wsframe demo``, as users start them."""

from __future__ import annotations

import json
import re
import signal
import socket
import urllib.request
import webbrowser
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from tests.cli.conftest import CHAT, Command
from wsframe.cli.demo import page_of
from wsframe.server import lifecycle

Start = Callable[..., Command]
Invoke = Callable[..., Result]

pytestmark = pytest.mark.filterwarnings("default::ResourceWarning")


def port_of(line: str) -> int:
    found = re.search(r":(\d+)/", line)
    assert found, line
    return int(found[1])


def test_one_line_says_where_it_listens_and_a_signal_ends_it(folder: Path, start: Start) -> None:
    (folder / "chat.py").write_text(CHAT)
    server = start("run", "chat:app", "--port", "0")
    line = server.wait_for("listening")
    assert re.fullmatch(r"wsframe: listening on ws://127\.0\.0\.1:\d+/ws\n", line)
    with urllib.request.urlopen(f"http://127.0.0.1:{port_of(line)}/healthz") as answer:
        assert answer.status == 200
    server.signal(signal.SIGTERM)
    assert server.ended() == 0
    assert "Traceback" not in server.output


def test_a_port_in_use_is_one_line_and_an_exit_code(folder: Path, start: Start) -> None:
    (folder / "chat.py").write_text(CHAT)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = start("run", "chat:app", "--port", str(port))
        assert server.ended() == 1
    error, hint = server.output.splitlines()
    assert error == f"wsframe: error: cannot listen on 127.0.0.1:{port}: it is in use"
    assert hint.startswith("wsframe: hint: ")


def test_an_address_of_another_machine_is_one_line_and_an_exit_code(
    folder: Path, start: Start
) -> None:
    (folder / "chat.py").write_text(CHAT)
    server = start("run", "chat:app", "--host", "192.0.2.1")
    assert server.ended() == 1
    assert server.output.startswith("wsframe: error: cannot listen on 192.0.2.1:3001")
    assert len(server.output.splitlines()) == 2


def test_the_module_is_found_in_the_working_directory_and_its_error_is_one_line(
    folder: Path, start: Start
) -> None:
    (folder / "chat.py").write_text("import wsframe\n1 / 0\n")
    server = start("run", "chat:app")
    assert server.ended() == 1
    assert server.output.splitlines() == [
        "wsframe: error: chat.py:2: ZeroDivisionError: division by zero",
        "wsframe: hint: The line reads: 1 / 0",
    ]


def test_a_broken_plugin_keeps_the_server_from_starting(folder: Path, start: Start) -> None:
    (folder / "chat.py").write_text(CHAT)
    (folder / "mine").mkdir()
    (folder / "mine" / "broken.py").write_text("import no_such_thing\n")
    server = start("run", "chat:app", "--plugins-dir", "mine", "--port", "0")
    assert server.ended() == 3
    assert server.output.startswith("wsframe: error: plugin 'broken'")
    assert "Traceback" not in server.output
    server = start("run", "chat:app", "--plugins-dir", "mine", "-p", "no:broken", "--port", "0")
    server.wait_for("listening")


def test_the_configuration_file_counts_when_the_application_is_made(
    folder: Path, start: Start
) -> None:
    (folder / "chat.py").write_text(f"{CHAT}\nprint('backlog', app.config.backlog, flush=True)\n")
    (folder / "wsframe.toml").write_text("this is [ no TOML")
    (folder / "other.toml").write_text("backlog = 9\nport = 0")
    server = start("run", "chat:app", "--config", "other.toml")
    server.wait_for("backlog 9")
    server.wait_for("listening")


def test_a_unix_socket_is_listened_on_and_removed(folder: Path, start: Start) -> None:
    (folder / "chat.py").write_text(CHAT)
    server = start("run", "chat:app", "--unix-socket", "chat.sock")
    assert server.wait_for("listening") == "wsframe: listening on unix:chat.sock\n"
    assert (folder / "chat.sock").is_socket()
    server.signal(signal.SIGINT)
    assert server.ended() == 0
    assert not (folder / "chat.sock").exists()


def test_records_go_to_standard_error_and_to_the_file_in_the_chosen_form(
    folder: Path, start: Start
) -> None:
    (folder / "chat.py").write_text(f"{CHAT}\nimport logging\nlogging.warning('before')\n")
    (folder / "chat.py").write_text(CHAT)
    options = ["--log-format", "json", "--log-file", "logs/websocket.log", "--debug", "*"]
    server = start("run", "chat:app", "--port", "0", *options)
    server.wait_for("listening")
    server.signal(signal.SIGTERM)
    assert server.ended() == 0
    lines = (folder / "logs" / "websocket.log").read_text().splitlines()
    entries = [json.loads(line) for line in lines]
    assert entries
    assert all(entry["logger"].startswith("wsframe") for entry in entries)
    assert lines[-1] in server.output


@pytest.mark.parametrize("transport", ["asyncio", "anyio"])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_every_transport_and_backend_can_be_chosen(
    folder: Path, start: Start, transport: str, backend: str
) -> None:
    (folder / "chat.py").write_text(CHAT)
    server = start("run", "chat:app", "--port", "0", "--transport", transport, "--backend", backend)
    if (transport, backend) == ("asyncio", "trio"):
        assert server.ended() == 2
        assert "the asyncio transport cannot run on trio" in server.output
        return
    server.wait_for("listening")
    server.signal(signal.SIGTERM)
    assert server.ended() == 0


def test_an_application_that_insists_on_a_setting_is_pointed_out(
    folder: Path, invoke: Invoke
) -> None:
    (folder / "chat.py").write_text("from wsframe import App\napp = App(port=4000)\n")
    result = invoke("run", "chat:app", "--port", "5000")
    assert result.stdout == "serving 4000\n"
    assert result.stderr == (
        "wsframe: warning: port = 5000 on the command line does not count: App(...) says 4000\n"
    )


def test_disabling_a_plugin_here_and_there_needs_no_warning(folder: Path, invoke: Invoke) -> None:
    (folder / "chat.py").write_text(CHAT)
    (folder / "wsframe.toml").write_text('[plugins]\ndisable = ["a"]\n')
    assert invoke("run", "chat:app", "-p", "no:b").stderr == ""


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--port", "http"], 'command line: port = "http": must be a whole number'),
        (
            ["--unix-socket", "a.sock", "--port", "1"],
            "command line: port = 1: excludes unix_socket",
        ),
        (["--log-level", "loud"], 'command line: log_level = "loud": must be one of'),
        (["--tls-key", "key.pem"], "a key needs a certificate"),
        (["--path", "ws"], "must start with /"),
        (["-p", "auth"], "write -p no:NAME"),
        (["--set", "x"], "KEY=VALUE is needed"),
        (["--debug", "everything"], "must be * or some of"),
    ],
)
def test_a_wrong_option_is_one_line_and_exit_code_2(
    folder: Path, invoke: Invoke, arguments: list[str], problem: str
) -> None:
    (folder / "chat.py").write_text(CHAT)
    result = invoke("run", "chat:app", *arguments)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert result.stderr.startswith("wsframe: error: ")
    assert result.stdout == ""


def test_the_demo_says_where_its_page_is(start: Start) -> None:
    server = start("demo", "--port", "0")
    line = server.wait_for("the demo chat is at")
    url = line.split()[-1]
    with urllib.request.urlopen(url) as answer:
        assert answer.status == 200
        assert b"<html" in answer.read().lower()
    server.signal(signal.SIGINT)
    assert server.ended() == 0


def test_the_demo_can_open_its_page(invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.setattr(lifecycle, "run", lambda _app, announce: announce("ws://0.0.0.0:3001/ws"))
    assert invoke("demo").exit_code == 0
    assert opened == []
    assert "http://127.0.0.1:3001/" in invoke("demo", "--open").stdout
    assert opened == ["http://127.0.0.1:3001/"]


@pytest.mark.parametrize(
    ("address", "page"),
    [
        ("ws://127.0.0.1:3001/ws", "http://127.0.0.1:3001/"),
        ("wss://chat.example:443/a/b", "https://chat.example:443/"),
        ("ws://[::]:80/ws", "http://[::1]:80/"),
        ("ws://0.0.0.0:80/ws", "http://127.0.0.1:80/"),
    ],
)
def test_the_page_is_beside_the_endpoint(address: str, page: str) -> None:
    assert page_of(address) == page
