"""A server in a process of its own, to be killed and started again on the same port."""

from __future__ import annotations

import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 90.0

_ADDRESS = re.compile(r"\b(?:http|ws)://(?:127\.0\.0\.1|localhost):(\d+)")


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody uses now, and that nobody else is given for a while."""
    # The kernel keeps the port of a connection for a minute (TIME_WAIT), if it was closed on this
    # side first: a server that names the port may have it, who asks for any port gets another.
    with socket.create_server(("127.0.0.1", 0)) as opened:
        port: int = opened.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            opened.accept()[0].close()
            client.recv(1)
        return port


def _reserve_port() -> socket.socket:
    """A socket that keeps a port for a server, which listens on it with ``SO_REUSEADDR``.

    Between two lives of the server, and before the first, the system would give it to others.
    """
    reserved = socket.socket()
    try:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
    except BaseException:
        reserved.close()
        raise
    return reserved


class Process:
    """A server as a child process, started with ``command``.

    It is running once it has printed the address it accepts connections on. Inside ``with`` it is
    killed at the end; it never outlives this object, nor the interpreter.

    Args:
        command: program and arguments.
        cwd: the folder it is started in.
        settings: environment variables on top of this process's own, without its ``WSFRAME_…``.

    Attributes:
        output: the lines it has printed so far, in all its lives.
        port: the one it accepts connections on.

    Raises:
        AssertionError: it did not start; its output is in the message.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: Path | str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self._command = list(command)
        self._cwd = cwd
        kept = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
        kept = {name: value for name, value in kept.items() if not name.startswith("WSFRAME_")}
        self._environment = {**kept, "PYTHONUNBUFFERED": "1", **(settings or {})}
        self.output: list[str] = []
        self._begin()

    def _begin(self) -> None:
        process = subprocess.Popen(  # noqa: S603 - the caller says what is run
            self._command,
            cwd=self._cwd,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._process = process
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        # It must not hold this object, which kills the process when it is gone.
        self._reader = threading.Thread(
            target=_read, args=(process, self.output, self._lines), daemon=True
        )
        self._reader.start()
        self._finalizer = weakref.finalize(self, _kill, process)
        self.port = self._wait_for_port()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def http_url(self) -> str:
        """Where it serves HTTP."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """Where it serves WebSockets, unless ``path`` is set."""
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def running(self) -> bool:
        """Has it not ended yet?"""
        return self._process.poll() is None

    def ask_to_stop(self) -> None:
        """Ask it to stop, as an operator does; it goes on until it is done."""
        self._process.send_signal(signal.SIGTERM)

    def ended(self) -> int:
        """Wait until it has ended by itself; returns the exit code.

        Raises:
            AssertionError: it goes on and on; it is killed.
        """
        try:
            code = self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server does not stop:\n{self.transcript}") from None
        self._over()
        return code

    def _over(self) -> None:
        self._reader.join()  # the process is gone, and with it what this thread reads
        self._finalizer.detach()

    def stop(self) -> int:
        """Ask it to stop, and wait until it has; returns the exit code.

        Raises:
            AssertionError: it goes on and on; it is killed.
        """
        if self.running:
            self.ask_to_stop()
        return self.ended()

    def kill(self) -> None:
        """End it at once, as an accident does (SIGKILL)."""
        _kill(self._process)
        self._over()

    def restart(self) -> None:
        """Start it again; it is killed first if it still runs.

        Raises:
            AssertionError: it did not start; its output is in the message.
        """
        self.kill()
        self._begin()

    @property
    def transcript(self) -> str:
        """What it has printed, for a failure message."""
        return "".join(self.output)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()
        if error is not None and self.output:
            error.add_note(f"the server printed:\n{self.transcript}")

    def _wait_for_port(self) -> int:
        try:
            while line := self._lines.get(timeout=START_TIMEOUT_S):
                if found := _ADDRESS.search(line):
                    return int(found[1])
        except queue.Empty:
            pass
        self.kill()
        raise AssertionError(f"the server did not start:\n{self.transcript}")


class ServerProcess(Process):
    """``wsframe run module:app`` as a child process, on a port that stays the same.

    Args:
        target: ``module:attribute``, as for ``wsframe run``.
        cwd: the folder the module is in.
        port: the port; None: a free one.
        settings: settings by name, like ``{"resume_window_s": 60}``.
        arguments: more of the command line, like ``["--factory"]``.

    Raises:
        AssertionError: it did not start; its output is in the message.
    """

    def __init__(
        self,
        target: str,
        *,
        cwd: Path | str | None = None,
        port: int | None = None,
        settings: Mapping[str, object] | None = None,
        arguments: Sequence[str] = (),
    ) -> None:
        if port is None and sys.platform == "linux":  # elsewhere two cannot share an address
            reserved = _reserve_port()
            weakref.finalize(self, reserved.close)
            port = reserved.getsockname()[1]
        elif port is None:
            port = free_port()
        options = ["--host", "127.0.0.1", "--port", str(port)]
        for name, value in (settings or {}).items():
            options += ["--set", f"{name}={value}"]
        super().__init__(
            [sys.executable, "-m", "wsframe", "run", target, *options, *arguments], cwd=cwd
        )


def _read(process: subprocess.Popen[str], output: list[str], lines: queue.SimpleQueue[str]) -> None:
    assert process.stdout is not None
    with process.stdout:
        for line in process.stdout:
            output.append(line)
            lines.put(line)
    lines.put("")


def _kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
