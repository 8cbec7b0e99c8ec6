"""The command ``wsframe`` itself: finds the subcommand, and says errors in one line."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Final

import click

from wsframe.cli.output import colour, say_error
from wsframe.errors import StartError
from wsframe.version import __version__

_COMMANDS: Final = {
    "run": ("wsframe.cli.run:run_command", "Serve an application."),
    "demo": ("wsframe.cli.demo:demo_command", "Serve the demo chat and say where it is."),
    "plugins": ("wsframe.cli.plugins:plugins_command", "Show the plugins and what they do."),
    "install": ("wsframe.cli.install:install_command", "Install plugins beside wsframe."),
    "uninstall": ("wsframe.cli.install:uninstall_command", "Uninstall plugins."),
    "new-plugin": (
        "wsframe.cli.new_plugin:new_plugin_command",
        "Write a plugin package to start from.",
    ),
    "config": ("wsframe.cli.config:config_group", "Check, show and explain the configuration."),
}
"""Where each command is, and its line in the help: ``--help`` imports none of them."""

_EPILOG: Final = """\b
Examples:
  wsframe demo --open                    a chat to look at
  wsframe run chat:app --reload          the object app in chat.py, restarted on changes
  wsframe config default > wsframe.toml  every setting, explained
  wsframe new-plugin shout               a plugin package of your own

Plugins may add commands; 'wsframe plugins' shows which are installed."""


class RootGroup(click.Group):
    """A group whose commands are imported when they run; plugins add theirs to it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of wsframe's own commands, then those added so far."""
        return [*_COMMANDS, *sorted(super().list_commands(ctx))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; plugins are loaded only for a name that is not our own."""
        if cmd_name in _COMMANDS:
            module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return command
        if cmd_name not in self.commands:
            self._load_plugin_commands()
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with; a misspelt one gets a suggestion."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            if not near:
                raise
            message = f"No such command {args[0]!r}. Did you mean {near[0]!r}?"
            raise click.UsageError(message, ctx) from error

    def _load_plugin_commands(self) -> None:
        from wsframe.config_sources import load_config
        from wsframe.hooks.manager import HookManager

        manager = HookManager(load_config(), __version__)
        manager.discover()
        for problem in [*manager.problems, *manager.register_commands(self)]:
            say_error(problem)

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing them."""
        own = [(name, text) for name, (_, text) in _COMMANDS.items()]
        added = [(name, self.commands[name].get_short_help_str()) for name in sorted(self.commands)]
        with formatter.section("Commands"):
            formatter.write_dl(own + added)

    def main(  # type: ignore[override]  # click overloads it by standalone_mode
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> None:
        """Run, and exit: 0, the code of the error, or 130 after Ctrl-C. No traceback for users."""
        extra["standalone_mode"] = False
        try:
            result = super().main(args, prog_name, color=colour(), **extra)
            code = result if isinstance(result, int) else 0
        except StartError as error:
            say_error(error)
            code = error.exit_code
        except click.ClickException as error:
            say_error(_as_start_error(error))
            code = error.exit_code
        except (click.Abort, KeyboardInterrupt):
            code = 130
        sys.exit(code)


def _as_start_error(error: click.ClickException) -> StartError:
    hint = None
    if isinstance(error, click.UsageError) and error.ctx is not None:
        hint = f"'{error.ctx.command_path} --help' shows what there is."
    return StartError(error.format_message(), hint=hint)


@click.group(
    cls=RootGroup,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="wsframe %(version)s")
def cli() -> None:
    """Chat and agent applications over WebSocket: every message is answered exactly once."""
