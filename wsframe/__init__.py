"""wsframe: a plugin-driven framework for chat and agent applications over WebSocket.

Every accepted message gets exactly one final answer. This package has the public names and nothing
else; they are imported when they are first used, so that ``import wsframe`` is cheap.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .config import Config
    from .errors import (
        AnswerError,
        CloseConnection,
        ConfigError,
        ConnectionClosed,
        HandlerError,
        InvalidMessage,
        PluginError,
        ProtocolError,
        Refused,
        RequestRefused,
        StartError,
        StoreError,
        WsframeError,
    )
    from .hooks import hookimpl
    from .hooks.loops import Background, loop_clock
    from .messages import Message, Reply
    from .protocol.http import Request, Response
    from .server.app import App
    from .server.connection import Connection
    from .session import Handling, Identity, Outcome, SessionWatch

_HOMES = {
    "AnswerError": ".errors",
    "App": ".server.app",
    "Background": ".hooks.loops",
    "CloseConnection": ".errors",
    "Config": ".config",
    "ConfigError": ".errors",
    "Connection": ".server.connection",
    "ConnectionClosed": ".errors",
    "HandlerError": ".errors",
    "Handling": ".session",
    "Identity": ".session",
    "InvalidMessage": ".errors",
    "Message": ".messages",
    "Outcome": ".session",
    "PluginError": ".errors",
    "ProtocolError": ".errors",
    "Refused": ".errors",
    "Reply": ".messages",
    "Request": ".protocol.http",
    "RequestRefused": ".errors",
    "Response": ".protocol.http",
    "SessionWatch": ".session",
    "StartError": ".errors",
    "StoreError": ".errors",
    "WsframeError": ".errors",
    "hookimpl": ".hooks",
    "loop_clock": ".hooks.loops",
}

__all__ = [
    "AnswerError",
    "App",
    "Background",
    "CloseConnection",
    "Config",
    "ConfigError",
    "Connection",
    "ConnectionClosed",
    "HandlerError",
    "Handling",
    "Identity",
    "InvalidMessage",
    "Message",
    "Outcome",
    "PluginError",
    "ProtocolError",
    "Refused",
    "Reply",
    "Request",
    "RequestRefused",
    "Response",
    "SessionWatch",
    "StartError",
    "StoreError",
    "WsframeError",
    "__version__",
    "hookimpl",
    "loop_clock",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(home, __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
