"""Every plugin of this repository is tested against the contract of plugins."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent.parent
PACKAGES = sorted(path.parent for path in ROOT.glob("plugins/*/pyproject.toml"))


def bases_in(file: Path) -> set[str]:
    """What the test classes of a file derive from."""
    return {
        ast.unparse(base)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and node.name.startswith("Test")
        for base in node.bases
    }


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_test_class_derives_from_the_contract(package: Path) -> None:
    derived = {base for file in package.glob("tests/test_*.py") for base in bases_in(file)}
    assert "PluginContract" in derived, f"{package.name} needs a tests/test_contract.py"


def test_there_are_plugins() -> None:
    assert {"wsframe-auth", "wsframe-origin", "wsframe-validation"} <= {p.name for p in PACKAGES}
