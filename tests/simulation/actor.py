"""A client that does this and that, and remembers what has become of it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio

from tests.simulation.application import ROOMS
from tests.simulation.truth import Truth
from tests.simulation.wire import Wire
from wsframe.client import Client, ConnectError, RequestError
from wsframe.messages import Message

PATIENCE_S = 600.0
"""Nobody waits so long for an answer, in virtual time, unless it was lost."""

EXPECTED_ERRORS = {
    "error": {"sim.refused"},
    "retry": {"sim.again"},
    "crash": {"handler_failed"},
}
"""What a handler answers, by what it was told to do."""


class Actor:
    """One client and its user.

    Args:
        name: of the client.
        client: not yet entered.
        truth: what the server has really done.
        rng: of everything that the user does.
        requests: how many the user makes …
        active_s: … in about so many seconds.
    """

    def __init__(
        self,
        name: str,
        client: Client,
        truth: Truth,
        rng: random.Random,
        *,
        requests: int,
        active_s: float,
    ) -> None:
        self.name = name
        self.client = client
        self.wire = Wire(name, client, truth)
        self.pushed: list[Any] = []
        self.outcomes: Counter[str] = Counter()
        self.asked = 0
        self.waiting: dict[str, str] = {}
        """What has not been answered: token to type."""
        self._truth = truth
        self._rng = rng
        self._requests = requests
        self._active_s = active_s
        self.done = False
        """Every request has been made, and has come to its end."""

    async def run(self) -> None:
        """Make all requests; returns when each has come to its end."""
        async with anyio.create_task_group() as tasks:
            for number in range(self._requests):
                await anyio.sleep(self._rng.expovariate(self._requests / self._active_s))
                tasks.start_soon(self._ask, f"{self.name}.{number}")
        self.done = True

    async def listen(self) -> None:
        """Take what is pushed, sometimes slowly."""
        async for message in self.client.messages():
            self.pushed.append(message.content)
            if self._rng.random() < 0.05:
                await anyio.sleep(self._rng.uniform(0, 3))

    async def _ask(self, token: str) -> None:
        """Ask for something, whatever that is."""
        kinds: list[Callable[..., Any]] = [
            self._request, self._stream, self._leave_stream, self._send, self._cancel,
            self._abandon, self._repeat,
        ]  # fmt: skip
        kind = self._rng.choices(kinds, [50, 25, 4, 6, 6, 4, 5])[0]
        self.asked += 1
        type_, content = self._message(token, streamed=kind in {self._stream, self._leave_stream})
        self.waiting[token] = f"{type_} {content.get('do', '')}"
        asked_at = anyio.current_time()
        try:
            outcome = await kind(type_, content)
        except RequestError as error:
            outcome = error.code
            self._check_error(error, type_, content, asked_at)
        except ConnectError as error:
            outcome = "gave up"
            self.wire.broken(f"{token}: gave up: {error}")
        del self.waiting[token]
        self.outcomes[outcome] += 1
        self._truth.note(f"{token} {type_}: {outcome}")

    def _message(self, token: str, *, streamed: bool) -> tuple[str, dict[str, Any]]:
        rng = self._rng
        if streamed:
            type_ = rng.choice(["tell", "tell", "tell.merged"])
        else:
            types = ["act", "beside", "slow", "stubborn", "push", "shout", "join", "leave", "tell"]
            type_ = rng.choices(types, [40, 20, 5, 2, 8, 8, 5, 2, 5])[0]
        content: dict[str, Any] = {
            "token": token,
            "do": rng.choices(["ok", "none", "error", "retry", "crash"], [12, 2, 2, 2, 1])[0],
            "times": rng.choice([1, 1, 2, 9]),
            "parts": rng.choice([0, 1, 3, 8, 20, 40]),
            "padding": "x" * rng.choice([0, 0, 10, 100, 700]),
            "wait_s": rng.choice([0.0, 0.0, 0.0, 0.01, 0.3, 2.0]),
            "room": rng.choice(ROOMS),
        }
        if type_ == "stubborn":
            content["wait_s"] = rng.choice([0.0, 1.0, 4.0])
        return type_, content

    # What can be done

    async def _request(self, type_: str, content: dict[str, Any]) -> str:
        answer = await self.client.request(type_, content, timeout_s=PATIENCE_S)
        return self._check_answer(answer, type_, content)

    async def _stream(self, type_: str, content: dict[str, Any]) -> str:
        upto = 0
        stream = self.client.stream(type_, content, timeout_s=PATIENCE_S)
        async for part in stream:
            upto = self._check_part(part, content, upto)
            if self._rng.random() < 0.1:
                await anyio.sleep(self._rng.uniform(0, 0.5))
        assert stream.final is not None
        if upto != content["parts"]:
            self.wire.broken(f"{content['token']}: {upto} of {content['parts']} parts came")
        return "answered"

    async def _leave_stream(self, type_: str, content: dict[str, Any]) -> str:
        upto = 0
        async with self.client.stream(type_, content, timeout_s=PATIENCE_S) as stream:
            async for part in stream:
                upto = self._check_part(part, content, upto)
                if self._rng.random() < 0.3:
                    return "left"
        return "answered"

    async def _send(self, type_: str, content: dict[str, Any]) -> str:
        await self.client.send(type_, content)
        return "sent"

    async def _cancel(self, type_: str, content: dict[str, Any]) -> str:
        """Ask, and cancel it after a while."""
        message_id = f"mine-{content['token']}"

        async def cancel() -> None:
            await anyio.sleep(self._rng.uniform(0, 0.5))
            try:
                await self.client.cancel(message_id, timeout_s=PATIENCE_S)
            except RequestError as error:
                if error.code not in {"session_lost", "unavailable"}:
                    self.wire.broken(f"cancel was answered {error.code}")
            except ConnectError:
                return  # whoever asked says so

        error: RequestError | ConnectError | None = None
        answer: Message[Any] | None = None
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cancel)
            try:
                answer = await self.client.request(
                    type_, content, message_id=message_id, timeout_s=PATIENCE_S
                )
            except (RequestError, ConnectError) as found:
                error = found
        if isinstance(error, RequestError) and error.code == "cancelled":
            return "cancelled"
        if error is not None:
            raise error
        assert answer is not None
        return self._check_answer(answer, type_, content)

    async def _abandon(self, type_: str, content: dict[str, Any]) -> str:
        with anyio.move_on_after(self._rng.uniform(0, 1)):
            return await self._request(type_, content)
        return "abandoned"

    async def _repeat(self, type_: str, content: dict[str, Any]) -> str:
        """Ask twice with one id: the handler runs once, unless its answer was forgotten."""
        message_id = f"mine-{content['token']}"
        answers = []
        for _ in range(2):
            answer = await self.client.request(
                type_, content, message_id=message_id, timeout_s=PATIENCE_S
            )
            answers.append(answer)
        return self._check_answer(answers[-1], type_, content)

    # What comes of it

    def _check_part(self, part: Message[Any], content: dict[str, Any], upto: int) -> int:
        found = part.content
        if found["token"] != content["token"] or found["from"] != upto + 1:
            self.wire.broken(
                f"{content['token']}: part {found['token']} {found['from']}-{found['to']} after"
                f" {upto}"
            )
        last: int = found["to"]
        return last

    def _check_answer(self, answer: Message[Any], type_: str, content: dict[str, Any]) -> str:
        expected: object = content["token"]
        if type_ in {"join", "leave"}:
            expected, found = content["room"], answer.content.get("room")
        elif type_ in {"tell", "tell.merged"} or answer.type == "ack":
            expected, found = {}, answer.content
        else:
            found = answer.content.get("token")
        if found != expected:
            self.wire.broken(f"{content['token']}: was answered {answer.content}")
        return "answered"

    def _check_error(
        self, error: RequestError, type_: str, content: dict[str, Any], asked_at: float
    ) -> None:
        code = error.code
        held_up = type_ in {"tell", "tell.merged", "push"}
        reasons = {
            "interrupted": self._truth.died_since(asked_at) or self._truth.draining,
            "draining": self._truth.died_since(asked_at) or self._truth.draining,
            "session_lost": any(at >= asked_at for at in self.wire.sessions_lost),
            "gap": any(at >= asked_at for at in self.wire.gaps),
            "slow_consumer": held_up,
            "message_too_big": len(content["padding"]) > 100,
            "too_many_in_flight": False,
            "unavailable": self._truth.store_fails,
            "too_many_pending": False,
        }
        if code in reasons:
            justified = reasons[code]
        elif code == "timeout":
            justified = error.message != "The time for an answer is over." and (
                type_ in {"slow", "stubborn"} or held_up
            )
        else:
            justified = code in EXPECTED_ERRORS.get(content["do"], ()) and (
                type_ in {"act", "beside", "slow", "tell", "tell.merged"}
            )
            if code == "sim.refused" and error.details != content["token"]:
                self.wire.broken(f"{content['token']}: got the error of {error.details}")
        if not justified:
            self.wire.broken(f"{content['token']} {type_}: {code}: {error.message}")
