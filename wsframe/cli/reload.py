"""``wsframe run --reload``: run the server in a child process and restart it when a file changes.

The parent imports nothing of the application, so no mistake in it can end the parent: a child that
fails has said why, and the next change starts another one. The child ends with the parent, however
the parent ends, because it watches a pipe that only the parent holds open.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from wsframe.cli.output import say
from wsframe.config_sources import load_config
from wsframe.errors import ConfigError, StartError

POLL_INTERVAL_S: Final = 0.25
GRACE_S: Final = 3.0
"""How long a child may take to stop before it is told again, and then killed."""

_WATCHED: Final = (".py", ".toml", ".json")
_SKIPPED: Final = frozenset({"__pycache__", "node_modules", "venv", "site-packages", "logs"})
_SCHEMA: Final = ".schema.json"
_PIPE: Final = "WSFRAME_RELOAD_PIPE"

Snapshot = Mapping[str, tuple[int, int]]
"""Modification time in nanoseconds and size in bytes, by path."""


def is_child() -> bool:
    """Is this process the one that serves, under a parent that watches?"""
    return _PIPE in os.environ


def end_with_parent() -> None:
    """In the child: stop in an orderly way as soon as the parent is gone."""
    pipe = int(os.environ[_PIPE])

    def wait_for_the_end() -> None:
        os.read(pipe, 1)  # nothing is ever written: this returns when the last writer is gone
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait_for_the_end, name="end-with-parent", daemon=True).start()


def take_snapshot(folders: Iterable[Path]) -> Snapshot:
    """The watched files below ``folders``; hidden folders and virtual environments are left out."""
    return dict(entry for folder in folders for entry in _scan(str(folder)))


def _scan(folder: str) -> Iterator[tuple[str, tuple[int, int]]]:
    try:
        with os.scandir(folder) as entries:
            found = list(entries)
    except OSError:
        return
    if any(entry.name == "pyvenv.cfg" for entry in found):
        return
    for entry in found:
        try:
            if entry.is_dir(follow_symlinks=False):
                if not entry.name.startswith(".") and entry.name not in _SKIPPED:
                    yield from _scan(entry.path)
            elif entry.name.endswith(_WATCHED):
                status = entry.stat()
                yield entry.path, (status.st_mtime_ns, status.st_size)
        except OSError:
            continue  # gone between the listing and the look


def changed_files(before: Snapshot, after: Snapshot) -> list[str]:
    """The files that were changed, made or removed, as shown to the user."""
    changed = {path for path, _ in before.items() ^ after.items()}
    return sorted(os.path.relpath(path) for path in changed)


def only_schemas(before: Snapshot, after: Snapshot) -> bool:
    """Is everything that was changed, made or removed a schema of messages?"""
    return all(path.endswith(_SCHEMA) for path, _ in before.items() ^ after.items())


def run_with_reload(
    arguments: Sequence[str], overrides: Mapping[str, Any], file: Path | None
) -> int:
    """Run ``wsframe <arguments>`` in a child, again after every change, until a signal.

    Returns:
        The exit code: that of the child when it ended by itself or was stopped.

    Raises:
        StartError: the system has no POSIX signals and pipes.
    """
    if os.name != "posix":
        raise StartError("--reload needs a POSIX system", hint="Restart the server by hand.")
    folders = [Path.cwd(), *(Path(folder) for folder in overrides.get("plugins.dirs", ()))]
    if file is not None:
        folders.append(file.absolute().parent)
    return _Supervisor([*arguments, *_kept_port(overrides, file)], folders).run()


def _kept_port(overrides: Mapping[str, Any], file: Path | None) -> list[str]:
    """A free port is chosen once, so that the address stays the same over restarts."""
    try:
        config = load_config(file=file, overrides=overrides)
    except ConfigError:
        return []  # the child says what is wrong
    if config.port != 0 or config.unix_socket is not None:
        return []
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    try:
        with socket.create_server((config.host, 0), family=family) as chosen:
            return ["--port", str(chosen.getsockname()[1])]
    except OSError:
        return []  # here too


class _Supervisor:
    """The parent: one child at a time, two signals, one clock."""

    def __init__(self, arguments: Sequence[str], folders: Sequence[Path]) -> None:
        self._command = [sys.executable, "-m", "wsframe", *arguments]
        self._folders = folders
        self._signals: list[int] = []
        self._pipe, self._held_open = os.pipe()

    def run(self) -> int:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda received, _frame: self._signals.append(received))
        say(f"watching {', '.join(_WATCHED)} files for changes")
        while True:
            before = take_snapshot(self._folders)
            child = self._start()
            changed = self._wait(child, before)
            if self._signals:
                return self._stop_for_good(child)
            if not changed:
                return child.returncode
            self._stop(child)
            others = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            say(f"{changed[0]}{others} changed, restarting")

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, _PIPE: str(self._pipe)}
        return subprocess.Popen(  # noqa: S603 - our own command line, once more
            self._command, env=environment, pass_fds=(self._pipe,)
        )

    def _wait(self, child: subprocess.Popen[bytes], before: Snapshot) -> list[str]:
        """Until files changed (and stopped changing), a signal, or an end without an error."""
        failed = False
        while not self._signals:
            time.sleep(POLL_INTERVAL_S)
            if child.poll() == 0:
                return []
            if child.returncode is not None and not failed:
                failed = True
                say("the server has stopped; waiting for a change")
            after = take_snapshot(self._folders)
            if child.returncode is None and only_schemas(before, after):
                before = after  # a plugin that uses them takes them up without a restart
            if after != before:
                return self._settled(before, after)
        return []

    def _settled(self, before: Snapshot, after: Snapshot) -> list[str]:
        while not self._signals:
            time.sleep(POLL_INTERVAL_S)
            later = take_snapshot(self._folders)
            if later == after:
                break
            after = later
        # A file that was touched and put back still asks for a restart.
        return changed_files(before, after) or ["a file"]

    def _stop(self, child: subprocess.Popen[bytes]) -> None:
        """Orderly, then at once (a second signal means that), then by force."""
        for number in (signal.SIGTERM, signal.SIGTERM):
            if child.poll() is not None:
                return
            child.send_signal(number)
            self._wait_for_end(child)
        child.kill()
        child.wait()  # who is killed ends, but not at once where many are busy

    def _stop_for_good(self, child: subprocess.Popen[bytes]) -> int:
        """Hand the signals on, a second one too, and leave nothing behind."""
        deadline = time.monotonic() + GRACE_S
        while child.poll() is None and time.monotonic() < deadline:
            while self._signals:
                number = self._signals.pop(0)
                if number != signal.SIGINT or not _terminal_reaches_child():
                    child.send_signal(number)
            time.sleep(POLL_INTERVAL_S / 5)
        self._stop(child)
        return 128 - child.returncode if child.returncode < 0 else child.returncode

    def _wait_for_end(self, child: subprocess.Popen[bytes]) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(GRACE_S)


def _terminal_reaches_child() -> bool:
    """Ctrl-C goes to every process in the foreground of the terminal, the child included."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):
        return False
