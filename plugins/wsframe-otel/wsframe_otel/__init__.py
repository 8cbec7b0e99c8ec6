"""OpenTelemetry for wsframe: spans, trace context in messages, metrics."""

from __future__ import annotations

from .plugin import Config, OtelPlugin

__all__ = ["Config", "OtelPlugin"]
