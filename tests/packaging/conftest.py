"""The wheels, built once, and how commands are run without anything of the source tree."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def clean_environment(**extra: str) -> dict[str, str]:
    """The variables of this process, without anything of the source tree."""
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("PYTHON", "WSFRAME", "VIRTUAL_ENV", "COVERAGE", "PYTEST"))
    }
    return {**environment, "UV_SYSTEM_CERTS": "1", **extra}


def run(*command: str | Path, cwd: Path, **extra_environment: str) -> str:
    """Run a command without anything of the source tree in its environment; return its output."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=clean_environment(**extra_environment),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def uv() -> Path:
    beside_python = Path(sys.executable).with_name("uv")
    found = beside_python if beside_python.exists() else shutil.which("uv")
    if not found:
        pytest.skip("uv is not installed (make venv installs it)")
    return Path(found)


@pytest.fixture(scope="session")
def projects(source_tree: Path) -> list[Path]:
    return [
        source_tree,
        *sorted(path.parent for path in source_tree.glob("plugins/*/pyproject.toml")),
    ]


@pytest.fixture(scope="session")
def wheels(uv: Path, projects: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel of every project, each built from its own source archive."""
    folder = tmp_path_factory.mktemp("dist")
    for project in projects:
        run(
            uv, "build", "--quiet", "--python", sys.executable, "--no-build-isolation",
            "--out-dir", folder, project, cwd=folder,
        )  # fmt: skip
    return folder
