"""Every example runs as it stands, started as its text says, and talks to a real client."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.running_server import BIN, RunningServer
from wsframe.testing.faults import ServerProcess

ANSWER_TIMEOUT_S = 90.0


class Client:
    """Sends messages, and collects what comes back in the order it came."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._ids = itertools.count(1)

    def receive(self) -> dict[str, Any]:
        message = json.loads(self._connection.recv(timeout=ANSWER_TIMEOUT_S))
        assert isinstance(message, dict)
        return message

    def ask(self, type_: str, content: object) -> list[dict[str, Any]]:
        """Everything received up to and including the final answer."""
        id_ = str(next(self._ids))
        self._connection.send(json.dumps({"id": id_, "type": type_, "content": content}))
        received = [self.receive()]
        while not (received[-1].get("replyTo") == id_ and received[-1]["final"]):
            received.append(self.receive())
        return received

    def request(self, type_: str, content: object) -> dict[str, Any]:
        """The one final answer, when nothing else comes before it."""
        (answer,) = self.ask(type_, content)
        return answer


@contextmanager
def connected(url: str) -> Iterator[Client]:
    subprotocols = [Subprotocol("wsframe.v1.json")]
    with connect(url, subprotocols=subprotocols, open_timeout=ANSWER_TIMEOUT_S) as connection:
        yield Client(connection)


@pytest.fixture
def examples(source_tree: Path) -> Path:
    return source_tree / "examples"


WAYS_TO_START = {
    "wsframe run": ["wsframe", "run", "chat:app", "--host", "127.0.0.1", "--port", "0"],
    "uvicorn": ["uvicorn", "chat:app", "--port", "0"],
    "app.run()": [sys.executable, "-c", "import chat; chat.app.run(port=0)"],
}
# uvicorn raises the signal again once it has stopped in order.
EXIT_CODES = {"wsframe run": 0, "uvicorn": -signal.SIGTERM, "app.run()": 0}


@pytest.mark.parametrize("way", WAYS_TO_START)
def test_the_application_of_the_documentation_runs(examples: Path, way: str) -> None:
    command = WAYS_TO_START[way]
    with RunningServer(command, cwd=examples) as server, connected(server.ws_url) as client:
        assert client.request("text", {"text": "Hi"})["content"] == {"text": "Echo: Hi"}

        *parts, final = client.ask("ask", {"prompt": "tell me more"})
        assert [part["content"] for part in parts] == [
            {"delta": "tell"},
            {"delta": "me"},
            {"delta": "more"},
        ]
        assert [part["final"] for part in parts] == [False, False, False]
        assert (final["type"], final["content"]) == ("ask", {"done": True})

        quotient = client.request("divide", {"value": 6, "by": 3})
        assert (quotient["type"], quotient["content"]) == ("quotient", {"result": 2.0})
        error = client.request("divide", {"value": 6, "by": 0})
        assert error["type"] == "error"
        assert error["content"] == {
            "code": "math.division_by_zero",
            "message": "by must not be 0",
            "retryable": False,
        }

        said, answer = client.ask("say", {"text": "hello"})
        assert (said["type"], said["content"]) == ("said", {"text": "hello"})
        assert "replyTo" not in said
        assert answer["content"] == {"receivers": 1}

        assert server.stop() == EXIT_CODES[way]


def test_the_agent_calls_its_tool_and_streams_tokens(examples: Path) -> None:
    command = ["wsframe", "run", "agent:app", "--port", "0"]
    with RunningServer(command, cwd=examples) as server, connected(server.ws_url) as client:
        call, result, *tokens, final = client.ask("ask", {"prompt": "What is 6 times 7?"})
        assert call["content"] == {"tool": "calculate", "arguments": ["6", "times", "7"]}
        assert result["content"] == {"tool": "calculate", "result": 42.0}
        told = "".join(token["content"]["delta"] for token in tokens)
        assert told == "I calculated it: the result is 42."
        assert final["content"] == {"text": told, "messages": 2}

        *_, final = client.ask("ask", {"prompt": "And now?"})
        assert "Before that, it was “What is 6 times 7?”" in final["content"]["text"]

        *_, error = client.ask("ask", {"prompt": "1 divided by 0"})
        assert (error["type"], error["content"]["code"]) == ("error", "agent.tool_failed")

        assert client.request("forget", {})["type"] == "ack"
        *_, final = client.ask("ask", {"prompt": "Hello"})
        assert final["content"]["messages"] == 2


def test_rooms_tell_everyone_inside_and_nobody_else(examples: Path) -> None:
    command = ["wsframe", "run", "rooms:app", "--port", "0"]
    with (
        RunningServer(command, cwd=examples) as server,
        connected(server.ws_url) as first,
        connected(server.ws_url) as second,
    ):
        entered = first.request("enter", {"room": "tea", "name": "One"})
        assert entered["content"] == {"room": "tea", "members": 1}
        outside = second.request("talk", {"room": "tea", "text": "hello?"})
        assert outside["content"]["code"] == "rooms.not_inside"

        assert second.request("enter", {"room": "tea", "name": "Two"})["content"]["members"] == 2
        assert first.receive()["content"] == {"room": "tea", "name": "Two"}

        said = {"room": "tea", "name": "Two", "text": "hello!"}
        pushed, answer = second.ask("talk", {"room": "tea", "text": "hello!"})
        assert (pushed["type"], pushed["content"]) == ("talked", said)
        assert answer["content"] == {"receivers": 2}
        assert first.receive()["content"] == said

        assert second.request("exit", {"room": "tea"})["type"] == "ack"
        left = first.receive()
        assert (left["type"], left["content"]) == ("left", {"room": "tea", "name": "Two"})
        assert first.request("enter", {"room": "Not a room!", "name": "One"})["type"] == "error"


