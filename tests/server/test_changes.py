"""What changes while an application runs: listeners come, plugins are enabled and disabled."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.server.harness import running
from wsframe import App, PluginError, hookimpl

pytestmark = pytest.mark.anyio


class Probe:
    """A plugin that notes what it is asked."""

    name = "probe"

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.starts = True
        self.start_s = 0.0

    @hookimpl
    def setup(self, app: App) -> None:
        self.calls.append("setup")

        @app.handler("greet")
        async def greet(message: Any, connection: Any) -> str:
            return "hello"

    @hookimpl
    async def started(self, app: App) -> None:
        self.calls.append("started")
        await anyio.sleep(self.start_s)
        if not self.starts:
            raise LookupError("no pool")

    @hookimpl
    async def stopping(self, app: App) -> None:
        self.calls.append("stopping")

    @hookimpl
    async def message_received(self, connection: Any, message: Any) -> None:
        self.calls.append(message.type)


class Witness:
    """A plugin that stays."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    @hookimpl
    async def started(self, app: App) -> None:
        self.calls.append("started")

    @hookimpl
    async def stopping(self, app: App) -> None:
        self.calls.append("stopping")


@pytest.fixture
def probe() -> Probe:
    return Probe()


def chat(*plugins: object) -> App:
    app = App(plugins=plugins)

    @app.handler("echo")
    async def echo(message: Any, connection: Any) -> Any:
        return message.content

    return app


@pytest.fixture
def only_witness(probe: Probe, tmp_path: Any) -> App:
    """An application whose plugin ``probe`` is disabled by its settings."""
    file = tmp_path / "wsframe.toml"
    file.write_text('[plugins]\ndisable = ["probe"]\n')
    return App(plugins=[probe, Witness()], config_file=file)


@pytest.mark.parametrize("decorated", [True, False])
async def test_who_begins_to_listen_after_the_start_is_told(decorated: bool) -> None:
    app = chat()
    heard = []

    def listen(event: str) -> None:
        def listener(message: Any, connection: Any) -> None:
            heard.append((event, message.type))

        if decorated:
            app.on(event)(listener)
        else:
            app.on(event, listener)

    async with running(app) as server:
        client = server.connect()
        await client.ask("echo")
        listen("message:received")
        listen("message:sent")
        await client.ask("echo")
    assert heard == [("message:received", "echo"), ("message:sent", "echo")]


async def test_a_plugin_that_is_enabled_is_started_first(probe: Probe) -> None:
    witness = Witness()
    app = chat(probe, witness)
    async with running(app) as server:
        await app.disable_plugin("probe")
        await app.disable_plugin("probe")
        probe.calls.clear()
        client = server.connect()
        await client.ask("echo")
        probe.start_s = 5
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(app.enable_plugin, "probe")
            await server.pass_time(1)
            await client.ask("echo")
            assert probe.calls == ["started"]
        await app.enable_plugin("probe")
        await client.ask("echo")
        assert probe.calls == ["started", "echo"]
        await app.disable_plugin("probe")
        await client.ask("echo")
        assert probe.calls == ["started", "echo", "stopping"]
        assert witness.calls == ["started"]


async def test_a_plugin_that_cannot_start_is_not_enabled(probe: Probe, only_witness: App) -> None:
    app = only_witness
    probe.starts = False
    async with running(app) as server:
        client = server.connect()
        with pytest.raises(PluginError, match="plugin 'probe': started failed with LookupError"):
            await app.enable_plugin("probe")
        assert probe.calls == ["setup", "started", "stopping"]
        assert await client.error("greet") == "unknown_type"
        probe.starts = True
        probe.calls.clear()
        await app.enable_plugin("probe")
        assert (await client.ask("greet"))["content"] == "hello"
        assert probe.calls == ["setup", "started", "greet"]


async def test_a_change_waits_for_the_one_before(probe: Probe, only_witness: App) -> None:
    probe.start_s = 5
    async with running(only_witness) as server:
        async with anyio.create_task_group() as task_group:
            task_group.start_soon(only_witness.enable_plugin, "probe")
            await server.quiet()
            task_group.start_soon(only_witness.disable_plugin, "probe")
        assert probe.calls == ["setup", "started", "stopping"]


async def test_who_stops_waiting_for_a_plugin_does_not_get_it(
    probe: Probe, only_witness: App
) -> None:
    probe.start_s = 5
    async with running(only_witness) as server:
        client = server.connect()
        with anyio.move_on_after(1):
            await only_witness.enable_plugin("probe")
        assert probe.calls == ["setup", "started", "stopping"]
        assert await client.error("greet") == "unknown_type"


async def test_nobody_is_enabled_who_is_not_there(only_witness: App) -> None:
    async with running(only_witness):
        with pytest.raises(KeyError):
            await only_witness.enable_plugin("nobody")
        with pytest.raises(KeyError):
            await only_witness.disable_plugin("nobody")
