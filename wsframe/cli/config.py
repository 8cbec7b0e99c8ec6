"""``wsframe config``: is it right, who decided what, and what is there to decide."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wsframe.cli.options import config_option, overrides_of, plugin_options
from wsframe.cli.output import say_error
from wsframe.config_fields import settings
from wsframe.config_origins import show
from wsframe.config_sources import ADD_UP, ResolvedConfig, resolve_config
from wsframe.errors import ConfigError, StartError
from wsframe.redaction import redact_value

if TYPE_CHECKING:
    from wsframe.config import Config

_json_option = click.option("--json", "as_json", is_flag=True, help="For machines.")
_target_argument = click.argument("target", required=False, metavar="[MODULE:ATTRIBUTE]")


@click.group("config", short_help="Check, show and explain the configuration.")
def config_group() -> None:
    """Check, show and explain the configuration.

    It comes from wsframe.toml, or [tool.wsframe] in pyproject.toml; then from environment variables
    WSFRAME_*; then from the command line; then from the keyword arguments of App(...). What comes
    later wins.
    """


@config_group.command("check")
@_target_argument
@config_option
@plugin_options
@_json_option
@click.pass_context
def check_command(
    ctx: click.Context, /, target: str | None, file: Path | None, *, as_json: bool, **options: Any
) -> None:
    """Find what is wrong before a server does: settings, TLS files, log file, plugins.

    With MODULE:ATTRIBUTE, the keyword arguments of that application count too. Exit code 0: all is
    right; otherwise that of the first problem.

    \b
    Examples:
      wsframe config check
      wsframe config check chat:app --config production.toml
    """  # noqa: D301 - click's marker for "do not rewrap"
    problems: list[StartError] = []
    given = 0
    try:
        resolved, plugins = _resolve(target, file, overrides_of(options))
        given = len(resolved.given)
        problems += _check_surroundings(resolved.config, plugins)
    except ConfigError as error:
        problems += [error, *error.others]
    except StartError as error:
        problems.append(error)
    if as_json:
        found = [{"message": each.message, "hint": each.hint} for each in problems]
        click.echo(json.dumps({"ok": not problems, "given": given, "problems": found}, indent=2))
    for problem in problems:
        if not as_json:
            say_error(problem)
    if problems:
        ctx.exit(problems[0].exit_code)
    if not as_json:
        click.echo(f"{click.style('ok', fg='green')}: {given} settings given, all right")


def _resolve(
    target: str | None, file: Path | None, overrides: dict[str, Any]
) -> tuple[ResolvedConfig, Sequence[object]]:
    """The settings, and the plugins that the application brings itself."""
    if target is None:
        return resolve_config(file=file, overrides=overrides), ()
    from wsframe.cli.applications import load_app

    app = load_app(target)
    app.reconfigure(overrides, file=file)
    return ResolvedConfig(app.config, app.given), app.plugins


def _check_surroundings(config: Config, brought: Sequence[object]) -> list[StartError]:
    """What the configuration names must be there: certificate, folder of the log file, plugins."""
    from wsframe.hooks.manager import HookManager
    from wsframe.logs import check_log_file
    from wsframe.server.listening import make_tls
    from wsframe.version import __version__

    problems = []
    for check in (make_tls, check_log_file):
        try:
            check(config)
        except StartError as error:
            problems.append(error)
    plugins = HookManager(config, __version__, brought)
    plugins.discover()
    return [*problems, *plugins.problems]


@config_group.command("show")
@_target_argument
@config_option
@plugin_options
@_json_option
def show_command(target: str | None, file: Path | None, *, as_json: bool, **options: Any) -> None:
    """Print every setting, its value, and who gave it. Secrets are not shown.

    \b
    Examples:
      wsframe config show
      wsframe config show chat:app --json
    """  # noqa: D301 - click's marker for "do not rewrap"
    resolved, _ = _resolve(target, file, overrides_of(options))
    rows = list(_rows(resolved))
    if as_json:
        shown = {
            key: {"value": redact_value(key.rpartition(".")[2], value), "origin": origin}
            for key, value, origin in rows
        }
        click.echo(json.dumps(shown, indent=2))
        return
    width = max(len(key) for key, _, _ in rows)
    values = [show(key, value) for key, value, _ in rows]
    value_width = min(40, max(len(value) for value in values))
    for (key, _, origin), value in zip(rows, values, strict=True):
        line = f"{key:<{width}}  {value:<{value_width}}  {origin}".rstrip()
        click.echo(click.style(line, dim=True) if origin == "default" else line)


def _rows(resolved: ResolvedConfig) -> list[tuple[str, Any, str]]:
    rows = []
    for key in settings():
        table, _, name = key.rpartition(".")
        holder = resolved.config.plugins if table else resolved.config
        rows.append((key, getattr(holder, name), _origin(resolved, key)))
    for plugin, values in resolved.config.plugins.settings.items():
        for name, value in values.items():
            key = f"plugins.{plugin}.{name}"
            rows.append((key, value, _origin(resolved, key)))
    return rows


def _origin(resolved: ResolvedConfig, key: str) -> str:
    if key not in resolved.given:
        return "default"
    *weaker, strongest = [given.origin.where for given in resolved.given[key]]
    if key in ADD_UP:
        return " and ".join([*weaker, strongest])
    return strongest + (f" (not {', '.join(weaker)})" if weaker else "")


@config_group.command("default")
@_json_option
@click.option("--markdown", is_flag=True, help="As the tables of the reference page.")
def default_command(*, as_json: bool, markdown: bool) -> None:
    """Print every setting with its default, range and meaning, as a wsframe.toml to start from.

    \b
    Examples:
      wsframe config default > wsframe.toml
      wsframe config default --json
    """  # noqa: D301 - click's marker for "do not rewrap"
    from wsframe.cli.config_reference import as_markdown, as_toml

    if as_json:
        defaults = {key: setting.default for key, setting in settings().items()}
        click.echo(json.dumps(defaults, indent=2))
    else:
        click.echo(as_markdown() if markdown else as_toml(), nl=False)
