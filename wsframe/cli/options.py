"""The options that several commands share, and how they become settings.

Their values stay texts: :mod:`wsframe.config_sources` checks them as it checks every other source,
so that a wrong port reads the same wherever it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from wsframe.config_fields import Text

Command = TypeVar("Command", bound=Callable[..., Any])

_SETTINGS: Final = (
    # option, setting, metavar, help
    (("--host",), "host", "ADDRESS", "Address to listen on; 0.0.0.0 for every interface."),
    (("--port",), "port", "PORT", "TCP port; 0 takes a free one."),
    (("--unix-socket",), "unix_socket", "PATH", "Listen on a Unix socket instead."),
    (("--path",), "path", "PATH", "URL path of the WebSocket endpoint."),
    (("--transport",), "transport", "[asyncio|anyio]", "How sockets are read and written."),
    (("--backend",), "backend", "[auto|asyncio|uvloop|trio]", "The event loop."),
    (
        ("--tls-certificate", "--tls-cert"),
        "tls_certificate_file",
        "FILE",
        "PEM file with the certificate chain; the server then speaks TLS.",
    ),
    (("--tls-key",), "tls_key_file", "FILE", "PEM file with the private key."),
    (("--log-level",), "log_level", "[debug|info|warning|error|critical]", "Least severity."),
    (("--log-format",), "log_format", "[text|json]", "For people or for machines."),
    (("--log-file",), "log_file", "FILE", "Log there too; rotated."),
    (
        ("--debug",),
        "debug",
        "SUBJECTS",
        "Trace protocol, messages, hooks, server (with commas), or * for all.",
    ),
)


def config_option(command: Command) -> Command:
    """``--config FILE``."""
    return click.option(
        "--config",
        "file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Read this file, not wsframe.toml or pyproject.toml.",
    )(command)


def setting_options(*wanted: str) -> Callable[[Command], Command]:
    """Options for these settings, for all that have one when none is named.

    The command gets each as a keyword argument named like the setting; see :func:`overrides_of`.
    """

    def decorate(command: Command) -> Command:
        for names, setting, metavar, text in reversed(_SETTINGS):
            if not wanted or setting in wanted:
                command = click.option(*names, setting, metavar=metavar, help=text)(command)
        return command

    return decorate


def plugin_options(command: Command) -> Command:
    """``--plugins-dir DIR``, ``-p no:NAME`` and ``--set KEY=VALUE``, each any number of times."""
    for option in (
        click.option(
            "--set", "set_", multiple=True, metavar="KEY=VALUE", help="Any other setting."
        ),
        click.option(
            "-p", "switches", multiple=True, metavar="no:NAME", help="Leave this plugin out."
        ),
        click.option(
            "--plugins-dir", multiple=True, metavar="DIR", help="Each *.py file there is a plugin."
        ),
    ):
        command = option(command)
    return command


def overrides_of(options: Mapping[str, Any]) -> dict[str, Any]:
    """What the command line says, by dotted key, for :func:`~wsframe.config_sources.load_config`.

    Raises:
        click.UsageError: ``-p`` without ``no:``, or ``--set`` without ``=``.
    """
    overrides: dict[str, Any] = {}
    for key, value in options.items():
        if isinstance(value, str):
            overrides[key] = Text(value)
    for assignment in options.get("set_", ()):
        key, equals, value = assignment.partition("=")
        if not equals:
            raise click.UsageError(f"--set {assignment}: KEY=VALUE is needed")
        overrides[key.strip()] = Text(value.strip())
    disabled = []
    for switch in options.get("switches", ()):
        if not switch.startswith("no:") or switch == "no:":
            raise click.UsageError(f"-p {switch}: write -p no:NAME to leave a plugin out")
        disabled.append(switch.removeprefix("no:"))
    if disabled:
        overrides["plugins.disable"] = disabled
    if options.get("plugins_dir"):
        overrides["plugins.dirs"] = list(options["plugins_dir"])
    return overrides
