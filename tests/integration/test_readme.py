"""The server and the Python client of the README, copied out of it, talk to each other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import read_page
from wsframe.testing.faults import ServerProcess

CLIENT_TIMEOUT_S = 60.0
ADDRESS = "127.0.0.1:3001"


@pytest.fixture
def readme(source_tree: Path, tmp_path: Path) -> Path:
    """A folder with the files that the README names in their first lines."""
    page = read_page(source_tree, source_tree / "README.md")
    for block in page.blocks:
        first = block.text.split("\n")[0].removeprefix("# ")
        if first in {"chat.py", "ask.py", "wsframe.toml"}:
            (tmp_path / first).write_text(block.text, encoding="utf-8")
    return tmp_path


def test_the_client_of_the_readme_talks_to_its_server(readme: Path) -> None:
    client = readme / "ask.py"
    text = client.read_text(encoding="utf-8")
    assert text.count(ADDRESS) == 1
    with ServerProcess("chat:app", cwd=readme) as server:
        client.write_text(text.replace(ADDRESS, f"127.0.0.1:{server.port}"), encoding="utf-8")
        asked = subprocess.run(
            [sys.executable, "-W", "error", client.name],
            cwd=readme,
            capture_output=True,
            text=True,
            timeout=CLIENT_TIMEOUT_S,
            check=False,
        )
    assert asked.returncode == 0, asked.stderr
    assert asked.stdout.splitlines() == ["Echo: Hi", "tell", "me", "more"]
    assert (readme / "chat.db").exists(), "sessions are stored where the README's settings say"
