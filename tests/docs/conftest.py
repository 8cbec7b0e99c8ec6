"""Where the documentation is, and what is in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import Page, read_pages


@pytest.fixture(scope="session")
def pages(source_tree: Path) -> dict[str, Page]:
    """Every page of the documentation by its path, READMEs included."""
    return read_pages(source_tree)
