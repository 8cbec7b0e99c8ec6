"""``wsframe trace``: asks a running server what became of a message, and prints it."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any, Final

import click

from wsframe import App, PluginError, StartError

from ..config import is_loopback
from .endpoint import read_token
from .settings import AutopsySettings
from .text import as_text

TIMEOUT_S: Final = 10.0
MAX_ANSWER_BYTES: Final = 16_000_000


def trace_command(settings: AutopsySettings) -> click.Command:
    """The command, which takes path and token from ``[plugins.monitoring.autopsy]``."""

    @click.command("trace", short_help="Tell what became of a message.")
    @click.argument("message_id", metavar="ID")
    @click.option(
        "--url",
        metavar="URL",
        help="Where the server is; with a path, that of its endpoint. Default: this machine, as "
        "the configuration says.",
    )
    @click.option(
        "--token",
        metavar="TOKEN",
        help="The endpoint's token; - reads it from standard input. Default: for this machine, "
        "that of the configuration.",
    )
    @click.option("--session", metavar="ID", help="Only messages of this session.")
    @click.option("--json", "as_json", is_flag=True, help="Print what the server answers.")
    def trace(
        message_id: str, *, url: str | None, token: str | None, session: str | None, as_json: bool
    ) -> int:
        """Tell what became of the message ID: received, gates, handler, answer, connections.

        ID may also name a session or a connection; then its messages are listed.

        \b
        Examples:
          wsframe trace m-17
          wsframe trace m-17 --session sJ9… --url https://chat.example --json
        """  # noqa: D301 - click's marker for "do not rewrap"
        address = _address(_own_url() if url is None else url, settings.path)
        if token is None:
            token = _own_token(address, settings)
        elif token == "-":  # noqa: S105 - a sign
            token = sys.stdin.readline().strip()
        report = _ask(address, message_id, session, token)
        click.echo(json.dumps(report, indent=2) if as_json else as_text(report))
        return 1 if "why" in report else 0

    return trace


def _own_url() -> str:
    """Where a server of this configuration listens."""
    config = App().config
    if config.unix_socket is not None or not config.port:
        raise StartError("the configuration names no port to ask", hint="Say where: --url URL")
    scheme = "http" if config.tls_certificate_file is None else "https"
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{config.port}"


def _address(url: str, path: str) -> urllib.parse.SplitResult:
    parts = urllib.parse.urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    if scheme not in ("http", "https") or not parts.hostname:
        raise StartError(f"--url {url}: http://host:port or https://host is needed")
    if parts.path in ("", "/") or parts.scheme in ("ws", "wss"):
        parts = parts._replace(path=path or AutopsySettings().path)
    return parts._replace(scheme=scheme, query="", fragment="")


def _own_token(address: urllib.parse.SplitResult, settings: AutopsySettings) -> str | None:
    """The configured token, for a server on this machine: it is nobody else's business."""
    if not is_loopback(address.hostname or ""):
        return None
    try:
        return read_token(settings)
    except PluginError:
        return None


def _ask(
    address: urllib.parse.SplitResult, message_id: str, session: str | None, token: str | None
) -> dict[str, Any]:
    asked = {"id": message_id} if session is None else {"id": message_id, "session": session}
    where = address.geturl()
    request = urllib.request.Request(  # noqa: S310 - _address() has looked at the scheme
        address._replace(query=urllib.parse.urlencode(asked)).geturl(),
        headers={} if token is None else {"Authorization": f"Bearer {token}"},
    )
    try:
        with _opener().open(request, timeout=TIMEOUT_S) as response:
            return _report(response.read(MAX_ANSWER_BYTES), where)
    except urllib.error.HTTPError as error:
        with error:
            body = error.read(MAX_ANSWER_BYTES)
        if error.code == 404 and b'"why"' in body:
            return _report(body, where)
        raise _refusal(error.code, where) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise StartError(
            f"{where} cannot be asked: {reason}", hint="Does the server run? Say where: --url"
        ) from None


def _opener() -> urllib.request.OpenerDirector:
    """Goes where it is told: not through a proxy, and nowhere else with the token."""
    return urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def _report(body: bytes, where: str) -> dict[str, Any]:
    try:
        report = json.loads(body)
    except ValueError:
        report = None
    if not isinstance(report, dict) or "recording" not in report:
        raise StartError(f"{where} answers something else", hint="Is this the right --url?")
    return report


def _refusal(status: int, where: str) -> StartError:
    if status == 404:
        return StartError(
            f"nothing is recorded at {where}",
            hint="Install wsframe-monitoring there, and set one_in = 1 under "
            "[plugins.monitoring.autopsy].",
        )
    if status == 401:
        return StartError(f"{where} wants another token", hint="Pass --token TOKEN.")
    if status == 403:
        return StartError(
            f"{where} answers its own machine only",
            hint="Set token under [plugins.monitoring.autopsy] there, and pass --token TOKEN.",
        )
    return StartError(f"{where} answers {status}")
