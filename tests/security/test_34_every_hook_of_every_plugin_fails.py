"""Threat 34, shipped plugins: whichever of its hooks fails, no door opens and no message is lost.

The plugins are those that ``plugins/`` holds, the hooks those that they implement: one that is
added is tried here without a line. Each hook is replaced by one that raises, in a server that is
otherwise as it is installed, and a client goes through everything that a client can do.
"""

from __future__ import annotations

import asyncio
import importlib
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.security.token_scene import SECRET, hs_token
from wsframe import App, PluginError, RequestRefused, __version__, hookimpl
from wsframe.config import Config, PluginSettings
from wsframe.hooks import SPECS, HookManager
from wsframe.hooks.implementations import check_plugin
from wsframe.hooks.settings import build_plugin
from wsframe.testing import RequestError

ROOT = Path(__file__).parents[2]
HIDDEN = "internals-that-nobody-may-see"
ERRORS: dict[str, Callable[[], BaseException]] = {
    "exception": lambda: RuntimeError(HIDDEN),
    "group": lambda: BaseExceptionGroup(HIDDEN, [SystemExit(HIDDEN), ValueError(HIDDEN)]),
    "stray cancellation": lambda: asyncio.CancelledError(HIDDEN),
}
SETTINGS: dict[str, dict[str, Any]] = {
    "monitoring": {"access_log": ["connections", "messages"]},
    "auth": {"secret": SECRET, "algorithms": ["HS256"], "rooms": {"lobby": []}},
    "validation": {"folders": ["schemas"], "validate_outgoing": "error"},
}
"""Of plugins that do nothing, or do not start, without; a hook that stays away is said below."""
STARTING = [name for name, spec in SPECS.items() if spec.fails_start]
REFUSED_BY = {
    "echo": {"message_received", "message_sending"},
    "fail": {"message_received"},
    "join": {"room_joining"},
}
"""Which hooks keep a message from its answer."""
SEEN = [
    "stopping", "connection_opened", "connection_closed", "session_resumed", "session_expired",
    "message_sent", "message_handled", "error_raised",
]  # fmt: skip
"""Hooks of which everybody is told, whoever fails."""


def shipped() -> Iterator[tuple[str, str]]:
    """Name and ``module:attribute`` of each plugin in the source tree."""
    for project in sorted(ROOT.glob("plugins/*/pyproject.toml")):
        entry_points = tomllib.loads(project.read_text("utf-8"))["project"]["entry-points"]
        yield from entry_points["wsframe.plugins"].items()


