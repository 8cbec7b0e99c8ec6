"""The plugin keeps the contract of plugins."""

from __future__ import annotations

from wsframe_monitoring import MonitoringPlugin

from wsframe.testing.plugins import PluginContract


class TestContract(PluginContract):
    plugin = MonitoringPlugin


class TestContractWithEverythingOn(PluginContract):
    plugin = MonitoringPlugin
    settings = {
        "access_log": ["connections", "requests", "messages"],
        "autopsy": {"one_in": 1},
    }
