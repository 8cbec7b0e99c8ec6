"""``wsframe demo``: serve the demo chat."""

from __future__ import annotations

import threading
import webbrowser
from typing import Any

import click

from wsframe.cli.options import overrides_of, plugin_options, setting_options
from wsframe.cli.output import colour
from wsframe.cli.run import serve


@click.command("demo", short_help="Serve the demo chat and say where it is.")
@setting_options("host", "port", "log_level", "debug")
@plugin_options
@click.option("--open", "opens_browser", is_flag=True, help="Open it in the browser.")
def demo_command(*, opens_browser: bool, **options: Any) -> None:
    """Serve a chat page to try wsframe with: echo, a streamed answer, an error, a room.

    \b
    Examples:
      wsframe demo --open
      wsframe demo --host 0.0.0.0 --port 8000
      wsframe demo -p no:auth
    """  # noqa: D301 - click's marker for "do not rewrap"
    from wsframe.demo import app

    def announce(address: str) -> None:
        page = page_of(address)
        click.echo(f"wsframe: the demo chat is at {click.style(page, bold=True)}", color=colour())
        click.echo("wsframe: Ctrl-C ends it")
        if opens_browser:
            # A browser may take its time to start; the server has a page to serve meanwhile.
            threading.Thread(target=webbrowser.open, args=(page,), daemon=True).start()

    serve(app, overrides_of(options), None, announce)


def page_of(address: str) -> str:
    """The URL of the page beside a WebSocket endpoint: ``ws://host:1/ws`` has ``http://host:1/``."""
    scheme, _, rest = address.partition("://")
    host = rest.partition("/")[0]
    host = host.replace("0.0.0.0:", "127.0.0.1:").replace("[::]:", "[::1]:")
    return f"{scheme.replace('ws', 'http', 1)}://{host}/"
