"""A plugin that gives an application one store object, which outlives the application."""

from __future__ import annotations

from typing import Any

from wsframe import hookimpl
from wsframe.stores import Store

KEPT = "kept:"


class Keeping:
    """Makes the store ``kept:``."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @hookimpl
    def make_store(self, url: str) -> Any:
        return self._store if url == KEPT else None