def test_a_report_is_finished_although_the_server_was_killed(
    examples: Path, tmp_path: Path
) -> None:
    shutil.copy(examples / "ask_for_report.py", tmp_path)
    application = (examples / "reports.py").read_text()
    assert application.count("CHAPTER_S = 0.5\n") == 1
    # Slower in its first life: it must not be ready before it is killed.
    (tmp_path / "reports.py").write_text(application.replace("CHAPTER_S = 0.5", "CHAPTER_S = 2.5"))
    with ServerProcess("reports:app", cwd=tmp_path) as server:
        client = subprocess.Popen(
            [sys.executable, "ask_for_report.py", server.ws_url],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
        )
        with client:
            try:
                wait_for_chapters(tmp_path / "drafts", 2)
                server.kill()
                (tmp_path / "reports.py").write_text(application)
                os.utime(tmp_path / "reports.py", (0, 0))  # not the age of what is compiled
                server.restart()
                said, _ = client.communicate(timeout=ANSWER_TIMEOUT_S)
            finally:
                client.kill()
    assert client.returncode == 0
    statuses = [line for line in said.splitlines() if line.startswith("(")]
    assert statuses[:2] == ["(connecting)", "(open)"]
    assert set(statuses[2:-2]) == {"(connecting)"}, "once for each attempt"
    assert statuses[-2:] == ["(resumed)", "(closed)"]
    report = [line for line in said.splitlines() if not line.startswith("(")]
    assert report == ["All about ducks", *(f"Chapter {number}" for number in range(1, 13))]


def wait_for_chapters(drafts: Path, count: int) -> None:
    """Wait until so much of the one report is written, in another process."""
    deadline = time.monotonic() + ANSWER_TIMEOUT_S
    while sum(len(draft.read_text().splitlines()) for draft in drafts.glob("*.txt")) < count:
        assert time.monotonic() < deadline, "nothing was written"
        time.sleep(0.05)


def test_fastapi_and_the_chat_share_one_process(examples: Path) -> None:
    command = ["uvicorn", "fastapi_mount:web", "--port", "0"]
    with RunningServer(command, cwd=examples) as server:
        chat_url = f"ws://127.0.0.1:{server.port}/chat/ws"
        with connected(chat_url) as client:
            assert client.request("text", {"text": "Hi"})["content"] == {"text": "Echo: Hi"}
            with urllib.request.urlopen(f"{server.http_url}/orders/7") as response:
                assert json.load(response) == {"order": 7, "state": "packed"}
            post = urllib.request.Request(f"{server.http_url}/orders/7/ship", method="POST")
            with urllib.request.urlopen(post) as response:
                assert json.load(response) == {"order": 7, "state": "shipped", "told": 1}
            pushed = client.receive()
            assert (pushed["type"], pushed["content"]) == ("shipped", {"order": 7})


@pytest.fixture(scope="module")
def greeter_installed(source_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the greeter package as pip installs it."""
    folder = tmp_path_factory.mktemp("installed")
    package = source_tree / "examples" / "plugins" / "wsframe-greeter"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run(
        [*install, "--no-build-isolation", "--target", str(folder), str(package)],
        check=True,
        cwd=folder,
    )
    return folder


def test_the_greeter_package_is_found_configured_and_greets(
    examples: Path, greeter_installed: Path, tmp_path: Path
) -> None:
    config = tmp_path / "wsframe.toml"
    config.write_text('[plugins.greeter]\ngreeting = "Good morning"\n')
    settings = {"PYTHONPATH": str(greeter_installed), "WSFRAME_CONFIG": str(config)}
    command = ["wsframe", "run", "chat:app", "--port", "0"]
    with (
        RunningServer(command, cwd=examples, settings=settings) as server,
        connected(server.ws_url) as client,
    ):
        text = client.request("greet", {})["content"]["text"]
        assert text.startswith("Good morning, ")
        assert client.request("text", {"text": "Hi"})["content"] == {"text": "Echo: Hi"}


def test_a_plugin_in_one_file_refuses_shouting(examples: Path) -> None:
    command = ["wsframe", "run", "chat:app", "--port", "0", "--plugins-dir", "plugins"]
    with RunningServer(command, cwd=examples) as server, connected(server.ws_url) as client:
        refused = client.request("text", {"text": "WHY DOES NOBODY LISTEN TO ME"})
        assert refused["content"]["code"] == "shouting.too_loud"
        assert client.request("text", {"text": "sorry"})["content"] == {"text": "Echo: sorry"}


def test_wsframe_plugins_lists_the_greeter(examples: Path, greeter_installed: Path) -> None:
    listed = subprocess.run(
        [str(BIN / "wsframe"), "plugins", "--json"],
        cwd=examples,
        env={"PYTHONPATH": str(greeter_installed)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "greeter" in listed.stdout
    assert "0.1.0" in listed.stdout
