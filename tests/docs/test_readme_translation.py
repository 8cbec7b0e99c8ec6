"""The Chinese README says what the English one says."""

from __future__ import annotations

from tests.docs.pages import Page

ENGLISH, CHINESE = "README.md", "README.zh-CN.md"


def test_both_have_the_same_headings_in_the_same_order(pages: dict[str, Page]) -> None:
    levels = {name: [level for level, _ in pages[name].headings] for name in (ENGLISH, CHINESE)}
    assert levels[ENGLISH] == levels[CHINESE]


def test_both_have_identical_code(pages: dict[str, Page]) -> None:
    code = {
        name: [(block.language, block.text) for block in pages[name].blocks]
        for name in (ENGLISH, CHINESE)
    }
    assert code[ENGLISH] == code[CHINESE]


def test_both_link_to_the_same_pages(pages: dict[str, Page]) -> None:
    links = {
        name: {link.partition("#")[0] for link in pages[name].links} for name in (ENGLISH, CHINESE)
    }
    assert links[ENGLISH] - {CHINESE} == links[CHINESE] - {ENGLISH}


def test_both_have_tables_of_the_same_size(pages: dict[str, Page]) -> None:
    rows = {
        name: sum(line.startswith("|") for line in pages[name].prose.splitlines())
        for name in (ENGLISH, CHINESE)
    }
    assert rows[ENGLISH] == rows[CHINESE]
