"""``wsframe run``: serve an application."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wsframe.cli.applications import load_app
from wsframe.cli.options import config_option, overrides_of, plugin_options, setting_options
from wsframe.cli.output import say_warning
from wsframe.config_origins import Rank, show
from wsframe.config_sources import ADD_UP

if TYPE_CHECKING:
    from wsframe.server.app import App


@click.command("run", short_help="Serve an application.")
@click.argument("target", required=False, metavar="[MODULE:ATTRIBUTE]")
@setting_options()
@config_option
@plugin_options
@click.option("--factory", is_flag=True, help="The attribute is a function that returns the app.")
@click.option("--reload", is_flag=True, help="Restart when a file changes; for development.")
@click.pass_context
def run_command(
    ctx: click.Context,
    /,
    target: str | None,
    file: Path | None,
    *,
    factory: bool,
    reload: bool,
    **options: Any,
) -> None:
    """Serve an application on wsframe's own server.

    MODULE:ATTRIBUTE names it: chat:app is the object app in chat.py. Without it, app is looked for
    in chat.py, app.py or main.py.

    \b
    Examples:
      wsframe run chat:app
      wsframe run chat:app --host 0.0.0.0 --port 8000 --log-format json
      wsframe run chat:create_app --factory --reload
      wsframe run chat:app --unix-socket /run/chat.sock
      wsframe run chat:app -p no:auth --set max_connections=100
    """  # noqa: D301 - click's marker for "do not rewrap"
    overrides = overrides_of(options)
    if reload:
        from wsframe.cli.reload import end_with_parent, is_child, run_with_reload

        if not is_child():
            ctx.exit(run_with_reload(sys.argv[1:], overrides, file))
        end_with_parent()
    if file is not None:
        # The application reads its configuration when it is made, which is when it is imported.
        os.environ["WSFRAME_CONFIG"] = str(file.absolute())
    serve(load_app(target, factory=factory), overrides, file)


def serve(
    app: App,
    overrides: dict[str, Any],
    file: Path | None,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Run ``app`` with what the command line says, until a signal ends it.

    Args:
        app: the application.
        overrides: settings of the command line, by dotted key.
        file: the configuration file that it names.
        announce: called with each address once the server accepts; None: it is printed.

    Raises:
        StartError: the configuration is wrong, or the server cannot start.
    """
    app.reconfigure(overrides, file=file)
    for key, values in app.given.items():
        unheard = [each for each in values[:-1] if each.origin.rank == Rank.COMMAND_LINE]
        if unheard and key not in ADD_UP:
            say_warning(
                f"{key} = {show(key, unheard[0].value)} on the command line does not count: "
                f"{values[-1].origin.where} says {show(key, values[-1].value)}"
            )
    from wsframe.server.lifecycle import print_address, run

    run(app, announce or print_address)
