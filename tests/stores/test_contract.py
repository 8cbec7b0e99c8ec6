"""Every store of wsframe keeps the contract."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wsframe.stores import MemoryStore, SqliteStore, Store
from wsframe.testing.store_contract import WINDOW_S, SharedStoreContract, StoreContract


class TestMemoryStore(SharedStoreContract):
    def make_store(self, place: Path) -> Store:
        first = self.__dict__.setdefault("first", MemoryStore(survives=True))
        return MemoryStore(survives=True, resume_window_s=WINDOW_S, beside=first)


class TestSqliteStore(StoreContract):
    @pytest.fixture(
        params=["asyncio", ("asyncio", {"use_uvloop": True}), "trio"],
        ids=["asyncio", "uvloop", "trio"],
    )
    def anyio_backend(self, request: pytest.FixtureRequest) -> Any:
        return request.param

    def make_store(self, place: Path) -> Store:
        return SqliteStore(place / "s.db", resume_window_s=WINDOW_S)


class TestSqliteStoreInTheSameThread(StoreContract):
    def make_store(self, place: Path) -> Store:
        return SqliteStore(
            place / "s.db", resume_window_s=WINDOW_S, durability="strict", threaded=False
        )
