"""How the tests of the command line run it: inside this process, or as a user does."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wsframe.cli.root import cli
from wsframe.server import lifecycle

TIMEOUT_S = 60.0
WSFRAME = (str(Path(sys.executable).parent / "wsframe"),)
MODULES = {"app", "chat", "main", "models", "service"}
"""What tests call the modules of their users."""
CHAT = """\
from wsframe import App

app = App()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory; modules imported from it are forgotten afterwards.

    Those that other tests have imported from theirs are not there meanwhile.
    """
    for name in [name for name in os.environ if name.startswith("WSFRAME_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    for name in [name for name in sys.modules if name.partition(".")[0] in MODULES]:
        monkeypatch.delitem(sys.modules, name)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        spec = getattr(sys.modules[name], "__spec__", None)
        places = [spec.origin, *(spec.submodule_search_locations or ())] if spec else []
        if any(str(tmp_path) in str(place) for place in places):
            del sys.modules[name]


@pytest.fixture
def invoke(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs a command inside this process; a command that would serve returns at once."""
    monkeypatch.setattr(lifecycle, "run", lambda app, announce: print("serving", app.config.port))

    def invoke(*arguments: str, **environ: str) -> Result:
        return CliRunner().invoke(cli, arguments, prog_name="wsframe", env=dict(environ))

    return invoke


class Command:
    """``wsframe …`` in a process of its own; its lines are read as they come."""

    def __init__(self, folder: Path, command: Sequence[str], environ: dict[str, str]) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("WSFRAME_")}
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**kept, "PYTHONDONTWRITEBYTECODE": "1", **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output = ""
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout:
            for line in self.process.stdout:
                self.output += line
                self._lines.put(line)
        self._lines.put("")

    def wait_for(self, text: str) -> str:
        """The next line that contains ``text``."""
        deadline = time.monotonic() + TIMEOUT_S
        try:
            while line := self._lines.get(timeout=max(0.0, deadline - time.monotonic())):
                if text in line:
                    return line
        except queue.Empty:
            pass
        raise AssertionError(f"no line with {text!r} came:\n{self.output}")

    def ended(self) -> int:
        """Waits for the end; the exit code."""
        code = self.process.wait(TIMEOUT_S)
        self._reader.join(TIMEOUT_S)
        return code

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)


@pytest.fixture
def start(folder: Path) -> Iterator[Callable[..., Command]]:
    """Starts ``wsframe`` as a user does; whatever still runs at the end is killed."""
    started: list[Command] = []

    def start(*arguments: str, program: Sequence[str] = WSFRAME, **environ: str) -> Command:
        started.append(Command(folder, [*program, *arguments], environ))
        return started[-1]

    yield start
    for command in started:
        if command.process.poll() is None:
            command.process.kill()
        command.ended()
