"""From the setting to the store."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsframe.config import Config
from wsframe.errors import StoreError
from wsframe.stores import MemoryStore, SqliteStore, make_store


def test_memory_does_not_survive() -> None:
    store = make_store("memory:", Config())
    assert isinstance(store, MemoryStore)
    assert not store.survives


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///chat.db", "chat.db"),
        ("sqlite:///data/chat.db", "data/chat.db"),
        ("sqlite:////var/lib/chat.db", "/var/lib/chat.db"),
        ("sqlite:///über uns%20.db", "über uns%20.db"),
    ],
)
def test_a_path_follows_three_slashes(url: str, path: str) -> None:
    store = make_store(url, Config())
    assert isinstance(store, SqliteStore)
    assert store.path == Path(path)
    assert store.survives


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("sqlite:", "names no file"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite://:memory:", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:chat.db", "must begin with three slashes"),
        ("sqlite://chat.db", "must begin with three slashes"),
        ("sqlite:///chat.db?mode=ro", r"may not hold \? or #"),
        ("memory:x", "memory: takes nothing else"),
    ],
)
def test_a_url_that_makes_no_sense_is_refused_with_a_hint(url: str, words: str) -> None:
    with pytest.raises(StoreError, match=words) as raised:
        make_store(url, Config())
    assert raised.value.hint


@pytest.mark.parametrize("url", ["redis://127.0.0.1/0", "", "chat.db", "memory", ":memory:"])
def test_other_schemes_are_left_to_plugins(url: str) -> None:
    assert make_store(url, Config()) is None
