"""The reference names everything there is, and nothing that there isn't."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

import wsframe
import wsframe.client
import wsframe.stores
import wsframe.testing.faults
import wsframe.testing.plugins
from tests.docs.pages import Page
from wsframe.client import Client
from wsframe.config_fields import settings
from wsframe.errors import ERROR_CODES
from wsframe.http.endpoints import camel_case

REFERENCE = "docs/reference"


def codes_in_table(page: Page, heading: str) -> set[str]:
    """The first column of the tables in a section, without the heads of the tables."""
    section = page.path.read_text(encoding="utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `?([\w.]+)`? \|.*\n(?!\|-)", section, re.MULTILINE)
    return set(rows)


def test_the_generated_pages_are_up_to_date(source_tree: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tools.write_reference", "--check"],
        cwd=source_tree,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}\nRun: make docs"


@pytest.mark.parametrize(
    "described", [wsframe.App, wsframe.Connection, Client], ids=lambda value: value.__name__
)
def test_what_is_documented_as_public_exists_and_has_a_docstring(
    described: type, pages: dict[str, Page]
) -> None:
    prefix = described.__name__.lower()
    text = pages[f"{REFERENCE}/python-api.md"].path.read_text(encoding="utf-8")
    names = re.findall(rf"^### `{prefix}\.(\w+)`$", text, re.MULTILINE)
    assert names
    assert [name for name in names if not getattr(described, name).__doc__] == []


def test_every_setting_has_its_place(pages: dict[str, Page]) -> None:
    text = pages[f"{REFERENCE}/configuration.md"].path.read_text(encoding="utf-8")
    assert [key for key in settings() if f"`{key}`" not in text] == []


def test_every_error_code_is_explained_and_no_other(pages: dict[str, Page]) -> None:
    assert codes_in_table(pages[f"{REFERENCE}/errors.md"], "Error codes") == set(ERROR_CODES)


def test_every_error_code_of_the_client_is_explained_and_no_other(
    pages: dict[str, Page], source_tree: Path
) -> None:
    used = set()
    for path in (source_tree / "wsframe" / "client").glob("*.py"):
        used |= set(re.findall(r'RequestError\(\s*"(\w+)"', path.read_text(encoding="utf-8")))
    page = pages[f"{REFERENCE}/errors.md"]
    assert codes_in_table(page, "Error codes of the Python client") == used


def test_both_pages_name_the_same_close_codes(pages: dict[str, Page]) -> None:
    errors = codes_in_table(pages[f"{REFERENCE}/errors.md"], "Close codes")
    protocol = codes_in_table(pages[f"{REFERENCE}/wire-protocol.md"], "Closing")
    assert errors == protocol
    assert {"1000", "1009", "1013", "4400", "4408"} <= errors


def test_every_close_code_in_the_source_is_explained(
    pages: dict[str, Page], source_tree: Path
) -> None:
    explained = codes_in_table(pages[f"{REFERENCE}/errors.md"], "Close codes")
    used = set()
    for path in (source_tree / "wsframe").rglob("*.py"):
        used |= set(re.findall(r"\b(44\d\d)\b", path.read_text(encoding="utf-8")))
    assert used <= explained


@pytest.mark.parametrize(
    "name",
    sorted(
        {
            *wsframe.__all__,
            *wsframe.client.__all__,
            *wsframe.stores.__all__,
            *wsframe.testing.faults.__all__,
            *wsframe.testing.plugins.__all__,
        }
    ),
)
def test_every_public_name_is_in_the_python_reference(name: str, pages: dict[str, Page]) -> None:
    assert f"`{name}" in pages[f"{REFERENCE}/python-api.md"].prose


def test_the_fields_of_the_envelope_are_those_of_the_code(pages: dict[str, Page]) -> None:
    documented = codes_in_table(pages[f"{REFERENCE}/wire-protocol.md"], "Envelope")
    assert documented == {field.encode_name for field in msgspec.structs.fields(wsframe.Message)}


async def test_every_metric_is_explained(pages: dict[str, Page]) -> None:
    app = wsframe.App(port=0)
    await app.start()
    try:
        metrics = camel_case(app.metrics())
    finally:
        await app.stop()
    text = pages[f"{REFERENCE}/http-endpoints.md"].path.read_text(encoding="utf-8")
    names = [
        f"{group}.{name}" if isinstance(values, dict) else group
        for group, values in metrics.items()
        for name in (values if isinstance(values, dict) else [group])
    ]
    table = text.split("## `/metrics.json`")[1].split("\n## ")[0]
    assert "messages.accepted" in names
    assert [name for name in names if f"`{name}`" not in table] == []
