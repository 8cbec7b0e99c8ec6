"""One plugin of ``wsframe plugins --json`` for people to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import click

from wsframe.config_origins import show
from wsframe.logs import escape
from wsframe.redaction import redact_text

_COLOURS: Final = {"active": "green", "disabled": "yellow", "broken": "red"}


def row_lines(plugin: Mapping[str, Any], width: int) -> Iterator[str]:
    """Name, state and version; below them hooks, settings and what is wrong.

    Args:
        plugin: an entry of ``plugins`` in the report.
        width: of the column with the names.
    """
    state = click.style(f"{plugin['state']:<8}", fg=_COLOURS[plugin["state"]], bold=True)
    described = plugin["origin"]
    if plugin["distribution"] is not None:
        described = f"{plugin['distribution']} {plugin['version']}"
    yield f"{plugin['name']:<{width}}  {state}  {escape(described)}"
    indent = " " * (width + 12)
    if plugin["hooks"]:
        yield f"{indent}hooks   {', '.join(plugin['hooks'])}"
    for key, value in (plugin["config"] or {}).items():
        yield f"{indent}config  {key} = {escape(show(key, value))}"
    if plugin["error"]:
        yield from problem_lines(plugin["error"], indent)


def problem_lines(error: Mapping[str, str | None], indent: str) -> Iterator[str]:
    """What is wrong, and what to do about it."""
    yield indent + click.style("error   ", fg="red") + escape(redact_text(error["message"] or ""))
    if error["hint"]:
        yield indent + click.style("hint    ", fg="cyan") + escape(redact_text(error["hint"]))
