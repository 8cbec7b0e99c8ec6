"""``wsframe run --reload``: what is watched, and that nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import CHAT, TIMEOUT_S, Command
from wsframe.cli import reload
from wsframe.cli.reload import changed_files, only_schemas, take_snapshot

Start = Callable[..., Command]
PATIENT = "from wsframe.cli import main, reload; reload.GRACE_S = 60; main()"


def test_changed_made_and_removed_files_are_seen(folder: Path) -> None:
    for name in ("same.py", "changed.py", "removed.py"):
        (folder / name).write_text("1")
    before = take_snapshot([folder])
    (folder / "changed.py").write_text("22")
    (folder / "removed.py").unlink()
    (folder / "sub").mkdir()
    (folder / "sub" / "made.toml").write_text("")
    assert changed_files(before, take_snapshot([folder])) == [
        "changed.py",
        "removed.py",
        "sub/made.toml",
    ]


def test_a_file_that_only_got_newer_has_changed(folder: Path) -> None:
    (folder / "a.py").write_text("1")
    before = take_snapshot([folder])
    os.utime(folder / "a.py", ns=(1, 1))
    assert changed_files(before, take_snapshot([folder])) == ["a.py"]


@pytest.mark.parametrize(
    "name",
    ["notes.txt", "chat.db", ".git/x.py", ".venv/x.py", "__pycache__/x.py", "logs/x.json",
     "node_modules/x.json", "environment/lib/x.py"],
)  # fmt: skip
def test_other_files_and_folders_of_tools_are_not_watched(folder: Path, name: str) -> None:
    (folder / "environment").mkdir()
    (folder / "environment" / "pyvenv.cfg").write_text("")
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("")
    assert take_snapshot([folder]) == {}


def test_schemas_of_messages_need_no_restart_unless_something_else_has_changed(
    folder: Path,
) -> None:
    before = take_snapshot([folder])
    (folder / "text.schema.json").write_text("{}")
    after = take_snapshot([folder])
    assert after != before
    assert only_schemas(before, after)
    (folder / "other.json").write_text("{}")
    assert not only_schemas(before, take_snapshot([folder]))


def test_a_folder_that_is_not_there_has_no_files(folder: Path) -> None:
    assert take_snapshot([folder / "nowhere"]) == {}


def test_a_free_port_is_chosen_once(folder: Path) -> None:
    option, port = reload._kept_port({"port": 0}, None)
    assert option == "--port"
    assert 1024 <= int(port) <= 65535
    assert reload._kept_port({"port": 5}, None) == []
    assert reload._kept_port({"unix_socket": "a.sock"}, None) == []
    assert reload._kept_port({"port": "wrong"}, None) == []
    assert reload._kept_port({"port": 0, "host": "192.0.2.1"}, None) == []


class Sluggish:
    """A child that heeds no signal, and is gone only some time after it was killed."""

    returncode: int | None = None
    killed = False

    def poll(self) -> None: ...

    def send_signal(self, number: int) -> None: ...

    def kill(self) -> None:
        self.killed = True

    def wait(self, timeout: float | None = None) -> None:
        if timeout is not None:
            raise subprocess.TimeoutExpired("wsframe", timeout)
        assert self.killed
        self.returncode = -signal.SIGKILL


def test_a_killed_server_is_waited_for_however_long_that_takes() -> None:
    supervisor, child = reload._Supervisor([], []), Sluggish()
    given: Any = child
    supervisor._stop(given)
    assert child.returncode == -signal.SIGKILL
    os.close(supervisor._pipe)
    os.close(supervisor._held_open)


@pytest.fixture
def reloading(start: Start) -> Start:
    """Starts ``wsframe``, which lets a child stop in good order on a slow machine, too."""
    return partial(start, program=(sys.executable, "-P", "-c", PATIENT))


def write(path: Path, text: str) -> None:
    """Write a file as editors do: nobody sees half of it."""
    new = path.with_name(f"{path.name}.new")
    new.write_text(text)
    new.replace(path)


def announce_process(folder: Path) -> None:
    """The application says its process, so that a test can look whether it is still there."""
    (folder / "chat.py").write_text(
        f"{CHAT}\nimport os\nprint('process', os.getpid(), flush=True)\n"
    )


def started(server: Command) -> tuple[int, int]:
    """Process and port of the next child that accepts."""
    process = int(server.wait_for("process").split()[1])
    found = re.search(r":(\d+)/ws", server.wait_for("listening"))
    assert found
    return process, int(found[1])


def assert_gone(process: int, port: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(process)
        ended, _, _ = select.select([handle], [], [], TIMEOUT_S)
        os.close(handle)
        assert ended, f"process {process} is still there"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()


@pytest.mark.slow
def test_a_change_restarts_the_server_on_the_same_port(folder: Path, reloading: Start) -> None:
    announce_process(folder)
    server = reloading("run", "chat:app", "--reload", "--port", "0")
    process, port = started(server)
    write(folder / "chat.py", (folder / "chat.py").read_text() + "\n# changed\n")
    assert server.wait_for("restarting") == "wsframe: chat.py changed, restarting\n"
    other, same_port = started(server)
    assert same_port == port
    assert other != process
    server.signal(signal.SIGINT)
    assert server.ended() == 0
    assert_gone(other, port)


@pytest.mark.slow
def test_a_changed_schema_is_taken_up_without_a_restart_and_a_broken_one_is_not(
    folder: Path, reloading: Start
) -> None:
    announce_process(folder)
    schemas = folder / "schemas"
    schemas.mkdir()
    (schemas / "text.schema.json").write_text("{}")
    server = reloading("run", "chat:app", "--reload", "--port", "0")
    process, port = started(server)
    write(schemas / "text.schema.json", '{"type": "strin"}')
    assert "#/type" in server.wait_for("the old schemas stay in force")
    write(schemas / "text.schema.json", '{"type": "string"}')
    server.wait_for("1 schemas of client messages")
    assert "restarting" not in server.output
    server.signal(signal.SIGINT)
    assert server.ended() == 0
    assert_gone(process, port)


@pytest.mark.slow
def test_a_broken_schema_from_the_beginning_waits_for_its_repair(
    folder: Path, reloading: Start
) -> None:
    announce_process(folder)
    schemas = folder / "schemas"
    schemas.mkdir()
    (schemas / "text.schema.json").write_text('{"type": "strin"}')
    server = reloading("run", "chat:app", "--reload", "--port", "0")
    server.wait_for("waiting for a change")
    write(schemas / "text.schema.json", '{"type": "string"}')
    started(server)
    server.signal(signal.SIGTERM)
    assert server.ended() == 0


@pytest.mark.slow
def test_a_mistake_in_the_application_waits_for_its_repair(folder: Path, reloading: Start) -> None:
    announce_process(folder)
    server = reloading("run", "chat:app", "--reload", "--port", "0")
    _, port = started(server)
    good = (folder / "chat.py").read_text()
    write(folder / "chat.py", good + "\ndef broken(:\n")
    server.wait_for("SyntaxError")
    server.wait_for("waiting for a change")
    write(folder / "chat.py", good)
    process, same_port = started(server)
    assert same_port == port
    assert "Traceback" not in server.output
    server.signal(signal.SIGTERM)
    assert server.ended() == 0
    assert_gone(process, port)


@pytest.mark.slow
def test_a_mistake_from_the_beginning_waits_for_its_repair_too(
    folder: Path, reloading: Start
) -> None:
    (folder / "wsframe.toml").write_text("port = 'x'")
    announce_process(folder)
    server = reloading("run", "chat:app", "--reload")
    server.wait_for("must be a whole number")
    server.wait_for("waiting for a change")
    write(folder / "wsframe.toml", "port = 0")
    started(server)
    server.signal(signal.SIGTERM)
    assert server.ended() == 0


@pytest.mark.slow
def test_a_parent_that_is_killed_leaves_no_orphan(folder: Path, reloading: Start) -> None:
    announce_process(folder)
    server = reloading("run", "chat:app", "--reload", "--port", "0")
    process, port = started(server)
    server.signal(signal.SIGKILL)
    server.process.wait(TIMEOUT_S)
    assert_gone(process, port)


@pytest.mark.slow
def test_a_server_that_will_not_stop_is_stopped(folder: Path, start: Start) -> None:
    (folder / "chat.py").write_text(
        f"{CHAT}\nimport os, signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('process', os.getpid(), flush=True)\n"
        "while True:\n    time.sleep(1)\n"
    )
    server = start("run", "chat:app", "--reload", "--port", "0")
    process = int(server.wait_for("process").split()[1])
    server.signal(signal.SIGTERM)
    assert server.ended() == 128 + signal.SIGKILL
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)
