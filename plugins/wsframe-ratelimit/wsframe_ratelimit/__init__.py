"""Limits how much a server takes from each connection, identity and address."""

from __future__ import annotations

from .config import Config, Limit, TypeRule
from .plugin import RatelimitPlugin

__all__ = ["Config", "Limit", "RatelimitPlugin", "TypeRule"]
