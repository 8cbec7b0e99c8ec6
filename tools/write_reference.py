"""Write the pages of the reference that are generated from the code.

    python -m tools.write_reference            write them
    python -m tools.write_reference --check    exit 1 if one of them is out of date

Each page has an introduction, from ``tools/reference/<page>.md``, and a part that is read
from the code.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

import wsframe
from tools.hooks_reference import hooks
from wsframe import stores
from wsframe.cli.config_reference import as_markdown
from wsframe.cli.root import cli
from wsframe.client import Client, ConnectError, RequestError, Stream
from wsframe.routing import Rooms
from wsframe.testing import faults
from wsframe.testing import plugins as plugin_testing

INTRODUCTIONS = Path(__file__).parent / "reference"
REFERENCE = Path(__file__).parent.parent / "docs" / "reference"

APP = (
    "handler", "add_handler", "handles", "use", "on", "emit", "measure", "http_route",
    "add_schemas", "watch_sessions", "send", "broadcast", "health", "metrics", "set_log_level",
    "enable_plugin", "disable_plugin", "run", "start", "stop", "lifespan",
)  # fmt: skip
CONNECTION = ("send", "join", "leave", "close")
CONNECTION_VALUES = ("session_id", "identity", "request", "metadata", "open", "rooms")
CLIENT = ("request", "stream", "send", "cancel", "messages", "statuses", "close")
CLIENT_VALUES = ("status", "session_id", "messages_dropped")
HANDLING = ("id", "message", "connection", "started_at", "parts", "outcome")
ROOMS = ("publish", "members", "open_to_clients")
FAULTS = {
    "Network": ("connect", "drop_all", "refuse", "time_out", "slow_down"),
    "Line": ("drop", "cut", "stall", "half_close", "ghost"),
    "Plan": (),
    "KillableServer": ("start", "kill", "stop", "restart"),
    "TcpProxy": ("cut_all", "cut_one"),
    "ServerProcess": ("ask_to_stop", "ended", "stop", "kill", "restart"),
    "Promise": ("witness", "check"),
    "Witness": ("sent", "part", "answered", "told", "given_up", "pushed", "expects", "gap"),
    "EventLog": ("tail",),
}
MADE_BY_OTHERS = {
    wsframe.Connection, wsframe.Handling, Stream, stores.Store, stores.SharedLimits, faults.Line,
    faults.Witness,
}  # fmt: skip
OBJECTS = {
    "KillableServer": "server",
    "ServerProcess": "process",
    "TcpProxy": "proxy",
    "EventLog": "network.log",
}


def configuration() -> Iterator[str]:
    """Every setting."""
    yield as_markdown()


def command_line() -> Iterator[str]:
    """The help of every command, as the command line prints it."""
    yield from _commands(cli, click.Context(cli, info_name="wsframe", terminal_width=90))


def _commands(command: click.Command, context: click.Context) -> Iterator[str]:
    yield f"## `{context.command_path}`\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield from _commands(
                inner, click.Context(inner, info_name=name, parent=context, terminal_width=90)
            )


def python_api() -> Iterator[str]:
    """The classes whose methods people call."""
    yield "## `App`\n"
    yield _class(wsframe.App)
    for name in APP:
        yield _function(f"app.{name}", getattr(wsframe.App, name))
    yield f"### `app.store`\n\n{_prose(inspect.getdoc(wsframe.App.store) or '')}\n"
    yield "## `app.rooms`\n"
    for name in ROOMS:
        yield _function(f"app.rooms.{name}", getattr(Rooms, name))
    yield "## `Connection`\n"
    yield _class(wsframe.Connection)
    for name in CONNECTION_VALUES:
        text = inspect.getdoc(getattr(wsframe.Connection, name))
        yield f"### `connection.{name}`\n\n{_prose(text or '')}\n"
    for name in CONNECTION:
        yield _function(f"connection.{name}", getattr(wsframe.Connection, name))
    for value in (wsframe.Message, wsframe.Reply, wsframe.Identity, wsframe.Outcome):
        yield f"## `{value.__name__}`\n"
        yield _class(value)
    yield "## `Request`\n"
    yield _class(wsframe.Request)
    for name in ("header", "headers_all"):
        yield _function(f"request.{name}", getattr(wsframe.Request, name))
    yield "## `Response`\n"
    yield _class(wsframe.Response)
    yield _function("Response.json", wsframe.Response.json)
    yield "## `SessionWatch`\n"
    yield _class(wsframe.SessionWatch)
    for name in _methods(wsframe.SessionWatch):
        yield _function(f"watch.{name}", getattr(wsframe.SessionWatch, name))
    yield "### `Handling`\n"
    yield _class(wsframe.Handling)
    yield "Its attributes: " + ", ".join(f"`{name}`" for name in HANDLING) + ".\n"
    yield "## `Background`\n"
    yield _class(wsframe.Background)
    for name in _methods(wsframe.Background):
        yield _function(f"background.{name}", getattr(wsframe.Background, name))
    yield _function("loop_clock", wsframe.loop_clock)
    yield "## `Client`\n"
    yield "From `wsframe.client`, as are `Stream`, `Status`, `RequestError` and `ConnectError`.\n"
    yield _class(Client)
    for name in CLIENT_VALUES:
        text = inspect.getdoc(getattr(Client, name))
        yield f"### `client.{name}`\n\n{_prose(text or '')}\n"
    for name in CLIENT:
        yield _function(f"client.{name}", getattr(Client, name))
    yield "## `Stream`\n"
    yield _class(Stream)
    yield _function("stream.aclose", Stream.aclose)
    for error in (RequestError, ConnectError):
        yield f"## `{error.__name__}`\n"
        yield _class(error)
    yield from _stores()
    yield from _plugin_testing()
    yield from _faults()


def _stores() -> Iterator[str]:
    """For those who write a store."""
    yield "## `Store`\n"
    yield (
        "From `wsframe.stores`, as is everything down to `make_store`: for [stores of your "
        "own](../how-to/write-a-store.md).\n"
    )
    yield _class(stores.Store)
    yield f"### `store.survives`\n\n{_prose(inspect.getdoc(stores.Store.survives) or '')}\n"
    for name in _methods(stores.Store):
        yield _function(f"store.{name}", getattr(stores.Store, name))
    for value in (stores.SessionOwner, stores.StoredSession, stores.StoredAnswer):
        yield f"### `{value.__name__}`\n"
        yield _class(value)
    yield "### `SharedLimits`\n"
    yield _class(stores.SharedLimits)
    yield _function("store.take", stores.SharedLimits.take).replace("### ", "#### ", 1)
    yield "### `TokenBucket`\n"
    yield _class(stores.TokenBucket)
    yield "### Changes\n"
    yield "What `commit` is given. Each `Change` has `session_id`, `epoch` and:\n"
    yield "| change | fields | |\n|---|---|---|"
    for change in stores.Change.__subclasses__():
        fields = [field.name for field in msgspec.structs.fields(change)]
        shown = ", ".join(f"`{name}`" for name in fields if name not in {"session_id", "epoch"})
        text = _prose(inspect.getdoc(change) or "").split("\n\n")[0].replace("\n", " ")
        yield f"| `{change.__name__}` | {shown} | {text} |"
    yield ""
    for value in (stores.MemoryStore, stores.SqliteStore):
        yield f"### `{value.__name__}`\n"
        yield _class(value)
    yield _function("make_store", stores.make_store)


def _plugin_testing() -> Iterator[str]:
    """For those who test a plugin."""
    yield "## `wsframe.testing.plugins`\n"
    yield (
        "How to use them is in [Write a plugin](../how-to/write-a-plugin.md#test-it), and step by "
        "step in [Your own plugin](../tutorials/your-own-plugin.md).\n"
    )
    yield _function("isolated_app", plugin_testing.isolated_app)
    yield "### `PluginContract`\n"
    yield _class(plugin_testing.PluginContract)
    for name in ("connect_options", "make_app"):
        shown = _function(f"contract.{name}", getattr(plugin_testing.PluginContract, name))
        yield shown.replace("### ", "#### ", 1)


def _faults() -> Iterator[str]:
    """For those who test under faults."""
    yield "## `wsframe.testing.faults`\n"
    yield (
        "How they work together is in [Test under faults](../how-to/test-under-faults.md). `CALM` "
        "and `ROUGH` are plans; `Way.TO_SERVER` and `Way.TO_CLIENT` are the directions; a "
        "`LineStream` is the client's end of a line, an `anyio.abc.ByteStream`.\n"
    )
    for name, methods in FAULTS.items():
        described = getattr(faults, name)
        yield f"### `{name}`\n"
        yield _class(described)
        for method in methods:
            shown = f"{OBJECTS.get(name, name.lower())}.{method}"
            yield _function(shown, getattr(described, method)).replace("### ", "#### ", 1)
    for function in (faults.repeatable, faults.free_port):
        yield _function(function.__name__, function)


def _methods(described: type) -> list[str]:
    return [
        name
        for name, value in vars(described).items()
        if inspect.isfunction(value) and not name.startswith("_")
    ]


def _class(described: type) -> str:
    signature = ""
    if "__init__" in vars(described) and described not in MADE_BY_OTHERS:
        signature = f"```text\n{described.__name__}{_signature(described.__init__)}\n```\n\n"
    return signature + _prose(inspect.getdoc(described) or "") + "\n"


def _function(name: str, function: Callable[..., Any]) -> str:
    inner = inspect.unwrap(function)
    colour = "await " if inspect.iscoroutinefunction(inner) else ""
    colour = "async with " if inspect.isasyncgenfunction(inner) else colour
    shown = f"{colour}{name}{_signature(inner)}"
    return f"### `{name}`\n\n```text\n{shown}\n```\n\n{_prose(inspect.getdoc(function) or '')}\n"


def _signature(function: Any) -> str:
    signature = inspect.signature(function)
    parameters = [
        parameter.replace(
            annotation=_shown(parameter.annotation),
            default=_default(parameter.default),
        )
        for name, parameter in signature.parameters.items()
        if name not in {"self", "cls"}
    ]
    result = _shown(signature.return_annotation)
    text = str(signature.replace(parameters=parameters, return_annotation=result))
    text = text.removesuffix(" -> None").removesuffix(" -> Any")
    if len(text) <= 80:
        return text
    inside, _, result = text[1:].rpartition(")")
    return "(\n    " + ",\n    ".join(re.split(r", (?![^\[]*\])", inside)) + f",\n){result}"


def _default(value: Any) -> Any:
    if value is faults.CALM:
        return _Shown("CALM")
    return _Shown("…") if repr(value) == "UNSET" else value


def _shown(annotation: Any) -> Any:
    return _Shown(annotation) if isinstance(annotation, str) else annotation


class _Shown:
    """Appears in a signature as it stands."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


