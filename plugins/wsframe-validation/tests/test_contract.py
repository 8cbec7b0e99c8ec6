"""The plugin keeps the contract of plugins."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from wsframe_validation import ValidationPlugin

from wsframe import App
from wsframe.testing.plugins import PluginContract

SCHEMA = {"type": "object", "properties": {"text": {"type": "string", "maxLength": 10}}}


class TestContract(PluginContract):
    plugin = ValidationPlugin


class TestContractWithSchemas(PluginContract):
    plugin = ValidationPlugin
    settings = {"max_message_length": 100, "validate_outgoing": "error", "reload": True}
    messages = (("contract.echo", {"text": "too long for the schema"}),)

    @pytest.fixture(autouse=True)
    def _schemas(self, tmp_path: Path) -> None:
        self.folder = tmp_path
        (tmp_path / "contract.echo.schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")

    def make_app(self, plugin: object) -> App:
        app = super().make_app(plugin)
        app.add_schemas(self.folder)
        return app

    def connect_options(self) -> dict[str, Any]:
        return {"subprotocol": "msgpack"}
