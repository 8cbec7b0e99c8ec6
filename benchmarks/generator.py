"""Finds the load generator: wsload, written in C, or the bundled :mod:`benchmarks.load`.

wsload is looked for at the path in ``WSLOAD``, then in ``../shared/tools/wsload`` beside the
repository. Where only its source is there, it is built in a temporary folder.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.servers import ROOT, pinned

BESIDE = ROOT.parent / "shared" / "tools" / "wsload"
BUNDLED = (sys.executable, "-m", "benchmarks.load")


class LoadFailed(Exception):
    """The load generator found a wrong or missing reply, or could not connect."""


def executable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)


def build(source: Path) -> Path | None:
    """wsload built from ``source`` in a folder that ends with this process, or None."""
    if shutil.which("make") is None or shutil.which("cc") is None:
        return None
    folder = tempfile.TemporaryDirectory(prefix="wsload-")
    _kept.append(folder)
    for file in source.iterdir():
        if file.is_file():
            shutil.copyfile(file, Path(folder.name) / file.name)
    done = subprocess.run(("make", "-C", folder.name), capture_output=True, check=False)
    built = Path(folder.name) / "wsload"
    return built if done.returncode == 0 and executable(built) else None


_kept: list[tempfile.TemporaryDirectory[str]] = []


def find() -> tuple[str, ...]:
    """The command of the load generator."""
    named = os.environ.get("WSLOAD")
    if named:
        if not executable(Path(named)):
            raise LoadFailed(f"WSLOAD names {named}, which is not an executable file")
        return (named,)
    if executable(BESIDE / "wsload"):
        return (str(BESIDE / "wsload"),)
    if (BESIDE / "wsload.c").is_file() and (built := build(BESIDE)) is not None:
        return (str(built),)
    return BUNDLED


def run(command: tuple[str, ...], arguments: tuple[str, ...], core: int | None) -> dict[str, Any]:
    """Runs the load on ``core``; returns what the generator measured.

    Raises:
        LoadFailed: a reply was wrong or missing, or the generator could not connect.
    """
    with pinned(core):
        done = subprocess.run(
            (*command, *arguments),
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=300,
            check=False,
        )
    if done.returncode:
        said = (done.stderr.strip() + "\n" + done.stdout.strip()[:600]).strip()
        raise LoadFailed(f"exit code {done.returncode}: {said}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result