def _prose(docstring: str) -> str:
    """A docstring as Markdown: sections become lists."""
    text = re.sub(r":\w+:`[~.]?(?:[\w.]*\.)?(\w+)`", r"`\1`", docstring).replace("``", "`")
    parts = re.split(r"\n(Args|Attributes|Returns|Raises):\n", "\n" + text)
    shown = parts[0].strip()
    for title, body in zip(parts[1::2], parts[2::2], strict=True):
        body, _, rest = inspect.cleandoc("\n" + body).partition("\n\n")
        if title == "Returns":
            shown += f"\n\nReturns: {' '.join(body.split())}"
        else:
            entries = re.split(r"\n(?=\S)", body)
            heading = {"Args": "Arguments", "Raises": "Raises", "Attributes": "Attributes"}[title]
            shown += f"\n\n{heading}:\n\n" + "\n".join(_entry(entry) for entry in entries)
        if rest.strip():
            shown += "\n\n" + rest.strip()
    return shown


def _entry(entry: str) -> str:
    names, _, text = entry.partition(":")
    quoted = ", ".join(f"`{name.strip()}`" for name in names.split(","))
    return f"- {quoted}: {' '.join(text.split())}"


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "configuration.md": configuration,
    "cli.md": command_line,
    "python-api.md": python_api,
    "hooks.md": hooks,
}


def main() -> int:
    """Write or compare; returns the exit code."""
    stale = []
    for name, generated in PAGES.items():
        introduction = (INTRODUCTIONS / name).read_text(encoding="utf-8")
        page = introduction + "\n" + "\n".join(generated()).rstrip() + "\n"
        page = re.sub(r"[ \t]+\n", "\n", page)
        target = REFERENCE / name
        if "--check" not in sys.argv[1:]:
            target.write_text(page, encoding="utf-8")
        elif not target.exists() or target.read_text(encoding="utf-8") != page:
            stale.append(name)
    if stale:
        print(f"out of date: {', '.join(stale)}")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
