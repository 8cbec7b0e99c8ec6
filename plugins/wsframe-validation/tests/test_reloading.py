"""Changed schema files are taken up; broken ones leave the old ones in force."""

from __future__ import annotations

import json
import logging
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from wsframe_validation import ValidationPlugin, reloading
from wsframe_validation.files import stamp
from wsframe_validation.reloading import Watcher

from wsframe import App

from .conftest import Write


def touched(folder: Path, schema: Any) -> None:
    """Write another schema, visibly later than the one before."""
    path, new = folder / "text.schema.json", folder / "new.json"
    later = path.stat().st_mtime_ns + 1_000_000_000
    new.write_text(json.dumps(schema))
    os.utime(new, ns=(later, later))
    new.replace(path)


def test_a_change_is_told_once_and_only_when_it_has_settled(write: Write) -> None:
    folder = write("text", {})
    told: list[int] = []
    watcher = Watcher([folder], lambda: told.append(1), stamp([folder]))
    watcher.look()
    assert told == []
    touched(folder, {"type": "null"})
    watcher.look()
    touched(folder, {"type": "object"})
    watcher.look()
    assert told == []
    watcher.look()
    watcher.look()
    assert told == [1]
    (folder / "text.schema.json").unlink()
    watcher.look()
    watcher.look()
    assert told == [1, 1]


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set after a watcher has taken up, or refused, a change."""
    monkeypatch.setattr(reloading, "INTERVAL_S", 0.001)
    done = threading.Event()
    reload = ValidationPlugin._reload

    def reloaded(self: ValidationPlugin, folders: list[Path]) -> None:
        reload(self, folders)
        done.set()

    monkeypatch.setattr(ValidationPlugin, "_reload", reloaded)
    return done


async def test_a_running_server_takes_up_a_change_and_keeps_the_old_one_over_a_broken_one(
    write: Write, looks: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write("text", {"type": "integer"})
    plugin = ValidationPlugin(ValidationPlugin.Config(folders=(str(folder),), reload=True))
    app = App(plugins=[plugin])
    before = set(threading.enumerate())
    await plugin.started(app)
    try:
        touched(folder, {"type": "string"})
        assert looks.wait(30)
        looks.clear()
        assert plugin._rules is not None
        assert plugin._rules.incoming["text"].schema.is_valid("now text")
        with caplog.at_level(logging.ERROR):
            touched(folder, {"type": "strin"})
            assert looks.wait(30)
        assert "the old schemas stay in force" in caplog.text
        assert "#/type" in caplog.text
        assert plugin._rules.incoming["text"].schema.is_valid("still text")
    finally:
        await plugin.stopping()
    assert set(threading.enumerate()) <= before


async def test_a_failure_while_reloading_keeps_the_old_ones(
    write: Write, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = write("text", {"type": "integer"})
    plugin = ValidationPlugin(ValidationPlugin.Config(folders=(str(folder),)))
    await plugin.started(App(plugins=[plugin]))
    old = plugin._rules

    def fail(*_: Any) -> Any:
        raise OSError("the disk is gone")

    monkeypatch.setattr("wsframe_validation.rules.load_rules", fail)
    plugin._reload([folder])
    assert plugin._rules is old
    assert "the disk is gone" in caplog.text


@pytest.mark.parametrize(
    ("setting", "under_reload", "watches"),
    [(None, False, False), (None, True, True), (False, True, False), (True, False, True)],
)
async def test_files_are_watched_where_that_is_wanted(
    setting: bool | None, under_reload: bool, watches: bool,
    write: Write, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.delenv("WSFRAME_RELOAD_PIPE", raising=False)
    folder = write("text", {})
    config = ValidationPlugin.Config(folders=(str(folder),), reload=setting)
    plugin = ValidationPlugin(config)
    app = App(plugins=[plugin])
    if under_reload:
        monkeypatch.setenv("WSFRAME_RELOAD_PIPE", "0")
    await plugin.started(app)
    assert (plugin._watcher is not None) is watches
    await plugin.stopping()
    await plugin.stopping()
