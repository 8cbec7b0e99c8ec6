"""Applications that are recorded, and a session without one."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from wsframe_monitoring import Config, MonitoringPlugin
from wsframe_monitoring.autopsy.records import Conversation
from wsframe_monitoring.autopsy.ring import Ring
from wsframe_monitoring.autopsy.settings import AutopsySettings
from wsframe_monitoring.autopsy.story import Clock, tell

from wsframe import App, Identity, Message, Outcome
from wsframe.testing import virtual_time


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, Any]]:
    return request.param, virtual_time(request.param)


class Recorded:
    """A session whose events a test makes up, by a clock that it moves."""

    def __init__(self, *, begun: bool = True, **limits: int) -> None:
        self.ring = Ring(**{"max_messages": 1_000, "max_bytes": 1_000_000, **limits})
        self.now = 100.0
        self.conversations: dict[str, Conversation] = {}
        if begun:
            self.accept("i", "init")

    def conversation(self, session_id: str = "s1") -> Conversation:
        if session_id not in self.conversations:
            session = SimpleNamespace(id=session_id, identity=Identity(subject="ann"))
            conversation = Conversation(session, self.ring, lambda: self.now)
            self.conversations[session_id] = conversation
        return self.conversations[session_id]

    def after(self, seconds: float) -> Conversation:
        self.now += seconds
        return self.conversation()

    def accept(
        self, message_id: str, message_type: str = "ask", session_id: str = "s1", **more: Any
    ) -> Any:
        handling = SimpleNamespace(
            id=message_id,
            message=Message(type=message_type, content={"text": "a secret"}),
            connection=SimpleNamespace(id="c1"),
            started_at=self.now,
            parts=0,
            outcome=None,
        )
        vars(handling).update(more)
        self.conversation(session_id).accepted(handling)
        return handling

    def answer(
        self,
        handling: Any,
        number: int,
        *,
        written: bool = True,
        outcome: Outcome = Outcome.REPLIED,
    ) -> None:
        handling.outcome = outcome
        conversation = self.conversation()
        conversation.answered(handling.id, number, 120)
        if written:
            conversation.written(number)

    def told(self, message_id: str) -> dict[str, Any]:
        record = self.ring.find(message_id)[-1]
        return tell(record, Clock(self.now, 1_000_000.0, resume_window_s=60.0))

    def steps(self, message_id: str) -> list[str]:
        return [f"+{step['atS']:g} {step['text']}" for step in self.told(message_id)["steps"]]

    def verdict(self, message_id: str) -> str:
        return str(self.told(message_id)["verdict"])

    def state(self, message_id: str) -> str:
        return str(self.told(message_id)["state"])


@pytest.fixture
def recorded() -> Callable[..., Recorded]:
    return Recorded


@pytest.fixture
def make_app() -> Callable[..., App]:
    """``make_app(one_in=1)``: an application with that autopsy and no other plugin."""

    def make(*plugins: object, settings: dict[str, Any] | None = None, **autopsy: Any) -> App:
        monitoring = MonitoringPlugin(Config(autopsy=AutopsySettings(**{"one_in": 1, **autopsy})))
        app = App(plugins=[monitoring, *plugins], **(settings or {}))
        app.reconfigure({"plugins.disable": ["origin", "validation"]})
        app.autopsy = monitoring.autopsy  # type: ignore[attr-defined]  # for the tests

        @app.handler("ask")
        async def ask(message: Message[Any], connection: Any) -> Any:
            await anyio.sleep(message.content.get("seconds", 0))
            return {"text": "hello"}

        @app.handler("count")
        async def count(message: Message[Any], connection: Any) -> Any:
            for number in range(3):
                await anyio.sleep(1)
                yield {"n": number}

        @app.handler("broken")
        async def broken(message: Message[Any], connection: Any) -> Any:
            raise KeyError("a secret")

        return app

    return make
