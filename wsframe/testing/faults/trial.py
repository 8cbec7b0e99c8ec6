"""Runs an application on a bad network, and sees whether it keeps the promise.

First on a calm network, to learn how many parts each answer has and what is in them; then once for
each seed on a bad one, with clients that reconnect. Each run has an event loop, and a virtual
time, of its own, so that one seed alone gives the same run again.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Protocol

import anyio
import anyio.abc
import msgspec

from ...errors import ConnectError, RequestError
from ...messages import Message
from ...server.app import App
from ...stores.memory import MemoryStore
from ..clocks import virtual_time
from .network import Network
from .plan import CALM, ROUGH, Plan
from .promise import Promise, Witness
from .repeatable import repeatable
from .server import KillableServer

TROUBLE_S: Final = 30.0
"""So long, in virtual seconds, requests are sent and the network is bad."""
PATIENCE_S: Final = 600.0
"""So long after the trouble every request must be answered."""
DOWN_S: Final = 3.0
"""A killed server is started again within this time."""
GIVEN_UP: Final = frozenset({"session_lost", "gap", "closed", "slow_consumer"})
"""Error codes of the client's own, by which it says that an answer is lost."""

Request = tuple[str, Any]
"""The type and the content of a message."""
Connector = Callable[[], Awaitable[anyio.abc.ByteStream]]


class TrialClient(Protocol):
    """What a trial needs of a client: one that reconnects and resumes by itself."""

    def stream(self, type: str, content: Any) -> AsyncIterator[Message[Any]]:
        """Send a message and iterate over the parts of its answer, until the final one has come.

        Raises:
            RequestError: when iterated: the final answer is an error, or the client knows that
                there will be none (the codes :data:`GIVEN_UP`).
            ConnectError: when iterated: the client has given up, which breaks the promise.
        """

    def messages(self) -> AsyncIterator[Message[Any]]:
        """Iterate over what the server pushes."""


ClientFactory = Callable[[Connector], AbstractAsyncContextManager[TrialClient]]
"""Makes a client that connects by the given connector; it is closed at the end of the context."""


def reconnecting_client(connector: Connector) -> AbstractAsyncContextManager[TrialClient]:
    """Wsframe's own client; what it sends depends on nothing but the seed."""
    from ...client import Client

    return Client(
        "ws://testserver/ws",
        connector=connector,
        compression=False,
        open_timeout_s=0,
        timeout_s=2 * PATIENCE_S,
    )


@dataclass(frozen=True)
class Trial:
    """What is tried; see :meth:`Trial.run`.

    Attributes:
        make_app: makes a new application.
        requests: what each client asks, at random moments of the first half minute.
        clients: how many there are.
        plan: what the network does; it is calm after half a minute.
        kills: how often the server is killed and started again. Sessions are kept in a memory
            that outlives it, instead of the application's own store.
        same_parts: each time a request is handled, the parts of its answer are the same.
        make_client: makes the clients.
        backend: ``"asyncio"`` or ``"trio"``.
    """

    make_app: Callable[[], App]
    requests: Sequence[Request]
    clients: int = 3
    plan: Plan = ROUGH
    kills: int = 0
    same_parts: bool = True
    make_client: ClientFactory = reconnecting_client
    backend: str = "asyncio"

    def run(
        self, seeds: Iterable[int], *, reproduce: Callable[[int], str] = "seed {}".format
    ) -> None:
        """Try it with each seed, until the promise is broken.

        Args:
            seeds: one run each.
            reproduce: says how to see the run with a seed again.

        Raises:
            AssertionError: the promise was broken.
        """
        calm = self._start(0, plan=CALM, kills=0, expected=None)
        calm.promise.check()
        for seed in seeds:
            plan = msgspec.structs.replace(self.plan, calm_after_s=TROUBLE_S)
            run = self._start(seed, plan=plan, kills=self.kills, expected=calm.parts)
            run.promise.seed, run.promise.reproduce = seed, reproduce(seed)
            run.promise.check()

    def _start(
        self, seed: int, *, plan: Plan, kills: int, expected: dict[int, list[Any]] | None
    ) -> _Run:
        run = _Run(self, seed, kills, expected if self.same_parts else None)
        options = virtual_time(self.backend)
        with repeatable(seed):
            anyio.run(partial(run, plan), backend=self.backend, backend_options=options)
        return run


