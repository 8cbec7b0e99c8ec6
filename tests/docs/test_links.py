"""Links inside the documentation lead somewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import Page, read_page, read_pages

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize("name", sorted(read_pages(ROOT)))
def test_every_link_to_a_file_or_heading_resolves(name: str, pages: dict[str, Page]) -> None:
    broken = []
    for link in pages[name].links:
        if "://" in link or link.startswith("mailto:"):
            continue
        path, _, fragment = link.partition("#")
        target = (pages[name].path.parent / path).resolve() if path else pages[name].path
        found = target.exists() and (not fragment or fragment in read_page(ROOT, target).anchors)
        if not found:
            broken.append(link)
    assert not broken


def test_every_page_can_be_reached_from_the_index(pages: dict[str, Page]) -> None:
    reached, due = set(), ["docs/index.md"]
    while due:
        name = due.pop()
        if name in reached or name not in pages:
            continue
        reached.add(name)
        for link in pages[name].links:
            if "://" not in link and (path := link.partition("#")[0]):
                target = (pages[name].path.parent / path).resolve()
                if target.is_relative_to(ROOT):
                    due.append(str(target.relative_to(ROOT)))
    assert {name for name in pages if name.startswith("docs/")} <= reached


def test_the_documentation_sends_nobody_to_a_single_machine(pages: dict[str, Page]) -> None:
    for name, page in pages.items():
        for link in page.links:
            assert not link.startswith(("/", "file:")), f"{name}: {link}"
