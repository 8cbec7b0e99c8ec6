"""Meters: plain functions that are told at once what has happened and how long it took.

A hook can wait, and gets everything; that has its price on the path of every message. A meter is
called where the thing happens, gets what a statistic needs, and returns at once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final

from ..hooks.containment import escaping_part
from .listeners import Listeners

log = logging.getLogger("wsframe.server")

METERS: Final = {
    "message": "(type, outcome, elapsed_s)",
    "request": "(request, status, elapsed_s)",
    "hook": "(plugin, hook, elapsed_s)",
    "store": "(operation, elapsed_s)",
}
"""Everything that can be measured, and the arguments of its meters."""

Meter = Callable[..., None]


class Meters(Listeners):
    """The meters of one application."""

    def __init__(self) -> None:
        super().__init__(METERS, "meter of kind")

    def together(self, kind: str) -> Meter | None:
        """All meters of a kind as one that never fails; None: there are none."""
        meters = self.of(kind)
        if not meters:
            return None

        def measure(*arguments: Any) -> None:
            for meter in meters:
                try:
                    meter(*arguments)
                except BaseException as error:  # noqa: BLE001 - meter_failed() sorts it out
                    meter_failed(kind, error)

        return measure


def meter_failed(kind: str, error: BaseException) -> None:
    """Log what a meter has raised, or raise what is not its to keep."""
    escaping = escaping_part(error)
    if escaping is not None:
        raise escaping from None
    log.error("a meter of kind %r failed", kind, exc_info=error)
