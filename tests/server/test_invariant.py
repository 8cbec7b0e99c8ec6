"""The promise: every accepted message gets exactly one final answer, whatever happens.

Hypothesis plays several clients of one server that send, repeat, flood, cancel, stop reading and
vanish, against handlers that answer, stream, raise, hang, and do not stop when they are told.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from contextlib import AsyncExitStack, suppress
from typing import Any

import anyio
import trio
from anyio.from_thread import start_blocking_portal
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.server import virtual_time
from tests.server.harness import JSON, MSGPACK, Client, Server, running
from wsframe import App, CloseConnection, HandlerError, Refused, Reply, hookimpl

TIMEOUT_S = 5.0
QUIET_AFTER_S = 120.0
"""Longer than everything that was accepted can take, one after the other."""


class Bouncer:
    """A plugin that refuses, fails, waits or changes what a message asks it to."""

    @hookimpl
    async def message_received(self, message: Any) -> None:
        asked = message.content.get("gate")
        if asked == "refuse":
            raise Refused("forbidden")
        if asked == "later":
            raise Refused("rate_limited")
        if asked == "crash":
            raise LookupError("gate")
        if asked == "wait":
            await anyio.sleep(message.content["seconds"])

    @hookimpl
    async def message_sending(self, message: Any) -> None:
        asked = message.content.get("sending") if isinstance(message.content, dict) else None
        if asked == "crash":
            raise LookupError("sending")
        if asked == "wait":
            await anyio.sleep(message.content["seconds"])


def application() -> App:
    app = App(
        plugins=[Bouncer()],
        max_in_flight=4,
        ledger_messages=1_000,
        outbox_messages=30,
        outbox_bytes=20_000,
        message_timeout_s=TIMEOUT_S,
        max_retries=1,
    )
    app.rooms.open_to_clients("*")

    async def echo(message: Any, connection: Any) -> Any:
        return message.content

    async def sleep(message: Any, connection: Any) -> Any:
        await anyio.sleep(message.content["seconds"])
        return Reply({"slept": True}, type="slept")

    async def stream(message: Any, connection: Any) -> Any:
        for number in range(4):
            yield {"n": number}
            await anyio.sleep(message.content["seconds"] / 4)

    async def burst(message: Any, connection: Any) -> Any:
        for number in range(20):
            yield {"n": number}

    async def fail(message: Any, connection: Any) -> Any:
        raise LookupError("handler")

    async def later(message: Any, connection: Any) -> Any:
        raise HandlerError("app.later", retryable=True)

    async def hang(message: Any, connection: Any) -> Any:
        await anyio.sleep_forever()

    async def stubborn(message: Any, connection: Any) -> Any:
        end = anyio.current_time() + 2 * message.content["seconds"]
        with anyio.CancelScope(shield=True):
            while (left := end - anyio.current_time()) > 0:
                with suppress(asyncio.CancelledError):
                    await anyio.sleep(left)
        return {}

    async def denial(message: Any, connection: Any) -> Any:
        with suppress(asyncio.CancelledError, trio.Cancelled):
            await anyio.sleep_forever()
        return {"late": True}

    async def push(message: Any, connection: Any) -> None:
        await connection.send({"type": "pushed"})
        await connection.send({"type": "typing", "transient": True})
        await connection.join("lobby")
        await app.rooms.publish("lobby", {"type": "said"})

    async def everybody(message: Any, connection: Any) -> Any:
        return {"n": await app.broadcast({"type": "news"})}

    async def huge(message: Any, connection: Any) -> Any:
        return {"x": "x" * 20_000}

    async def hang_up(message: Any, connection: Any) -> Any:
        raise CloseConnection(4000, "enough")

    for function in (
        echo, sleep, stream, burst, fail, later, hang, stubborn, denial, push, everybody, huge,
        hang_up,
    ):  # fmt: skip
        app.add_handler(function.__name__, function)
        app.add_handler(f"{function.__name__}.beside", function, concurrent=True)
    return app


TYPES = [
    "echo", "sleep", "stream", "burst", "fail", "later", "hang", "stubborn", "denial", "push",
    "everybody", "huge", "unknown",
]  # fmt: skip
KINDS = st.sampled_from(
    [*TYPES, *(f"{each}.beside" for each in TYPES[:-1]), "ping", "cancel", "join", "leave"]
)
IDS = st.one_of(st.none(), st.sampled_from("abcdef"), st.sampled_from("abcdef"))
SECONDS = st.sampled_from([0.0, 0.3, 1.0, 4.0, 7.0])
MESSAGES = st.tuples(
    KINDS,
    IDS,
    st.fixed_dictionaries(
        {"seconds": SECONDS, "id": st.sampled_from("abcdef"), "room": st.sampled_from("xy")},
        optional={
            "gate": st.sampled_from(["refuse", "later", "crash", "wait"]),
            "sending": st.sampled_from(["crash", "wait"]),
        },
    ),
)
WHO = st.integers(0, 3)


class Watched:
    """A client, and what it may expect."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.sends: Counter[str] = Counter()
        self.unnamed = 0

    def send(self, messages: list[tuple[str, str | None, dict[str, Any]]]) -> None:
        """Let messages arrive in one chunk."""
        client = self.client
        payloads: list[str | bytes] = []
        client.raw, original = payloads.append, client.raw  # type: ignore[method-assign]
        for kind, message_id, content in messages:
            if kind == "ping":  # answered, but not entered into the ledger
                message_id = None
            if message_id is None:
                self.unnamed += 1
            else:
                self.sends[message_id] += 1
            client.send(kind, content, id=message_id)
        client.raw = original  # type: ignore[method-assign]
        client.server.from_callback(lambda: [client._arrive(each) for each in payloads])

    @property
    def here(self) -> bool:
        return self.client.link.open

    def finals(self) -> dict[str, list[dict[str, Any]]]:
        finals: dict[str, list[dict[str, Any]]] = {}
        for message in self.client.received:
            if message.get("final"):
                finals.setdefault(message["replyTo"], []).append(message)
        return finals

    def check(self) -> None:
        session = self.client.connection.session
        ledger, outbox = session.ledger, session.outbox
        assert len(ledger.running) <= ledger.max_in_flight
        assert ledger.remembered <= ledger.max_messages
        assert ledger.remembered_bytes <= ledger.max_bytes or ledger.remembered == 1
        assert len(outbox) <= outbox.max_messages
        assert outbox.size <= outbox.max_bytes
        in_turn = [
            each
            for each in ledger.running.values()
            if each.started_at is not None and not each.beside
        ]
        assert len(in_turn) <= 1
        if self.here:
            assert self.client.count == outbox.cursor
        finals = self.finals()
        for message_id, answers in finals.items():
            known = self.sends.get(message_id)
            assert len(answers) <= (1 if known is None else known)
            different = {each["id"]: each for each in answers}
            lasting = [
                each
                for each in different.values()
                if each["type"] != "error" or not each["content"]["retryable"]
            ]
            assert len(lasting) <= 1
            if lasting:  # it is the last word, however often it is asked for again
                assert answers[-1]["id"] == lasting[0]["id"]
            ended = False
            for message in self.client.received:
                if message.get("replyTo") == message_id:
                    assert message["final"] or not ended
                    ended = ended or (bool(lasting) and message["id"] == lasting[0]["id"])

    def check_when_quiet(self) -> None:
        session = self.client.connection.session
        assert not session.ledger.running
        assert not session.inbox
        assert not self.client.connection.session.serving
        if self.here:
            finals = self.finals()
            assert self.sends.keys() <= finals.keys()
            assert len(finals.keys() - self.sends.keys()) == self.unnamed


