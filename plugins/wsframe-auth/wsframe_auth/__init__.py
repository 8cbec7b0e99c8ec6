"""JSON Web Tokens: who connects, until when, and what they may send (RFC 7519, RFC 8725)."""

from __future__ import annotations

from .config import Config, KeySource
from .plugin import AuthPlugin

__all__ = ["AuthPlugin", "Config", "KeySource"]
