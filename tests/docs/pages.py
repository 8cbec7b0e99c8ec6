"""Markdown pages, as far as the tests look into them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,})(?P<info>.*)$")
_NO_RUN = re.compile(r"<!-- no-run: (?P<reason>.+?) -->\s*$")
_HEADING = re.compile(r"^(#{1,6}) (.+?)\s*$")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)|!\[[^\]]*\]\(([^)\s]+)\)")


class Block(NamedTuple):
    """A fenced block of code."""

    page: str
    line: int
    language: str
    text: str
    no_run: str | None
    """Why it is not run, from a comment in the line above it."""


class Page(NamedTuple):
    """One Markdown file."""

    path: Path
    prose: str
    """Everything outside of code blocks."""
    headings: list[tuple[int, str]]
    blocks: list[Block]

    @property
    def links(self) -> list[str]:
        return [first or second for first, second in _LINK.findall(self.prose)]

    @property
    def anchors(self) -> set[str]:
        return {anchor(text) for _, text in self.headings}


def anchor(heading: str) -> str:
    """The fragment under which a heading can be linked to."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def page_paths(root: Path) -> list[Path]:
    return [
        *sorted(root.glob("*.md")),
        *sorted((root / "docs").rglob("*.md")),
        *sorted(root.glob("plugins/*/README.md")),
        *sorted(root.glob("clients/*/README.md")),
        *sorted((root / "examples").rglob("README.md")),
    ]


def read_pages(root: Path) -> dict[str, Page]:
    return {str(path.relative_to(root)): read_page(root, path) for path in page_paths(root)}


def read_page(root: Path, path: Path) -> Page:
    name = str(path.relative_to(root))
    prose: list[str] = []
    headings: list[tuple[int, str]] = []
    blocks: list[Block] = []
    opened: re.Match[str] | None = None
    start, body, above = 0, [""], ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        fence = _FENCE.match(line)
        if opened is None and fence:
            opened, start, body = fence, number, []
        elif opened is None:
            prose.append(line)
            if heading := _HEADING.match(line):
                headings.append((len(heading[1]), heading[2]))
            if line.strip():
                above = line
        elif fence and fence["fence"].startswith(opened["fence"]) and not fence["info"].strip():
            no_run = _NO_RUN.search(above)
            language = opened["info"].strip().split(" ")[0]
            text = "\n".join(each.removeprefix(opened["indent"]) for each in body) + "\n"
            blocks.append(Block(name, start, language, text, no_run and no_run["reason"]))
            opened, above = None, ""
        else:
            body.append(line)
    assert opened is None, f"{name}:{start}: this code block is not closed"
    return Page(path, "\n".join(prose), headings, blocks)
