"""Says how a server is: metrics for Prometheus, alerts, an access log."""

from __future__ import annotations

from .alerts import Alert
from .config import AlertSettings, Config, Rule
from .plugin import MonitoringPlugin

__all__ = ["Alert", "AlertSettings", "Config", "MonitoringPlugin", "Rule"]
