"""What the commands say, and how: errors in one line, colours on a terminal only."""

from __future__ import annotations

import os

import click

from wsframe.errors import StartError
from wsframe.logs import escape
from wsframe.redaction import redact_text


def colour() -> bool | None:
    """For click: False where the user wants none (``NO_COLOR``), else None: on a terminal only."""
    return False if os.environ.get("NO_COLOR") else None


def say_error(error: StartError) -> None:
    """``wsframe: error: …`` on standard error, and below it what to do."""
    _say("error", "red", error.message)
    if error.hint:
        _say("hint", "cyan", error.hint)


def say_warning(message: str) -> None:
    """``wsframe: warning: …`` on standard error."""
    _say("warning", "yellow", message)


def say(message: str) -> None:
    """``wsframe: …`` on standard error, for what is neither a result nor a problem."""
    click.echo(f"{click.style('wsframe:', bold=True)} {_clean(message)}", err=True, color=colour())


def _say(kind: str, fg: str, message: str) -> None:
    head = f"{click.style('wsframe:', bold=True)} {click.style(f'{kind}:', fg=fg, bold=True)}"
    click.echo(f"{head} {_clean(message)}", err=True, color=colour())


def _clean(message: str) -> str:
    return escape(redact_text(message))
