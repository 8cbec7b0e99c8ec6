"""The plugin keeps the contract of plugins."""

from __future__ import annotations

from wsframe_ratelimit import RatelimitPlugin

from wsframe.testing.plugins import PluginContract


class TestContract(PluginContract):
    plugin = RatelimitPlugin
