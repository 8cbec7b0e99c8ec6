"""A conversation that reaches every hook, and how each step of it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ...errors import AnswerError, ConnectionClosed, RequestError, RequestRefused
from ...server.app import App
from ..client import TestClient
from ..connector import Connector

OK: Final = "ok"
ROOM: Final = "contract"

CONTRACT_MESSAGES: Final[tuple[tuple[str, Any], ...]] = (
    ("contract.echo", {"text": "Hello"}),
    ("contract.parts", {"text": "Hello"}),
    ("contract.fail", {}),
    ("contract.unknown", {}),
)
"""Message types and contents that each conversation has."""


class Conversation:
    """What one client experiences with an application.

    Args:
        app: see :func:`add_handlers`.
        options: for :meth:`TestClient.connect <wsframe.testing.client.TestClient.connect>`.
        messages: types and contents to send, beside those of the contract.

    Attributes:
        steps: how each step ended: ``ok``, or with which refusal.
        handled: how often the handlers of the contract have run.
    """

    def __init__(
        self,
        app: App,
        options: Mapping[str, Any],
        messages: Sequence[tuple[str, Any]] = (),
    ) -> None:
        self.app = app
        self.handled = 0
        self.steps: dict[str, str] = {}
        self._options = dict(options)
        self._messages = [*CONTRACT_MESSAGES, *messages]
        add_handlers(app, self)

    async def hold(self, connect: Connector) -> dict[str, str]:
        """Connect, ask, be told, lose the connection, resume, leave; returns the steps.

        Raises:
            StartError: the application cannot start.
            TimeoutError: a message was not answered.
        """
        self.steps = {}
        client = await self._connect("connect", connect, {})
        if client is None:
            return self.steps
        for number, (message_type, content) in enumerate(self._messages):
            await self._ask(client, message_type, content, f"{number}:{message_type}")
        await self._ask(client, "join", {"room": ROOM}, "join")
        await self._ask(client, "leave", {"room": ROOM}, "leave")
        await self._push(client)
        await client.advance()
        self._count_answers(client, "more")
        await client.drop()
        resume = {"sessionId": client.session_id, "secret": client.secret, "seq": client.seq}
        client = await self._connect("resume", connect, {"resume": resume})
        if client is not None:
            await self._ask(client, *self._messages[0], "after resuming")
            self._count_answers(client, "more after resuming")
            await client.close()
            await client.advance()
        return self.steps

    async def _connect(
        self, step: str, connect: Connector, init: Mapping[str, Any]
    ) -> TestClient | None:
        options = dict(self._options)
        options["init_content"] = {**(options.get("init_content") or {}), **init}
        try:
            client = await connect(self.app, **options)
        except RequestRefused as refused:
            self.steps[step] = f"{refused.status} {refused.code}"
        except RequestError as refused:
            self.steps[step] = f"init: {refused.code}"
        except ConnectionClosed as closed:
            self.steps[step] = f"closed: {closed.code}"
        else:
            self.steps[step] = OK
            return client
        return None

    async def _ask(self, client: TestClient, message_type: str, content: Any, step: str) -> None:
        try:
            await client.request(message_type, content)
            self.steps[step] = OK
        except RequestError as refused:
            self.steps[step] = refused.code
        except ConnectionClosed as closed:
            self.steps[step] = f"closed: {closed.code}"

    async def _push(self, client: TestClient) -> None:
        try:
            await self.app.broadcast({"type": "contract.news", "content": {"text": "Hello"}})
        except AnswerError as refused:
            self.steps["push"] = refused.code
            return
        await client.advance()
        came = [message.type for message in client.messages]
        self.steps["push"] = OK if "contract.news" in came else "lost"

    def _count_answers(self, client: TestClient, step: str) -> None:
        """A second final answer to anything is one too many."""
        more = [each for each in client.messages if each.reply_to is not None and each.final]
        self.steps[step] = OK if not more else f"{len(more)} answers too many"


def add_handlers(app: App, conversation: Conversation) -> None:
    """Add what the conversation talks to."""
    app.rooms.open_to_clients(ROOM)

    async def echo(message: Any, _: Any) -> Any:
        conversation.handled += 1
        return message.content

    async def parts(_message: Any, _: Any) -> Any:
        conversation.handled += 1
        for number in range(3):
            yield {"number": number}

    async def fail(_message: Any, _: Any) -> Any:
        conversation.handled += 1
        raise LookupError("a handler of the plugin contract fails")

    app.add_handler("contract.echo", echo)
    app.add_handler("contract.parts", parts)
    app.add_handler("contract.fail", fail)
