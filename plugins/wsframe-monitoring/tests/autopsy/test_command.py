"""``wsframe trace`` asks a server that runs, over a socket."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Callable
from http.client import HTTPMessage
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import anyio
import anyio.to_thread
import click
import pytest
from click.testing import CliRunner
from wsframe_monitoring import Config, MonitoringPlugin
from wsframe_monitoring.autopsy.commands import trace_command
from wsframe_monitoring.autopsy.settings import AutopsySettings
from wsframe_monitoring.autopsy.text import as_text

from wsframe import Request, Response, StartError
from wsframe.client import Client

TOKEN = "a-token-of-some-length"
Run = Callable[..., Any]


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Real time: a thread asks over a socket."""
    return str(request.param)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs ``wsframe trace …`` in a thread, in a folder without a configuration."""
    monkeypatch.chdir(tmp_path)

    async def run(*arguments: str, settings: Any = None, stdin: str = "") -> Any:
        command = trace_command(AutopsySettings() if settings is None else settings)
        invoke = lambda: CliRunner().invoke(  # noqa: E731 - to be run in a thread
            command, arguments, input=stdin, standalone_mode=False
        )
        return await anyio.to_thread.run_sync(invoke)

    return run


@pytest.fixture
async def server(anyio_backend: str, make_app: Any) -> AsyncIterator[Any]:
    app = make_app(settings={"port": 0})
    address = await app.start()
    app.url = address.replace("ws://", "http://").removesuffix("/ws")
    yield app
    await app.stop()


async def test_it_prints_what_became_of_a_message(server: Any, run: Run) -> None:
    async with Client(server.url.replace("http", "ws") + "/ws") as client:
        await client.request("ask")
    record = server.autopsy.ring.oldest
    result = await run(record.id, "--url", server.url)
    assert (result.exception, result.return_value) == (None, 0)
    head, verdict, empty, received, *steps = result.output.splitlines()
    assert head.startswith(f"{record.id}  ask  anonymous  session {record.conversation.session_id}")
    assert verdict.startswith("  Answered")
    assert received.endswith(" UTC")
    assert empty == ""
    assert steps[0].split("  ")[-1].startswith("received by connection c")
    listed = await run(record.conversation.session_id, "--url", server.url)
    assert listed.output.splitlines()[0].endswith(": 1 message")


async def test_it_prints_json(server: Any, run: Run) -> None:
    result = await run("m", "--url", server.url, "--json")
    assert result.return_value == 1
    report = json.loads(result.output)
    assert (report["id"], report["messages"], report["recording"]["oneIn"]) == ("m", [], 1)


async def test_it_says_why_a_message_is_not_known(server: Any, run: Run) -> None:
    result = await run("m", "--url", server.url, "--session", "s1")
    assert result.return_value == 1
    assert result.output.startswith("m: not recorded\n  It has never arrived at this process")


async def test_a_websocket_address_will_do(server: Any, run: Run) -> None:
    result = await run("m", "--url", server.url.replace("http", "ws") + "/ws")
    assert result.return_value == 1


async def test_the_token_comes_from_the_option_or_the_input_or_the_configuration(
    run: Run, make_app: Any
) -> None:
    app = make_app(settings={"port": 0}, token=TOKEN)
    url = (await app.start()).replace("ws://", "http://").removesuffix("/ws")
    try:
        right = [
            await run("m", "--url", url, "--token", TOKEN),
            await run("m", "--url", url, "--token", "-", stdin=f"{TOKEN}\n"),
            await run("m", "--url", url, settings=AutopsySettings(token=TOKEN)),
        ]
        wrong = [
            await run("m", "--url", url),
            await run("m", "--url", url, "--token", "another"),
            await run("m", "--url", url, settings=AutopsySettings(token_file="nowhere")),
        ]
    finally:
        await app.stop()
    assert [result.return_value for result in right] == [1, 1, 1]
    assert ["wants another token" in str(result.exception) for result in wrong] == [True] * 3


async def test_a_server_that_records_nothing_is_explained(run: Run, make_app: Any) -> None:
    app = make_app(settings={"port": 0}, one_in=0)
    url = (await app.start()).replace("ws://", "http://").removesuffix("/ws")
    try:
        result = await run("m", "--url", url)
    finally:
        await app.stop()
    assert isinstance(result.exception, StartError)
    assert "nothing is recorded" in result.exception.message
    assert "one_in = 1" in (result.exception.hint or "")


async def test_another_kind_of_server_is_no_answer(server: Any, run: Run) -> None:
    result = await run("m", "--url", f"{server.url}/healthz")
    assert "answers something else" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["m", "--url", "http://127.0.0.1:1"], "cannot be asked"),
        (["m", "--url", "127.0.0.1:3001"], "http://host:port or https://host is needed"),
        (["m", "--url", "file:///etc/passwd"], "http://host:port or https://host is needed"),
    ],
)
async def test_an_address_where_nobody_answers_is_an_error(
    run: Run, arguments: list[str], problem: str
) -> None:
    result = await run(*arguments)
    assert isinstance(result.exception, StartError)
    assert problem in result.exception.message


@pytest.mark.parametrize(
    ("configuration", "asked"),
    [
        ("", "http://127.0.0.1:3001/trace"),
        ('host = "0.0.0.0"\nport = 1', "http://127.0.0.1:1/trace"),
        ('host = "::1"\nport = 1', "http://[::1]:1/trace"),
    ],
)
async def test_without_an_address_it_asks_where_the_configuration_listens(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, configuration: str, asked: str
) -> None:
    (tmp_path / "wsframe.toml").write_text(configuration)
    seen = []

    class Nobody:
        def open(self, request: Any, timeout: float) -> Any:
            seen.append(request.full_url)
            raise OSError("nobody")

    monkeypatch.setattr("wsframe_monitoring.autopsy.commands._opener", Nobody)
    result = await run("m")
    assert "cannot be asked: nobody" in str(result.exception)
    assert seen == [f"{asked}?id=m"]


@pytest.mark.parametrize("configuration", ["port = 0", 'unix_socket = "/tmp/x"'])
async def test_a_configuration_without_a_port_needs_an_address(
    run: Run, tmp_path: Path, configuration: str
) -> None:
    (tmp_path / "wsframe.toml").write_text(configuration)
    result = await run("m")
    assert "names no port to ask" in str(result.exception)


async def test_the_configured_token_goes_to_this_machine_only(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = []

    class Nobody:
        def open(self, request: Any, timeout: float) -> Any:
            sent.append(request.get_header("Authorization"))
            raise OSError("nobody")

    monkeypatch.setattr("wsframe_monitoring.autopsy.commands._opener", Nobody)
    for url in ("http://127.0.0.1:1", "https://chat.example"):
        await run("m", "--url", url, settings=AutopsySettings(token=TOKEN))
    assert sent == [f"Bearer {TOKEN}", None]


def test_the_plugin_adds_the_command() -> None:
    group = click.Group()
    MonitoringPlugin(Config()).register_commands(group)
    assert "trace" in group.commands


def test_ids_of_strangers_do_not_steer_the_terminal() -> None:
    report = {"id": "\x1b[2J\u202eevil\nid", "messages": [], "why": "never seen"}
    text = as_text(report)
    assert text.splitlines()[0] == "\\x1b[2J\\u202eevil\\nid: not recorded"


def test_what_was_cut_is_said() -> None:
    message = {
        "id": "m", "type": None, "subject": None, "session": "s", "verdict": "Answered.",
        "receivedAt": 0.0, "eventsForgotten": 3,
        "steps": [{"atS": 0.0, "text": "received"}, {"atS": 4_000.0, "text": "acknowledged"}],
    }  # fmt: skip
    text = as_text({"id": "m", "messages": [message, message], "more": 2})
    assert text.splitlines()[:7] == [
        "m  session s",
        "  Answered.",
        "",
        "  1970-01-01 00:00:00.000 UTC",
        "    +0.000 s  received",
        "     +4000 s  acknowledged",
        "  (3 earlier events of the session were forgotten)",
    ]
    assert text.splitlines()[-1] == "2 older ones have the same id: choose with --session."
    listed = [{"id": "m", "type": None, "receivedAt": 0.0, "verdict": "Answered."}]
    assert as_text({"id": "s", "listed": listed, "more": 1}).splitlines() == [
        "s: 1 message",
        "  1970-01-01 00:00:00.000 UTC  m  ?: Answered.",
        "  1 older ones are not shown.",
    ]


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (200, b"<html>", "answers something else"),
        (302, b"", "answers 302"),
        (401, b"", "wants another token"),
        (403, b"{}", "answers its own machine only"),
        (404, b"<html>", "nothing is recorded at"),
        (500, b"", "answers 500"),
    ],
)
async def test_what_a_server_refuses_is_said(
    run: Run, monkeypatch: pytest.MonkeyPatch, status: int, body: bytes, problem: str
) -> None:
    class Opener:
        def open(self, request: Any, timeout: float) -> Any:
            if status != 200:
                raise HTTPError(request.full_url, status, "", HTTPMessage(), io.BytesIO(body))
            return io.BytesIO(body)

    monkeypatch.setattr("wsframe_monitoring.autopsy.commands._opener", Opener)
    result = await run("m", "--url", "http://127.0.0.1:1")
    assert isinstance(result.exception, StartError)
    assert problem in result.exception.message


async def test_it_follows_no_redirection(run: Run, make_app: Any) -> None:
    app = make_app(settings={"port": 0}, one_in=0)
    asked = []

    @app.http_route("/trace")
    async def trace(request: Request) -> Response:
        return Response(302, headers=[("location", "/elsewhere")])

    @app.http_route("/elsewhere")
    async def elsewhere(request: Request) -> str:
        asked.append(request.header("authorization"))
        return "thanks"

    url = (await app.start()).replace("ws://", "http://").removesuffix("/ws")
    try:
        result = await run("m", "--url", url, "--token", TOKEN)
    finally:
        await app.stop()
    assert "answers 302" in str(result.exception)
    assert asked == []
