"""The tutorial "Your own plugin", followed to the letter, from an empty folder to a wheel.

Each block of the page is one test, in the order of the page: commands are run in one terminal,
files are written, changed lines are changed, and what a command is said to print is printed. Wheels
of this source tree take the place of the package index for wsframe itself.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.docs.pages import Block, read_page
from tests.packaging.conftest import clean_environment

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
PAGE = "docs/tutorials/your-own-plugin.md"
BLOCKS = read_page(ROOT, ROOT / PAGE).blocks
FILE = re.compile(r"(?:# |<!-- )(?P<path>[\w./-]+\.\w+)(?: -->)?\n")


class Reader:
    """Somebody who does what the page says."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._state = folder / "terminal"
        self._environment = environment
        self._printed = ""
        self.folder = folder / "empty"
        self.folder.mkdir()
        self._state.write_text(f"cd '{self.folder}'\n", encoding="utf-8")
        self.done = 0
        self._failed = False

    def follow_to(self, number: int) -> None:
        """Follow what comes before a block, unless that is done, and then the block."""
        if self._failed:
            pytest.skip("an earlier block of the page did not work")
        while self.done <= number:
            self._failed = True
            self.follow(BLOCKS[self.done])
            self._failed = False
            self.done += 1

    def follow(self, block: Block) -> None:
        if block.language == "sh":
            self._type(block.text)
        elif block.language == "text":
            self._compare(block.text)
        elif block.language == "diff":
            self._change(block.text)
        else:
            self._write(block.text)

    def _type(self, commands: str) -> None:
        """Type commands into the terminal; it keeps its folder and its variables."""
        script = f". '{self._state}'\nset -e\n{commands}\nset +e\n"
        script += f"{{ export -p; echo cd \"'$PWD'\"; }} >'{self._state}'\n"
        done = subprocess.run(
            ["bash", "-c", script],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self._printed = done.stdout
        assert done.returncode == 0, f"{commands}\n{done.stdout}"

    def _compare(self, expected: str) -> None:
        """The width of columns aside, which names decide."""
        printed = [" ".join(line.split()) for line in self._printed.splitlines()]
        for line in expected.splitlines():
            assert " ".join(line.split()) in printed, self._printed

    def _write(self, text: str) -> None:
        path = self._path(text)
        path.write_text(text, encoding="utf-8")

    def _change(self, text: str) -> None:
        path = self._path(text)
        before = "".join(line[1:] for line in text.splitlines(True) if line.startswith("-"))
        after = "".join(line[1:] for line in text.splitlines(True) if line.startswith("+"))
        content = path.read_text(encoding="utf-8")
        assert content.count(before) == 1, f"{path.name} has no line {before!r}"
        path.write_text(content.replace(before, after), encoding="utf-8")

    def _path(self, text: str) -> Path:
        named = FILE.match(text)
        assert named, f"this block names no file:\n{text}"
        return self.package / named["path"]

    @property
    def package(self) -> Path:
        return self.folder / "wsframe-manners"


@pytest.fixture(scope="module")
def reader(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Reader:
    folder = tmp_path_factory.mktemp("reader")
    (folder / "bin").mkdir()
    (folder / "bin" / "python3").symlink_to(sys.executable)
    environment = clean_environment(
        PATH=f"{folder / 'bin'}:{os.environ['PATH']}",
        PIP_FIND_LINKS=f"{wheels} {os.environ.get('PIP_FIND_LINKS', '')}".strip(),
        PIP_CONSTRAINT=str(ROOT / "constraints.txt"),
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        PIP_NO_COMPILE="1",
        PIP_QUIET="1",
    )
    return Reader(folder, environment)


@pytest.mark.parametrize(
    "number", range(len(BLOCKS)), ids=[f"{block.language}:{block.line}" for block in BLOCKS]
)
def test_the_page_can_be_followed(number: int, reader: Reader) -> None:
    reader.follow_to(number)


def test_it_ends_with_a_wheel_that_holds_the_plugin(reader: Reader) -> None:
    reader.follow_to(len(BLOCKS) - 1)
    (wheel,) = (reader.package / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        entry_points = archive.read("wsframe_manners-0.1.0.dist-info/entry_points.txt").decode()
        metadata = archive.read("wsframe_manners-0.1.0.dist-info/METADATA").decode()
    assert {"wsframe_manners/__init__.py", "wsframe_manners/py.typed"} <= names
    assert "manners = wsframe_manners:MannersPlugin" in entry_points
    assert "Requires-Dist: wsframe" in metadata
    assert "rude words" in metadata
