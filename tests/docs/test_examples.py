"""Every Python example of the documentation runs.

The blocks of one page are run in order in one namespace, like a reader who types them in one after
the other. Each page runs in a process of its own, in an empty folder; a block whose first line is
``# name.py`` is also written there as that file, so that later blocks can import it. A block with
``<!-- no-run: reason -->`` in the line above it is only compiled. Test functions in a page are run
with pytest.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.pages import Block, read_pages

ROOT = Path(__file__).parent.parent.parent
GUARD_S = 240
"""A deadlock guard: pages come to their end much earlier."""
PYTHON = [
    block
    for page in read_pages(ROOT).values()
    for block in page.blocks
    if block.language == "python"
]
PAGES = sorted({block.page for block in PYTHON if not block.no_run})


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_the_examples_of_a_page_run(page: str, tmp_path: Path) -> None:
    blocks = [block for block in PYTHON if block.page == page and not block.no_run]
    script = tmp_path / "page_examples.py"
    script.write_text("".join(_placed(block, tmp_path) for block in blocks), encoding="utf-8")
    command = [sys.executable, "-W", "error::SyntaxWarning", script.name]
    if any(_has_tests(block) for block in blocks):
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", script.name]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=GUARD_S, check=False
    )
    assert done.returncode == 0, f"{page}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("block", PYTHON, ids=lambda block: f"{block.page}:{block.line}")
def test_every_example_compiles(block: Block) -> None:
    compile(block.text, block.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if block.no_run:
        pytest.skip(f"compiled, not run: {block.no_run}")


def test_there_are_examples() -> None:
    assert "README.md" in PAGES


def _placed(block: Block, folder: Path) -> str:
    name = re.match(r"# (\w+\.py)\b", block.text)
    if name:
        (folder / name[1]).write_text(block.text, encoding="utf-8")
    return f"\n# {block.page}:{block.line}\n{block.text}"


def _has_tests(block: Block) -> bool:
    return re.search(r"^(async )?def test_", block.text, re.MULTILINE) is not None
