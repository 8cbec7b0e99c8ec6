"""Python clients that ask, stream and are pushed to, and tell a witness what comes."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import anyio
import anyio.abc

from tests.endurance.runs import Runs
from wsframe.client import Client, ConnectError, RequestError, Status
from wsframe.testing.faults.promise import Witness

ANSWER_TIMEOUT_S = 900.0
LANES = 2


class Talker:
    """One client with a few things to do at a time, until it is told to stop.

    Args:
        url: of the server.
        name: of the client; its message ids begin with it.
        witness: is told what comes.
        runs: is told which runs of the handlers the answers are from.
        counts: of what came.
        seed: of what it does.
        pause_s: between an answer and the next message, on average.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        witness: Witness,
        runs: Runs,
        counts: Counter[str],
        seed: str,
        pause_s: float = 0.2,
        options: dict[str, Any] | None = None,
    ) -> None:
        self._name = name
        self._witness = witness
        self._runs = runs
        self._counts = counts
        self._rng = random.Random(seed)
        self._pause_s = pause_s
        self._numbers = 0
        self.stopping = False
        self.statuses: list[str] = []
        self._client = Client(
            url,
            open_timeout_s=ANSWER_TIMEOUT_S,
            timeout_s=ANSWER_TIMEOUT_S,
            retries=1_000,
            backoff_base_s=0.05,
            backoff_cap_s=0.5,
            on_status=self._status,
            random=self._rng.random,
            **(options or {}),
        )

    @property
    def connected(self) -> bool:
        """Does it have a session on a connection, as far as it knows?"""
        return self._client.status in {Status.OPEN, Status.RESUMED}

    def _status(self, status: str) -> None:
        self.statuses.append(str(status))
        self._counts[f"status {status}"] += 1

    async def talk(self) -> None:
        """Talk until :attr:`stopping`, wait for what was asked, and leave for good."""
        async with self._client, anyio.create_task_group() as tasks:
            tasks.start_soon(self._listen)
            async with anyio.create_task_group() as lanes:
                for _ in range(LANES):
                    lanes.start_soon(self._lane)
            # What was pushed has come before the answers; the listener ends when it has read it.
            await self._client.close()

    async def _listen(self) -> None:
        async for message in self._client.messages():
            content = message.content
            self._witness.pushed(content["number"], source=content["run"])
            self._counts["pushed"] += 1

    async def _lane(self) -> None:
        ways = [self._text, self._text, self._work, self._count, self._notes]
        while not self.stopping:
            self._numbers += 1
            message_id = f"{self._name}-{self._numbers}"
            try:
                await self._rng.choice(ways)(message_id)
            except (RequestError, ConnectError) as error:
                self._failed(message_id, error)
            await anyio.sleep(self._rng.expovariate(1 / self._pause_s))

    def _failed(self, message_id: str, error: RequestError | ConnectError) -> None:
        code = getattr(error, "code", "unreachable")
        self._counts[f"error {code}"] += 1
        if code == "interrupted":  # the server says so, because parts had come
            self._witness.answered(message_id, code, whole=False)
        else:
            self._witness.given_up(message_id, f"{code}: {error}")

    async def _ask(self, message_id: str, type: str, content: Any) -> dict[str, Any]:
        self._witness.sent(message_id, what=type, parts=0)
        answer = await self._client.request(type, content, message_id=message_id)
        self._witness.answered(message_id)
        self._counts["answered"] += 1
        content = answer.content
        self._runs.told(message_id, content["run"])
        return dict(content)

    async def _text(self, message_id: str) -> None:
        await self._ask(message_id, "text", {})

    async def _work(self, message_id: str) -> None:
        await self._ask(message_id, "work", {"forS": self._rng.uniform(0, 0.2)})

    async def _notes(self, message_id: str) -> None:
        answer = await self._ask(message_id, "notes", {"count": self._rng.randint(1, 5)})
        self._witness.expects(answer["count"], source=answer["run"])

    async def _count(self, message_id: str) -> None:
        content = {"to": self._rng.randint(1, 10), "pauseS": self._rng.uniform(0, 0.1)}
        self._witness.sent(message_id, what="count", parts=content["to"])
        runs = set()
        async with self._client.stream("count", content, message_id=message_id) as stream:
            async for part in stream:
                self._witness.part(message_id, part.content["number"])
                self._counts["parts"] += 1
                runs.add(part.content["run"])
        self._witness.answered(message_id)
        self._counts["answered"] += 1
        for run in runs:
            self._runs.told(message_id, run)
