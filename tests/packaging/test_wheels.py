"""The wheels are built, installed into an environment without the source tree, and used there."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packaging.conftest import run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def installed(
    uv: Path, wheels: Path, source_tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The ``bin`` folder of a clean environment in which every wheel is installed."""
    environment = tmp_path_factory.mktemp("clean") / "venv"
    run(uv, "venv", "--quiet", "--python", sys.executable, environment, cwd=wheels)
    run(
        uv, "pip", "install", "--quiet", "--python", environment / "bin" / "python",
        "--constraints", source_tree / "constraints.txt", *sorted(wheels.glob("*.whl")), cwd=wheels,
    )  # fmt: skip
    return environment / "bin"


def names_in(wheels: Path, pattern: str) -> set[str]:
    (wheel,) = wheels.glob(pattern)
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_every_module_every_schema_and_the_demo_page(
    wheels: Path, source_tree: Path
) -> None:
    inside = names_in(wheels, "wsframe-*.whl")
    tracked = subprocess.run(
        ["git", "ls-files", "wsframe", "schemas"],
        cwd=source_tree,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    expected = {
        name if name.startswith("wsframe/") else f"wsframe/{name}"
        for name in tracked
        if not name.endswith(".gitkeep")
    }
    assert expected, "git names no files"
    assert expected <= inside
    assert any(name.startswith("wsframe/schemas/") for name in inside)
    assert any(name.startswith("wsframe/demo/static/") for name in inside)
    assert "wsframe/http/wsframe-client.js" in inside
    assert "wsframe/py.typed" in inside


def test_the_wheel_holds_nothing_but_the_package_and_its_metadata(wheels: Path) -> None:
    top = {name.split("/")[0] for name in names_in(wheels, "wsframe-*.whl")}
    assert {name for name in top if not name.endswith(".dist-info")} == {"wsframe"}


def test_importing_wsframe_finds_the_installed_package(installed: Path, tmp_path: Path) -> None:
    program = "import wsframe; print(wsframe.__file__); print(wsframe.App())"
    location = run(installed / "python", "-c", program, cwd=tmp_path).splitlines()[0]
    assert Path(location).is_relative_to(installed.parent)


def test_the_command_line_names_the_version_of_the_wheel(
    installed: Path, wheels: Path, tmp_path: Path
) -> None:
    (wheel,) = wheels.glob("wsframe-*.whl")
    version = wheel.name.split("-")[1]
    assert version in run(installed / "wsframe", "--version", cwd=tmp_path)


def test_every_plugin_package_is_discovered_where_only_the_wheels_are(
    installed: Path, projects: list[Path], tmp_path: Path
) -> None:
    shown = json.loads(run(installed / "wsframe", "plugins", "--json", cwd=tmp_path))
    found = {plugin["name"]: plugin for plugin in shown["plugins"]}
    expected = set()
    for project in projects[1:]:
        metadata = tomllib.loads((project / "pyproject.toml").read_text())["project"]
        expected |= set(metadata["entry-points"]["wsframe.plugins"])
    assert "origin" in expected
    assert expected <= set(found)
    assert {found[name]["state"] for name in expected} == {"active"}


def test_the_installed_package_has_the_client_that_pages_import(
    installed: Path, source_tree: Path, tmp_path: Path
) -> None:
    program = """
import asyncio, sys, wsframe
from wsframe.http import serve_browser_client
answer = asyncio.run(serve_browser_client(wsframe.Request("GET", "/wsframe-client.js")))
sys.stdout.buffer.write(answer.body)
"""
    source = (source_tree / "clients" / "js" / "wsframe-client.js").read_text(encoding="utf-8")
    assert run(installed / "python", "-c", program, cwd=tmp_path, PYTHONUTF8="1") == source


def test_the_installed_configuration_is_complete(installed: Path, tmp_path: Path) -> None:
    text = run(installed / "wsframe", "config", "default", cwd=tmp_path)
    assert "max_message_bytes" in text
