"""Each plugin's wheel changes a running server as its README says, and nothing else.

A clean environment gets the wheel of wsframe, then one plugin after the other, and loses them
again. After each step a server is started as a user starts it, and every plugin's own behaviour is
looked at: it is there if the plugin is, and everything else is as it was.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.packaging.conftest import run
from tests.running_server import RunningServer
from tests.security.token_scene import SECRET, hs_token

pytestmark = pytest.mark.slow
GUARD_S = 90.0
"""A deadlock guard: what is waited for comes much earlier."""

APPLICATION = """\
from wsframe import App

try:
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SimpleSpanProcessor
except ImportError:
    pass
else:
    provider = TracerProvider()
    exporter = ConsoleSpanExporter(
        out=open("spans.txt", "a"), formatter=lambda span: span.name + "\\n"
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)

app = App()
app.rooms.open_to_clients("lobby")


@app.handler("echo")
async def echo(message, connection):
    return message.content


@app.handler("fail")
async def fail(message, connection):
    raise RuntimeError("broken")


@app.handler("count")
async def count(message, connection):
    for number in range(message.content["to"]):
        yield {"number": number}
"""
SCHEMA = '{"type": "object", "properties": {"text": {"type": "string"}}}'
"""For ``echo``; it lies there all the time."""


@contextmanager
def client(server: RunningServer, *, token: bool = True, **headers: str) -> Iterator[Any]:
    """A client that is let in by every plugin unless it is told otherwise."""
    if token:
        headers["Authorization"] = f"Bearer {hs_token()}"
    protocols = [Subprotocol("wsframe.v1.json")]
    with connect(
        server.ws_url,
        subprotocols=protocols,
        additional_headers=headers,
        open_timeout=GUARD_S,
        ping_timeout=GUARD_S,
    ) as made:
        yield made


def ask(made: ClientConnection, message_type: str, content: Any, number: int = 1) -> list[Any]:
    """Everything that a message is answered with, up to the final answer."""
    made.send(json.dumps({"id": str(number), "type": message_type, "content": content}))
    answers = []
    while not answers or not answers[-1].get("final"):
        answer = json.loads(made.recv(GUARD_S))
        if answer.get("replyTo") == str(number):
            answers.append(answer)
    return answers


def code_of(answers: list[Any]) -> str:
    """The code of the error that a message was answered with, or its type."""
    return str(answers[-1]["content"].get("code", answers[-1]["type"]))


def status(server: RunningServer, path: str) -> int:
    try:
        with urllib.request.urlopen(f"{server.http_url}{path}") as answer:
            return int(answer.status)
    except HTTPError as error:
        error.close()
        return error.code


# What each plugin does


def from_elsewhere(server: RunningServer, _: Path) -> str:
    """A page of a foreign origin connects."""
    try:
        with client(server, Origin="https://evil.example"):
            return "let in"
    except InvalidStatus as refused:
        return str(refused.response.status_code)


def without_token(server: RunningServer, _: Path) -> str:
    """Somebody connects who has no token."""
    try:
        with client(server, token=False) as made:
            ask(made, "init", {})
            return "let in"
    except InvalidStatus as refused:
        return str(refused.response.status_code)


def against_the_schema(server: RunningServer, _: Path) -> str:
    """A message is sent that its schema does not allow."""
    with client(server) as made:
        ask(made, "init", {}, 0)
        return code_of(ask(made, "echo", {"text": 7}))


def metrics(server: RunningServer, _: Path) -> str:
    """Prometheus comes by."""
    return str(status(server, "/metrics"))


def burst(server: RunningServer, _: Path) -> str:
    """A client sends more at once than people do."""
    with client(server) as made:
        ask(made, "init", {}, 0)
        codes = {code_of(ask(made, "echo", {"text": "hi"}, number)) for number in range(1, 41)}
    return "+".join(sorted(codes))


def spans(server: RunningServer, folder: Path) -> str:
    """OpenTelemetry is told of a message."""
    found = folder / "spans.txt"
    found.write_text("")
    with client(server) as made:
        ask(made, "init", {}, 0)
        ask(made, "echo", {"text": "hi"})
        ask(made, "count", {"to": 1}, 2)
    return "traced" if "wsframe message echo" in found.read_text().splitlines() else "not traced"


class Row(NamedTuple):
    """What a plugin changes."""

    plugin: str
    settings: str
    """Its part of ``wsframe.toml``."""
    probe: Callable[[RunningServer, Path], str]
    without: str
    """What the probe finds where the plugin is not installed."""
    installed: str
    """What it finds where it is."""
    needs: tuple[str, ...] = ()
    """Packages that its README has an application install beside it."""


ROWS = (
    Row("origin", "", from_elsewhere, "let in", "403"),
    Row("validation", "", against_the_schema, "echo", "invalid_content"),
    Row("monitoring", "", metrics, "404", "200"),
    Row(
        "ratelimit",
        "[plugins.ratelimit.connection]\nrate = 0.001\nburst = 20\n",  # however long it takes
        burst,
        "echo",
        "echo+rate_limited",
    ),
    Row("otel", "", spans, "not traced", "traced", needs=("opentelemetry-sdk",)),
    Row(
        "auth",
        f'[plugins.auth]\nsecret = "{SECRET}"\nalgorithms = ["HS256"]\ninit_timeout_s = 0\n',
        without_token,
        "let in",
        "401",
    ),
)


def conversation(server: RunningServer) -> list[Any]:
    """What a client hears that does nothing any plugin forbids, without what chance decides."""
    heard: list[Any] = []
    with client(server) as made:
        (opened,) = ask(made, "init", {}, 0)
        # Whose session it is is what authentication is for.
        for name in ("sessionId", "secret", "identity"):
            del opened["content"][name]
        heard.append(opened)
        for number, (message_type, content) in enumerate(
            {
                "echo": {"text": "hi"},
                "count": {"to": 2},
                "fail": {},
                "nothing": {},
                "join": {"room": "lobby"},
                "leave": {"room": "lobby"},
                "ping": {},
            }.items(),
            1,
        ):
            heard += ask(made, message_type, content, number)
        made.send("no JSON")
        heard.append(json.loads(made.recv(GUARD_S)))
    heard.append([status(server, path) for path in ("/healthz", "/readyz", "/no-such-path")])
    for message in heard[:-1]:
        # The last one is what a trace is continued by.
        for name in ("id", "timestamp", "sessionId", "traceparent"):
            message.pop(name, None)
        if message["type"] == "ping":
            message["content"] = sorted(message["content"])
    return heard


class Place:
    """A clean environment, and a folder with an application."""

    def __init__(self, uv: Path, wheels: Path, source_tree: Path, folder: Path) -> None:
        self._uv = uv
        self._wheels = wheels
        self._constraints = source_tree / "constraints.txt"
        self._bin = folder / "venv" / "bin"
        self.folder = folder / "application"
        (self.folder / "schemas").mkdir(parents=True)
        (self.folder / "chat.py").write_text(APPLICATION)
        (self.folder / "schemas" / "echo.schema.json").write_text(SCHEMA)
        self.command = [str(self._bin / "wsframe"), "run", "chat:app", "--port", "0"]
        self.plugins: list[Row] = []
        run(uv, "venv", "--quiet", "--python", sys.executable, folder / "venv", cwd=folder)
        self._install("wsframe")

    def _install(self, name: str, *others: str) -> None:
        (wheel,) = self._wheels.glob(f"{name.replace('-', '_')}-[0-9]*.whl")
        run(
            self._uv, "pip", "install", "--quiet", "--python", self._bin / "python",
            "--constraints", self._constraints, "--find-links", self._wheels, wheel, *others,
            cwd=self.folder,
        )  # fmt: skip

    def install(self, row: Row) -> None:
        self._install(f"wsframe-{row.plugin}", *row.needs)
        self.plugins.append(row)

    def uninstall(self, row: Row) -> None:
        run(
            self._uv, "pip", "uninstall", "--quiet", "--python", self._bin / "python",
            f"wsframe-{row.plugin}", cwd=self.folder,
        )  # fmt: skip
        self.plugins.remove(row)

    def configure(self, without: Row | None = None) -> None:
        """Write the settings of the plugins that are installed."""
        text = "\n".join(each.settings for each in self.plugins if each is not without)
        (self.folder / "wsframe.toml").write_text(text)

    def look(self, rows: list[Row]) -> tuple[dict[str, str], list[Any]]:
        """Start a server; returns what each plugin's probe finds, and the conversation."""
        self.configure()
        with RunningServer(self.command, cwd=self.folder) as server:
            heard = conversation(server)
            return {row.plugin: row.probe(server, self.folder) for row in rows}, heard


