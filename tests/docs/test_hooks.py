"""Every hook has a section in the reference, a test, and a plugin that uses it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.docs.pages import Page
from tools.hooks_reference import uses
from wsframe.hooks import SPECS

PAGE = "docs/reference/hooks.md"

NO_PLUGIN_YET = {
    "make_store": "wsframe-redis",
    "make_broker": "wsframe-redis",
    "session_expired": "nobody counts the sessions that end yet",
    "message_sent": "what counts is measured where it happens (app.measure); nobody audits yet",
    "error_raised": "nobody reports errors to a service that collects them yet",
}
"""Hooks that no released plugin uses: the package that will, or a reason. A line goes as soon as a
plugin uses its hook, and is wrong as soon as its package is here and does not."""


def sections(page: Page) -> dict[str, str]:
    """The signature that each hook's section shows."""
    text = page.path.read_text(encoding="utf-8")
    found = re.findall(r"^### `(\w+)`\n\n```text\n(.+?)\n```\n", text, re.MULTILINE | re.DOTALL)
    return dict(found)


def named_in(path: Path) -> set[str]:
    """Hooks that a test implements, or names in a text of its own."""
    named = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            marks = [ast.unparse(mark).partition("(")[0] for mark in node.decorator_list]
            if "hookimpl" in marks:
                named.add(node.name)
        elif isinstance(node, ast.Constant) and node.value in SPECS:
            named.add(node.value)
    return named


@pytest.fixture(scope="module")
def tested(source_tree: Path) -> set[str]:
    files = [
        *source_tree.glob("tests/**/test_*.py"),
        *source_tree.glob("plugins/*/tests/test_*.py"),
    ]
    return {name for file in files if file != Path(__file__) for name in named_in(file)}


@pytest.fixture(scope="module")
def used() -> dict[str, list[str]]:
    return uses()


def test_the_reference_has_a_section_for_each_hook_and_no_other(pages: dict[str, Page]) -> None:
    assert list(sections(pages[PAGE])) == list(SPECS)


@pytest.mark.parametrize("hook", SPECS)
def test_a_section_shows_the_signature_of_the_spec(hook: str, pages: dict[str, Page]) -> None:
    spec = SPECS[hook]
    assert sections(pages[PAGE])[hook] == spec.signature
    prose = pages[PAGE].path.read_text(encoding="utf-8").split(f"### `{hook}`\n")[1]
    section = prose.split("\n### ")[0]
    for label in ("When: ", "Result: ", "Exception: ", "Cost: "):
        assert f"\n- {label}" in section, f"{hook} does not say: {label}"
    assert f"- Policy: {spec.policy.value}" in section


@pytest.mark.parametrize("hook", SPECS)
def test_a_test_implements_or_names_each_hook(hook: str, tested: set[str]) -> None:
    assert hook in tested


@pytest.mark.parametrize("hook", SPECS)
def test_a_released_plugin_uses_each_hook_or_a_reason_says_why_none_does(
    hook: str, used: dict[str, list[str]], source_tree: Path
) -> None:
    users, reason = used[hook], NO_PLUGIN_YET.get(hook)
    if reason is None:
        assert users, f"no plugin uses {hook!r}: name a reason in NO_PLUGIN_YET, or remove the hook"
    else:
        assert users == [], f"{users} uses {hook!r}: take it out of NO_PLUGIN_YET"
        promised = source_tree / "plugins" / reason
        assert not promised.exists(), f"{reason} is here, and does not use {hook!r}"


def test_reasons_are_given_for_hooks_that_exist() -> None:
    assert set(NO_PLUGIN_YET) <= set(SPECS)
