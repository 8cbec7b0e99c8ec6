"""The plugin keeps the contract of plugins."""

from __future__ import annotations

from wsframe_origin import OriginPlugin

from wsframe.testing.plugins import PluginContract


class TestContract(PluginContract):
    plugin = OriginPlugin


class TestContractForOtherPages(PluginContract):
    plugin = OriginPlugin
    settings = {"allow": ["https://chat.example"], "allow_missing": False}

    def connect_options(self) -> dict[str, object]:
        return {"headers": [("origin", "https://chat.example")]}
