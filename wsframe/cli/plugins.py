"""``wsframe plugins``: which plugins there are, what they do, and what is wrong with them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wsframe.cli.options import config_option, overrides_of, plugin_options
from wsframe.cli.output import colour
from wsframe.cli.plugin_rows import problem_lines, row_lines
from wsframe.config_sources import load_config
from wsframe.redaction import redact_text
from wsframe.version import __version__

if TYPE_CHECKING:
    from wsframe.errors import StartError
    from wsframe.hooks import HookManager
    from wsframe.hooks.records import PluginRecord


@click.command("plugins", short_help="Show the plugins and what they do.")
@click.option("--json", "as_json", is_flag=True, help="For machines.")
@config_option
@plugin_options
def plugins_command(file: Path | None, *, as_json: bool, **options: Any) -> None:
    """Show each installed plugin: state, version, hooks, settings, errors.

    Every plugin is loaded by itself, so that one that is broken does not hide the others. The exit
    code is 1 if the server would not start with them.

    \b
    Examples:
      wsframe plugins
      wsframe plugins --json
      wsframe plugins --plugins-dir ./plugins -p no:origin
    """  # noqa: D301 - click's marker for "do not rewrap"
    from wsframe.hooks import HookManager

    config = load_config(file=file, overrides=overrides_of(options))
    logging.getLogger("wsframe.hooks").addHandler(logging.NullHandler())
    manager = HookManager(config, __version__)
    records = manager.discover()
    if as_json:
        click.echo(json.dumps(_report(manager, records), indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(_lines(_report(manager, records))), color=colour())
    click.get_current_context().exit(1 if manager.problems else 0)


def _report(manager: HookManager, records: Sequence[PluginRecord]) -> dict[str, Any]:
    return {
        "wsframe": __version__,
        "plugins": [
            {
                "name": record.name,
                "state": record.state.value,
                "source": record.candidate.source,
                "distribution": record.candidate.distribution,
                "version": record.candidate.version,
                "origin": record.candidate.origin,
                "hooks": record.hooks,
                "config": record.shown_config,
                "error": _error(record.error) if record.error else None,
            }
            for record in records
        ],
        "hooks": dict(_order(manager)),
        "problems": [_error(problem) for problem in manager.problems],
    }


def _error(error: StartError) -> dict[str, str | None]:
    return {
        "message": redact_text(error.message),
        "hint": redact_text(error.hint) if error.hint else None,
    }


def _order(manager: HookManager) -> Iterator[tuple[str, list[str]]]:
    """Each implemented hook, and its plugins in the order they are called."""
    from wsframe.hooks import SPECS

    for hook in SPECS:
        plugins = [plugin for plugin, _ in getattr(manager.table, hook)]
        if plugins:
            yield hook, plugins


def _lines(report: dict[str, Any]) -> Iterator[str]:
    plugins, problems = report["plugins"], report["problems"]
    if not plugins:
        yield "No plugins. Install one, or name a folder of one-file plugins with --plugins-dir."
    width = max((len(plugin["name"]) for plugin in plugins), default=0)
    for plugin in plugins:
        yield from row_lines(plugin, width)
    shown = [plugin["error"] for plugin in plugins]
    for problem in problems:
        if problem not in shown:
            yield from problem_lines(problem, "")
    if report["hooks"]:
        yield ""
        yield "Order of the calls:"
        longest = max(map(len, report["hooks"]))
        for hook, callees in report["hooks"].items():
            yield f"  {hook:<{longest}}  {', '.join(callees)}"
    if problems:
        yield ""
        yield click.style("The server would not start.", fg="red", bold=True)
