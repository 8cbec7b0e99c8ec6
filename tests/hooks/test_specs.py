"""The specs, the table and the reference page say the same."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from tools.hooks_reference import uses
from wsframe.hooks import SPECS, HookTable, Policy

STARTUP = {"setup", "register_commands", "make_store", "make_broker"}


@pytest.fixture(scope="module")
def page(source_tree: Path) -> str:
    return (source_tree / "docs" / "reference" / "hooks.md").read_text(encoding="utf-8")


def section(page: str, hook: str) -> str:
    parts = page.split(f"\n### `{hook}`\n")
    assert len(parts) == 2, f"docs/reference/hooks.md has {len(parts) - 1} sections for {hook}"
    return parts[1].partition("\n### ")[0]


def test_hooks_of_the_start_are_sync_and_all_others_async() -> None:
    assert {name for name, spec in SPECS.items() if not spec.is_async} == STARTUP


def test_the_table_has_a_slot_for_every_hook_and_no_other() -> None:
    slots = [name for name, kind in HookTable.__annotations__.items() if kind == "Implementations"]
    assert slots == list(SPECS)


@pytest.mark.parametrize("hook", SPECS)
def test_a_spec_says_when_it_is_called_and_what_results_and_exceptions_mean(hook: str) -> None:
    text = inspect.getdoc(SPECS[hook].function) or ""
    labels = re.findall(r"^(\w+):(?= )", text, re.MULTILINE)
    assert [label for label in labels if label != "Order"] == [
        "When",
        "Result",
        "Exception",
        "Cost",
    ]


@pytest.mark.parametrize("hook", SPECS)
def test_the_reference_has_a_section_with_the_same_signature_and_policy(
    page: str, hook: str
) -> None:
    spec = SPECS[hook]
    documented = section(page, hook)
    assert f"```text\n{spec.signature}\n```" in documented
    assert f"- Policy: {spec.policy.value}" in documented
    assert ("fails the start" in documented) == spec.fails_start


def test_the_reference_has_a_section_for_no_other_hook(page: str) -> None:
    assert re.findall(r"^### `(\w+)`$", page, re.MULTILINE) == list(SPECS)


@pytest.mark.parametrize("hook", SPECS)
def test_the_reference_says_which_released_plugin_uses_a_hook(page: str, hook: str) -> None:
    row = next(line for line in page.splitlines() if line.startswith(f"| [`{hook}`]"))
    users = uses()[hook]
    assert ("no released plugin yet" in row) == (users == [])
    assert all(f"`{user}`" in row for user in users)


def test_the_demonstrator_uses_the_hook_it_is_there_for() -> None:
    assert "wsframe-origin" in uses()["connection_opening"]


def test_what_refuses_is_a_gate_and_what_only_tells_is_not() -> None:
    gates = {name for name, spec in SPECS.items() if spec.policy is Policy.GATE}
    assert gates == {"connection_opening", "session_opening", "message_received", "room_joining"}
