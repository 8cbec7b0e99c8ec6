"""Events an application can listen to: ``app.on("connection:added", callback)``."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any, Final

from ..hooks.containment import escaping_part
from .listeners import Listeners

log = logging.getLogger("wsframe.server")

EVENTS: Final = {
    "connection:added": "(connection)",
    "connection:removed": "(connection, code, reason)",
    "message:received": "(message, connection)",
    "message:sent": "(message, connection)",
    "error": "(error, connection, message)",
    "alert": "(alert)",
}
"""Every event and the arguments of its callbacks. ``connection`` and ``message`` may be None in
``error``; ``connection`` is None in ``message:sent`` for a message to many."""

Callback = Callable[..., Any]


class Events(Listeners):
    """The listeners of one application. A callback is a function or a coroutine function."""

    def __init__(self) -> None:
        super().__init__(EVENTS, "event")

    def heard(self, event: str) -> bool:
        """Does anybody listen?"""
        return bool(self._functions[event])

    async def emit(self, event: str, *arguments: Any) -> None:
        """Call every callback in the order of registration; a failing one stops nobody."""
        for callback in self.of(event):
            try:
                result = callback(*arguments)
                if inspect.isawaitable(result):
                    await result
            except BaseException as error:
                escaping = escaping_part(error)
                if escaping is not None:
                    raise escaping from None
                log.error("a listener of %r failed", event, exc_info=error)