def shipped(source_tree: Path) -> set[str]:
    found: set[str] = set()
    for project in source_tree.glob("plugins/*/pyproject.toml"):
        found |= set(
            tomllib.loads(project.read_text())["project"]["entry-points"]["wsframe.plugins"]
        )
    return found


def test_every_plugin_has_a_row(source_tree: Path) -> None:
    assert shipped(source_tree) <= {row.plugin for row in ROWS}


def test_each_plugin_changes_what_its_readme_says_and_nothing_else(
    uv: Path, wheels: Path, source_tree: Path, tmp_path: Path
) -> None:
    rows = [row for row in ROWS if row.plugin in shipped(source_tree)]
    place = Place(uv, wheels, source_tree, tmp_path)
    bare = {row.plugin: row.without for row in rows}
    found, transcript = place.look(rows)
    assert found == bare
    expected = dict(bare)
    for row in rows:
        place.install(row)
        if row.plugin == "auth":
            assert_start_is_refused(place, row)
        expected[row.plugin] = row.installed
        found, heard = place.look(rows)
        assert found == expected, f"after the installation of {row.plugin}"
        assert heard == transcript, f"after the installation of {row.plugin}"
    for row in rows:
        place.uninstall(row)
        expected[row.plugin] = row.without
        found, heard = place.look(rows)
        assert found == expected, f"after {row.plugin} was uninstalled"
        assert heard == transcript, f"after {row.plugin} was uninstalled"
    assert expected == bare


def assert_start_is_refused(place: Place, row: Row) -> None:
    """Without a key nobody could come in, so the server does not start."""
    place.configure(without=row)
    done = subprocess.run(
        place.command, cwd=place.folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode != 0
    assert "there is no key to check tokens with" in done.stderr
