"""Plugins for the tests: really installed distributions, and tables made by hand."""

from __future__ import annotations

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from wsframe.config import Config, PluginSettings
from wsframe.hooks import HookManager
from wsframe.hooks.discovery import installed_plugins

HERE = tuple(each.name for each in installed_plugins())
"""The plugins of this environment; the tests of the manager leave them out."""

Install = Callable[..., None]
Manage = Callable[..., HookManager]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Put a distribution with one plugin on Python's path, as pip would."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))
    modules: list[str] = []

    def put(
        name: str,
        source: str,
        *,
        attribute: str = "Plugin",
        version: str = "1.2.3",
        requires: Sequence[str] = (),
        distribution: str | None = None,
    ) -> None:
        distribution = distribution or f"wsframe-{name}"
        module = distribution.replace("-", "_")
        modules.append(module)
        (site / f"{module}.py").write_text(
            f"import msgspec\nfrom wsframe import *\n{textwrap.dedent(source)}", encoding="utf-8"
        )
        metadata = site / f"{module}-{version}.dist-info"
        metadata.mkdir()
        lines = [f"Name: {distribution}", f"Version: {version}"]
        lines += [f"Requires-Dist: {line}" for line in requires]
        (metadata / "METADATA").write_text("\n".join(["Metadata-Version: 2.1", *lines, ""]))
        target = f"{module}:{attribute}" if attribute else module
        (metadata / "entry_points.txt").write_text(f"[wsframe.plugins]\n{name} = {target}\n")
        importlib.invalidate_caches()

    yield put
    for module in modules:
        sys.modules.pop(module, None)


@pytest.fixture
def manage() -> Manage:
    """Make a manager for a configuration; the plugins of this environment stay out of it."""

    def make(
        *plugins: object,
        disable: Sequence[str] = (),
        only: Sequence[str] | None = None,
        dirs: Sequence[Path] = (),
        environ: dict[str, str] | None = None,
        **settings: dict[str, Any],
    ) -> HookManager:
        config = Config(
            plugins=PluginSettings(
                disable=(*HERE, *disable),
                only=None if only is None else tuple(only),
                dirs=tuple(str(folder) for folder in dirs),
                settings=settings,
            )
        )
        return HookManager(config, "0.1.0", plugins, environ or {})

    return make