def imported(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def hooks() -> Iterator[Any]:
    """Each hook of each plugin that is installed here."""
    for name, target in shipped():
        try:
            plugin = imported(target)
        except ImportError as error:
            reason = pytest.mark.skip(reason=f"{name} is not installed: {error}")
            yield pytest.param(name, target, "", marks=reason, id=name)
            continue
        for hook in SPECS:
            if hasattr(getattr(plugin, hook, None), "wsframe_impl"):
                yield pytest.param(name, target, hook, id=f"{name}-{hook}")


class Witness:
    """Another plugin, which is told what the hooks of everybody are told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, tuple[Any, ...]]] = []

    def of(self, hook: str) -> list[tuple[Any, ...]]:
        return [arguments for name, arguments in self.seen if name == hook]


def _implementation(hook: str, arguments: tuple[str, ...], body: str) -> Any:
    """A function with the colour of a hook, and with these of its arguments."""
    colour = "async " if SPECS[hook].is_async else ""
    scope: dict[str, Any] = {}
    given = ", ".join(arguments)
    code = body.format(hook=hook, arguments=f"{given}," if given else "")
    exec(f"{colour}def {hook}({', '.join(('self', *arguments))}):\n    {code}\n", scope)
    return scope[hook], scope


for _hook in SEEN:
    _made, _ = _implementation(
        _hook, SPECS[_hook].parameters, "self.seen.append(({hook!r}, ({arguments})))"
    )
    setattr(Witness, _hook, hookimpl(_made))


class Broken:
    """One hook of a plugin, which raises instead of doing its work."""

    def __init__(self, name: str, hook: str, made: Any, error: Callable[[], BaseException]) -> None:
        self.raised = 0
        found = {each.spec.name: each for each in check_plugin(name, made)}
        assert hook in found, f"{name} has {hook} with other SETTINGS only"
        self._error = error
        function, scope = _implementation(hook, found[hook].arguments, "broken.fail()")
        scope["broken"] = self
        options = getattr(type(made), hook).wsframe_impl
        self.function = hookimpl(**{k: v for k, v in options.items() if v})(function)

    def fail(self) -> None:
        self.raised += 1
        raise self._error()


class Scene:
    """An application with a plugin of which one hook fails."""

    def __init__(
        self,
        name: str,
        target: str,
        hook: str,
        error: Callable[[], BaseException],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        kind = imported(target)
        plugin = _made_plugin(name, kind)
        self.hook = hook
        self.broken = Broken(name, hook, plugin, error)
        monkeypatch.setattr(kind, hook, self.broken.function)
        self.witness = Witness()
        self.app = App(plugins=[_made_plugin(name, kind), self.witness])
        self.app.rooms.open_to_clients("lobby")
        self.handled: list[str] = []
        self.token = hs_token()

        @self.app.handler("echo")
        async def echo(message: Any, connection: Any) -> Any:
            self.handled.append("echo")
            return message.content

        @self.app.handler("fail")
        async def fail(message: Any, connection: Any) -> Any:
            self.handled.append("fail")
            raise RuntimeError(HIDDEN)


def _made_plugin(name: str, kind: Any) -> Any:
    settings = SETTINGS.get(name, {})
    if name == "otel":  # without a provider it has no hooks, and the global one is for ever
        from opentelemetry.sdk.trace import TracerProvider

        return kind(kind.Config(**settings), tracer_provider=TracerProvider())
    plugin, _ = build_plugin(name, kind, settings)
    return plugin


@pytest.fixture(autouse=True)
def schemas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with schemas, for those that want some."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "schemas"
    (folder / "outgoing").mkdir(parents=True)
    for name in ("echo", "outgoing/echo"):
        (folder / f"{name}.schema.json").write_text('{"type": "object"}')


async def ask(client: Any, message_type: str, content: Any) -> str:
    """The code of the error that a message is answered with, or ``answered``."""
    try:
        await client.request(message_type, content)
    except RequestError as error:
        return HIDDEN if HIDDEN in str(error) else error.code
    return "answered"


async def converse(scene: Scene, connect: Any) -> None:
    """Everything that a client can do, by a client that comes back once."""
    hook = scene.hook
    client = await connect(scene.app, token=scene.token, init=False)
    opened = await ask(client, "init", {})
    if hook == "session_opening":
        assert opened == "internal"
        assert (await client.wait_closed())[0] == 4401
        return
    assert opened == "answered"
    await client.close()
    client = await connect(scene.app, token=scene.token)
    for message_type, refused_by in REFUSED_BY.items():
        code = await ask(client, message_type, {"room": "lobby"})
        if hook in refused_by:
            assert code == "internal"
        else:
            assert code == ("handler_failed" if message_type == "fail" else "answered")
    if hook == "message_received":
        assert scene.handled == []  # the door stayed shut
    if hook == "room_joining":
        assert scene.app.rooms.members("lobby") == []
    resume = {"sessionId": client.session_id, "secret": client.secret, "seq": client.seq}
    await client.drop()
    back = await connect(scene.app, token=scene.token, init_content={"resume": resume})
    assert back.init.content["resumed"]
    assert [message for message in (*client.messages, *back.messages) if message.reply_to] == []
    await back.close()


def check_witness(scene: Scene) -> None:
    """The hooks of another plugin ran, and each message had exactly one final answer."""
    witness = scene.witness
    assert len(witness.of("connection_closed")) == len(witness.of("connection_opened")) > 0
    assert len(witness.of("stopping")) == 1
    if scene.hook == "session_opening":
        return
    handled = [message.type for _, message, _, _ in witness.of("message_handled")]
    assert handled.count("echo") == handled.count("fail") == 1
    # What a gate refuses is no error of a handler, and what a handler raised is told everybody.
    assert bool(witness.of("error_raised")) is ("fail" in scene.handled)
    for hook in ("session_resumed", "session_expired", "message_sent"):
        assert witness.of(hook), hook


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(("name", "target", "hook"), list(hooks()))
async def test_34_whichever_hook_fails_no_door_opens_and_no_message_is_lost(
    wsframe_client: Any,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    target: str,
    hook: str,
    error: str,
) -> None:
    scene = Scene(name, target, hook, ERRORS[error], monkeypatch)
    if hook == "register_commands":
        check_commands(name, target)
    elif hook in STARTING:
        with pytest.raises(PluginError, match=name):
            await wsframe_client(scene.app, token=scene.token)
        assert scene.app.runtime is None
    elif hook in ("connection_opening", "authenticate"):
        with pytest.raises(RequestRefused) as refused:
            await wsframe_client(scene.app, token=scene.token)
        assert (refused.value.status, refused.value.code) == (500, "internal")
        assert HIDDEN not in str(refused.value)
        assert scene.witness.of("connection_opened") == []
    else:
        await converse(scene, wsframe_client)
        with anyio.fail_after(30):
            await wsframe_client.aclose()
        check_witness(scene)
    assert scene.broken.raised > 0, f"nothing here calls {hook} of {name}"


def check_commands(name: str, target: str) -> None:
    """A plugin's commands are missing, and the command line says why."""
    plugin = _made_plugin(name, imported(target))
    settings = PluginSettings(disable=tuple(other for other, _ in shipped() if other != name))
    manager = HookManager(Config(plugins=settings), __version__, [plugin])
    manager.load()
    (problem,) = manager.register_commands(object())
    assert isinstance(problem, PluginError)


def test_34_every_plugin_of_the_source_tree_is_tried() -> None:
    names = {name for name, _ in shipped()}
    assert {"auth", "origin", "validation"} <= names
    assert {param.values[0] for param in hooks()} == names  # type: ignore[union-attr]
