"""Node's packages for the tests, installed when first needed."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

INSTALL_TIMEOUT_S = 80.0
"""Some processes of the test runner may have to wait for each other's attempts."""
OLDEST_NODE = 20


def require_node(*others: str) -> None:
    """Skip the test where Node, or another program, is missing or too old."""
    for program in ("node", *others):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")
    command = ["node", "--version"]
    version = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    if int(version.removeprefix("v").split(".")[0]) < OLDEST_NODE:
        pytest.skip(f"node {version} is too old: {OLDEST_NODE} or later is needed")


def folder_with(package: str) -> Path:
    """The folder of the Node scripts, with ``package`` installed; skips where it cannot be."""
    folder = Path(__file__).parent / "node"
    require_node("npm")
    with _one_at_a_time(folder):
        _install(folder, package)
    return folder


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Keep the test runner's other processes from installing meanwhile."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(folder: Path, package: str) -> None:
    wanted = json.loads((folder / "package.json").read_text())["dependencies"][package]
    installed = folder / "node_modules" / package / "package.json"
    if not installed.exists() or json.loads(installed.read_text())["version"] != wanted:
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
        try:
            npm = subprocess.run(
                [*command, "--ignore-scripts"],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=INSTALL_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            pytest.skip(f"npm did not install {package} {wanted} within {INSTALL_TIMEOUT_S:g} s")
        if npm.returncode != 0:
            pytest.skip(f"npm cannot install {package} {wanted}: {npm.stderr.strip()[-200:]}")


def folder_with_ws() -> Path:
    """The folder of the Node scripts, with `ws` installed; skips the test where it cannot be."""
    return folder_with("ws")
