"""The plugin keeps the contract of plugins."""

from __future__ import annotations

from wsframe_otel import OtelPlugin

from wsframe.testing.plugins import PluginContract


class TestContract(PluginContract):
    plugin = OtelPlugin
