"""The bundled load generator, against the real echo server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running_server import RunningServer

pytest.importorskip("psutil", reason="psutil comes with `make bench`")


# The last replies of a machine that is busy with other things come late, and are no fewer.
PATIENT = "import sys; from benchmarks import load; load.LAST_REPLIES_S = 90; sys.exit(load.main())"


@pytest.fixture(scope="module")
def echo() -> Iterator[RunningServer]:
    command = (sys.executable, "-m", "wsframe.testing.echo", "--deflate", "--port", "0")
    server = RunningServer(command, cwd=Path(__file__).parents[2])
    yield server
    server.stop()


def load(*arguments: str) -> tuple[int, dict[str, Any]]:
    done = subprocess.run(
        (sys.executable, "-c", PATIENT, *arguments),
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        env=dict(os.environ),
        timeout=200,
        check=False,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else {}


@pytest.mark.parametrize("size", ["16", "128", "4096", "70000"])
def test_echoes_of_any_size_are_counted_and_checked(echo: RunningServer, size: str) -> None:
    options = ("-p", str(echo.port), "-c", "3", "-d", "4", "-s", size, "-w", "0")
    code, result = load("echo", *options, "-t", "0.2")
    if code == 0 and result["count"] == 0:  # the server did not have its turn meanwhile
        code, result = load("echo", *options, "-t", "20")
    assert code == 0
    assert result["count"] > 0
    assert result["lat_us"]["p50"] <= result["lat_us"]["p99"]


def test_a_reply_without_the_id_of_its_request_is_a_failure(echo: RunningServer) -> None:
    options = ("-p", str(echo.port), "-c", "1", "-t", "0.1", "-w", "0")
    assert load("echo", *options, "--template", '{"id":"@ID@"}')[0] == 0
    assert load("echo", *options, "--template", "the same for all")[0] == 1


def test_handshakes_are_counted_and_compression_noticed(echo: RunningServer) -> None:
    code, result = load("connect", "-p", str(echo.port), "-c", "20", "--deflate")
    assert code == 0
    assert (result["count"], result["alive"], result["deflated"]) == (20, 20, 20)


def test_nobody_there_is_no_result(unused_port: int) -> None:
    assert load("connect", "-p", str(unused_port), "-c", "1") == (2, {})


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port on which nobody listens, and that nobody else can get meanwhile."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        yield port