class Conversations(RuleBasedStateMachine):
    backend: str
    server: Server
    watched: list[Watched]

    @initialize(subprotocol=st.sampled_from([None, JSON, MSGPACK]))
    def start(self, subprotocol: str | None) -> None:
        logging.getLogger("wsframe").setLevel(logging.CRITICAL)  # failing is what they do here
        name, options = virtual_time.backend(self.backend)
        self._clock = options.get("clock")
        self._portal_manager = start_blocking_portal(name, options)
        self._portal = self._portal_manager.__enter__()
        self._app = application()
        self.watched = []
        self._running = self._portal.wrap_async_context_manager(self._serving())
        self._running.__enter__()
        self._do(lambda: self._connect(subprotocol))

    def _serving(self) -> Any:
        stack = AsyncExitStack()
        machine = self

        class Serving:
            async def __aenter__(self) -> None:
                machine._time_jumps(True)
                machine.server = await stack.enter_async_context(running(machine._app))
                machine._time_jumps(False)

            async def __aexit__(self, *error: Any) -> None:
                machine._time_jumps(True)
                await stack.aclose()

        return Serving()

    def _time_jumps(self, jumps: bool) -> None:
        """Let virtual time pass, or stand still between two steps."""
        if self._clock is not None:
            self._clock.autojump_threshold = 0 if jumps else math.inf
        else:
            asyncio.get_running_loop().jumps = jumps  # type: ignore[attr-defined]

    def _do(self, action: Any, seconds: float = 0.0) -> None:
        async def step() -> None:
            self._time_jumps(True)
            action()
            await self.server.quiet()
            if seconds:
                await anyio.sleep(seconds)
            await self.server.quiet()
            self._time_jumps(False)

        self._portal.call(step)

    def _client(self, who: int) -> Watched:
        return self.watched[who % len(self.watched)]

    def _connect(self, subprotocol: str | None) -> None:
        self.watched.append(Watched(self.server.connect(subprotocol)))

    @precondition(lambda self: len(self.watched) < 4)
    @rule(subprotocol=st.sampled_from([None, JSON, MSGPACK]))
    def connect(self, subprotocol: str | None) -> None:
        self._do(lambda: self._connect(subprotocol))

    @rule(who=WHO, messages=st.lists(MESSAGES, min_size=1, max_size=7))
    def send(self, who: int, messages: list[tuple[str, str | None, dict[str, Any]]]) -> None:
        client = self._client(who)
        if client.here:
            self._do(lambda: client.send(messages))

    @rule(who=WHO, message_id=st.sampled_from("abcdef"))
    def cancel(self, who: int, message_id: str) -> None:
        client = self._client(who)
        if client.here:
            self._do(lambda: client.send([("cancel", None, {"id": message_id})]))

    @rule(who=WHO)
    def hang_up(self, who: int) -> None:
        client = self._client(who)
        if client.here:
            self._do(lambda: client.send([("hang_up", None, {})]))

    @rule(who=WHO)
    def vanish(self, who: int) -> None:
        client = self._client(who)
        if client.here:
            self._do(lambda: client.client.link.end(1006))

    @rule(who=WHO)
    def stop_reading(self, who: int) -> None:
        client = self._client(who)
        if client.here:
            self._do(client.client.stop_reading)

    @rule(who=WHO)
    def read_again(self, who: int) -> None:
        client = self._client(who)
        if client.here:
            self._do(client.client.read_again)

    @rule(seconds=st.sampled_from([0.1, 1.0, 3.0]))
    def pass_time(self, seconds: float) -> None:
        self._do(lambda: None, seconds)

    @rule()
    def become_quiet(self) -> None:
        def read() -> None:
            for each in self.watched:
                if each.here:
                    each.client.read_again()

        self._do(read, QUIET_AFTER_S)
        for each in self.watched:
            each.check_when_quiet()
        assert self.server.busy == 0
        assert not self.server.runtime.node.waiting
        here = sum(each.here for each in self.watched)
        assert len(self.server.runtime.dispatcher.connections) == here
        counters = self.server.runtime.counters
        assert counters.accepted == counters.answered

    @invariant()
    def promise(self) -> None:
        for each in self.watched:
            each.check()

    def teardown(self) -> None:
        logging.getLogger("wsframe").setLevel(logging.NOTSET)
        if hasattr(self, "_running"):
            try:
                self.become_quiet()
            finally:
                self._running.__exit__(None, None, None)
                self._portal_manager.__exit__(None, None, None)


class OnAsyncio(Conversations):
    backend = "asyncio"


class OnTrio(Conversations):
    backend = "trio"


TestOnAsyncio = OnAsyncio.TestCase
TestOnAsyncio.settings = settings(max_examples=40, stateful_step_count=20)
TestOnTrio = OnTrio.TestCase
TestOnTrio.settings = settings(max_examples=10, stateful_step_count=20)
