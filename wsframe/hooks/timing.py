"""How long plugins take: hooks are timed where somebody measures them, see ``app.measure``.

Functions are wrapped when the table is frozen, so that it costs nothing when nobody does. Of the
hooks on the path of every message only some calls are timed: that costs a tenth as much.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from .markers import Spec

Meter = Callable[[str, str, float], None]
"""Told the plugin, the hook, and the seconds that its implementation took."""

ON_EVERY_MESSAGE: Final = frozenset(
    {"message_received", "message_sending", "message_sent", "message_handled"}
)
TIMED_OF: Final = 16
"""Of the calls of such a hook, the first of so many is timed."""


def timed(
    spec: Spec, plugin: str, function: Callable[..., Any], meter: Meter
) -> Callable[..., Any]:
    """Wrap a runtime hook's function, which takes all of the spec's arguments by position."""

    async def call(*arguments: Any) -> Any:
        began = time.perf_counter()
        try:
            return await function(*arguments)
        finally:
            meter(plugin, spec.name, time.perf_counter() - began)

    if spec.name not in ON_EVERY_MESSAGE:
        return call
    until_next = 1

    def call_some(*arguments: Any) -> Any:
        nonlocal until_next
        until_next -= 1
        if until_next:
            return function(*arguments)
        until_next = TIMED_OF
        return call(*arguments)

    return call_some
