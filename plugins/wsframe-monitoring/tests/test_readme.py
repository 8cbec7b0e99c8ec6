"""The README names everything that there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from wsframe_monitoring import Alert, AlertSettings, Config, Rule

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def test_every_setting_is_explained() -> None:
    names = {
        field.name
        for struct in (Config, AlertSettings, Rule, Alert)
        for field in msgspec.structs.fields(struct)
    }
    assert {name for name in names if f"`{name}`" not in README} == set()


async def test_every_metric_is_explained(wsframe_client: Any, watched: Any) -> None:
    app = watched()
    await wsframe_client(app)
    (plugin,) = app.plugins
    named = set()
    for family in plugin.registry.collect():
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        named.add(family.name.removeprefix("wsframe_") + suffix)
    assert len(named) > 30
    assert {name for name in named if f"`{name}`" not in README} == set()
