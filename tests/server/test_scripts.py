"""``app.run()`` at the end of a plain script."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from wsframe import App, ConfigError


def run_script(folder: Path, *lines: str) -> subprocess.CompletedProcess[str]:
    (folder / "chat.py").write_text("\n".join(("from wsframe import App", *lines)))
    return subprocess.run(
        [sys.executable, "chat.py"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_script_whose_port_is_taken_says_so_like_the_command_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run_script(tmp_path, f"App(plugins=[]).run(port={port})")
    assert ended.returncode == 1
    error, hint = ended.stderr.splitlines()
    assert error == f"wsframe: error: cannot listen on 127.0.0.1:{port}: it is in use"
    assert hint.startswith("wsframe: hint: ")
    assert ended.stdout == ""


def test_a_script_with_a_wrong_setting_says_so_and_exits_with_2(tmp_path: Path) -> None:
    ended = run_script(tmp_path, "App(plugins=[]).run(prot=3001)")
    assert ended.returncode == 2
    assert ended.stderr.startswith("wsframe: error: ")
    assert "prot" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_script_with_a_broken_plugin_says_so_and_exits_with_3(tmp_path: Path) -> None:
    (tmp_path / "wsframe.toml").write_text('[plugins]\ndirs = ["mine"]\n')
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "broken.py").write_text("1 / 0")
    ended = run_script(tmp_path, "App().run(port=0)")
    assert ended.returncode == 3
    assert ended.stderr.startswith("wsframe: error: plugin ")
    assert "Traceback" not in ended.stderr


def test_who_calls_run_can_learn_the_cause(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        App(plugins=[]).run(port="\x1b[31m")
    assert caught.value.code == 2
    assert isinstance(caught.value.__cause__, ConfigError)
    assert "\x1b" not in capsys.readouterr().err
