"""Folders of schemas for the tests."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wsframe_validation.engines import Engine, choose_engine

Write = Callable[..., Path]

CHAT = {
    "type": "object",
    "properties": {"text": {"type": "string", "minLength": 1, "maxLength": 20}},
    "required": ["text"],
    "additionalProperties": False,
}


@pytest.fixture(params=["jsonschema-rs", "jsonschema"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Each of the engines."""
    return choose_engine(request.param)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """``write("text", {...})`` puts ``text.schema.json`` into a folder, which it returns."""
    folder = tmp_path / "schemas"

    def write(name: str, schema: Any) -> Path:
        path = folder / f"{name}.schema.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = schema if isinstance(schema, str) else json.dumps(schema)
        path.write_text(text, encoding="utf-8")
        return folder

    return write