@dataclass
class _Run:
    """One run of a trial.

    Attributes:
        parts: the contents of the parts of each answer, by the place of the request.
        promise: what was recorded.
    """

    trial: Trial
    seed: int
    kills: int
    expected: dict[int, list[Any]] | None
    parts: dict[int, list[Any]] = field(default_factory=dict)
    promise: Promise = field(default_factory=Promise)

    async def __call__(self, plan: Plan) -> None:
        chance = random.Random(f"{self.seed} trial")  # noqa: S311 - to be repeated, not secret
        store = MemoryStore(survives=True) if self.trial.kills else None
        server = KillableServer(self.trial.make_app, store=store)
        async with server, Network(server, plan, seed=self.seed) as network:
            self.promise.log = network.log
            async with AsyncExitStack() as stack:
                helpers = await stack.enter_async_context(anyio.create_task_group())
                stack.callback(helpers.cancel_scope.cancel)
                helpers.start_soon(self._kill, server, network, chance)
                with anyio.CancelScope() as scope:
                    helpers.start_soon(_give_up, network, scope)
                    async with anyio.create_task_group() as clients:
                        for number in range(1, self.trial.clients + 1):
                            clients.start_soon(self._client, network, number, chance.random())

    async def _kill(self, server: KillableServer, network: Network, chance: random.Random) -> None:
        moments = sorted(chance.uniform(0, TROUBLE_S) for _ in range(self.kills))
        for moment in moments:
            await anyio.sleep(max(0.0, moment - anyio.current_time()))
            network.note("the server is killed")
            await server.kill()
            await anyio.sleep(chance.uniform(0, DOWN_S))
            await server.start()
            network.note("the server is started again")

    async def _client(self, network: Network, number: int, seed: float) -> None:
        chance = random.Random(seed)  # noqa: S311 - to be repeated, not secret
        witness = self.promise.witness(f"client {number}")
        async with (
            self.trial.make_client(network.connect) as client,
            anyio.create_task_group() as listening,
        ):
            listening.start_soon(_listen, client, witness)
            async with anyio.create_task_group() as asking:
                for place, request in enumerate(self.trial.requests):
                    asking.start_soon(
                        self._ask, client, witness, place, request, chance.uniform(0, TROUBLE_S)
                    )
            listening.cancel_scope.cancel()

    async def _ask(
        self, client: TrialClient, witness: Witness, place: int, request: Request, at_s: float
    ) -> None:
        message_type, content = request
        name, parts = f"request {place + 1}", self.parts.setdefault(place, [])
        expected = None if self.expected is None else self.expected[place]
        witness.sent(name, what=message_type, parts=None if expected is None else len(expected))
        await anyio.sleep(at_s)
        came: list[Any] = []
        try:
            async for part in client.stream(message_type, content):
                came.append(part.content)
                witness.part(name, _number(came, expected))
        except RequestError as error:
            if error.code in GIVEN_UP:
                witness.told(name, error.code)
            else:
                witness.answered(name, error.code, whole=False)
        except ConnectError as error:
            witness.given_up(name, str(error).partition("\n")[0])
        else:
            witness.answered(name)
        parts[:] = came


def _number(came: list[Any], expected: list[Any] | None) -> int:
    """The number of the part that came last; 0: it is none of those that are expected."""
    if expected is None or expected[: len(came)] == came:
        return len(came)
    part = came[-1]
    return expected.index(part) + 1 if part in expected else 0


async def _give_up(network: Network, scope: anyio.CancelScope) -> None:
    await anyio.sleep(TROUBLE_S + PATIENCE_S)
    network.note("time is up")
    network.log.close()  # tasks are cancelled in any order
    scope.cancel()


async def _listen(client: TrialClient, witness: Witness) -> None:
    """Number pushed messages as they come, so that one that comes twice is found."""
    seen: dict[str | None, int] = {}
    with suppress(ConnectError):  # requests say so
        async for message in client.messages():
            witness.pushed(seen.setdefault(message.id, len(seen) + 1))
