"""One run of the simulation, from a seed to a report."""

from __future__ import annotations

import hashlib
import logging
import random
import secrets
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import anyio
import msgspec
import trio

from tests.simulation.actor import Actor
from tests.simulation.application import Planned, make_app
from tests.simulation.pace import BriskNetwork, brisk
from tests.simulation.scenario import Scenario, draw
from tests.simulation.truth import Truth, WatchedStore, watched_sessions
from wsframe.client import Client
from wsframe.errors import ConnectionClosed, StartError
from wsframe.server import broadcasting
from wsframe.server.journal import EXPIRY_SLACK_S, LEASE_S
from wsframe.stores import Store
from wsframe.stores.memory import MemoryStore
from wsframe.stores.sqlite import SqliteStore
from wsframe.testing import virtual_time
from wsframe.testing.faults import KillableServer, Network, repeatable

REQUESTS = 100
"""Of one run, about."""
LOG_LINES = 200_000
ATTEMPTS_TO_START = 50
LAST_FAULT_S = 10.0
"""The longest stall, or ghost, that may have begun before the network is well again."""
LAST_WORDS_S = 10.0
"""What somebody cancels at the very end is answered within this; the network has no faults then."""
ANSWERED_WITHIN_S = 200.0
"""After everything has become well again."""
START = 1_700_000_000.0


class Report(msgspec.Struct, kw_only=True):
    """What has come of a run.

    Attributes:
        seed: its seed.
        problems: what was not as it should be; nothing, one hopes.
        asked: requests of all clients.
        outcomes: how they ended.
        lost: that have no answer, and no word why.
        connections: that were made.
        cut: of these, those that were lost.
        kills, restarts: of the server.
        repeated: answers that came again because a message was sent again.
        duplicates: numbered messages that came twice, without a reason.
        answered_anew: messages that were answered, and again with ``interrupted`` after a crash.
        sessions_lost, gaps: that clients were told of.
        pushed: messages that were given to the application.
        virtual_s: how long it took.
        digest: of everything that happened.
        traceback: where the run itself failed.
        log: what happened.
    """

    seed: int
    title: str = ""
    problems: list[str] = []
    asked: int = 0
    outcomes: dict[str, int] = {}
    lost: int = 0
    connections: int = 0
    cut: int = 0
    kills: int = 0
    restarts: int = 0
    sessions_lost: int = 0
    gaps: int = 0
    pushed: int = 0
    repeated: int = 0
    answered_anew: int = 0
    duplicates: int = 0
    virtual_s: float = 0.0
    digest: str = ""
    traceback: str = ""
    log: list[str] = []


def simulate(seed: int, *, requests: int = REQUESTS, keep_log: bool = False) -> Report:
    """Run the scenario of a seed; the same seed gives the same report."""
    scenario = draw(seed, requests=requests)
    report = Report(seed=seed, title=scenario.title)
    with ExitStack() as stack:
        stack.enter_context(_known_chance(seed))
        stack.enter_context(brisk())
        stack.enter_context(repeatable(seed))
        if seed % 2:  # write to two clients already as to many
            stack.enter_context(mock.patch.object(broadcasting, "MANY_CONNECTIONS", 2))
        errors = stack.enter_context(_logged_errors())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=_fast_folder())))
        world = World(scenario, folder)
        try:
            anyio.run(world.run, backend="trio", backend_options=virtual_time("trio"))
        except Exception as error:
            world.truth.problems.append(f"the run failed: {error!r}")
            report.traceback = traceback.format_exc()
        world.truth.problems += errors
        world.fill(report)
    if not keep_log:
        report.log = []
    return report


def _fast_folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


@contextmanager
def _known_chance(seed: int) -> Iterator[None]:
    """Let secrets, masks and the time of day come from the seed."""
    rng = random.Random(f"{seed}: secrets")
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"

    def text(size: int) -> str:
        return "".join(rng.choices(letters, k=size))

    def now() -> float:
        try:
            return START + trio.current_time()
        except RuntimeError:  # before and after the run
            return START

    with (
        mock.patch.object(secrets, "token_bytes", rng.randbytes),
        mock.patch.object(secrets, "token_hex", lambda size: text(2 * size)),
        mock.patch.object(secrets, "token_urlsafe", lambda size: text(size * 4 // 3)),
        mock.patch.object(secrets, "randbelow", rng.randrange),
        mock.patch.object(time, "time", now),
        # No thread takes part, and looking for one after each step takes its time.
        mock.patch("wsframe.testing.faults.server.mind_threads"),
        # Installed plugins stay inactive; to look for them takes its time too.
        mock.patch("wsframe.hooks.manager.installed_plugins", return_value=[]),
    ):
        yield


class _Errors(logging.Handler):
    """Keeps what wsframe logs as an error and nobody has planned."""

    PLANNED = ("does not stop", "the store fails", "cannot be read", "could not be stored")

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        planned = record.exc_info is not None and isinstance(record.exc_info[1], Planned)
        text = record.getMessage()
        if not planned and not any(each in text for each in self.PLANNED):
            why = repr(record.exc_info[1]) if record.exc_info else ""
            self.found.append(f"logged: {text} {why}")


@contextmanager
def _logged_errors() -> Iterator[list[str]]:
    logger, errors = logging.getLogger("wsframe"), _Errors()
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    logger.addHandler(errors)
    try:
        yield errors.found
    finally:
        logger.removeHandler(errors)
        logger.setLevel(level)
        logger.propagate = propagate


class World:
    """Server, network and clients of one run.

    Args:
        scenario: what is to happen.
        folder: for the file of a store.
    """

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario = scenario
        self.truth = Truth(self._note)
        self.truth.strict = scenario.strict
        self.truth.store_fails = scenario.store_fails > 0
        self._rng = random.Random(f"{scenario.seed}: world")
        self.store = self._make_store(folder)
        self.watched_store = self.store and WatchedStore(
            self.store,
            self.truth,
            random.Random(f"{scenario.seed}: store"),
            commit_s=scenario.commit_s,
            window_s=scenario.window_s,
        )
        self.server = KillableServer(self._make_app, store=self.watched_store)
        self.network: Network | None = None
        self.actors: list[Actor] = []
        self.kills = self.restarts = 0
        self.virtual_s = 0.0

    def _make_store(self, folder: Path) -> Store | None:
        window_s = self.scenario.window_s
        match self.scenario.store:
            case "memory":
                return MemoryStore(survives=True, resume_window_s=window_s)
            case "sqlite":
                return SqliteStore(folder / "sessions.db", resume_window_s=window_s, threaded=False)
            case _:
                return None

    def _make_app(self) -> Any:
        self.truth.life += 1
        return make_app(self.truth, self.scenario.settings)

    def _note(self, text: str) -> None:
        if self.network is not None:
            self.network.note(text)

    async def run(self) -> None:
        """Let it all happen."""
        scenario = self.scenario
        watching = watched_sessions(self.truth, window_s=scenario.window_s, strict=self._waits)
        with watching:
            tasks_before = trio.lowlevel.current_statistics().tasks_living
            self.network = BriskNetwork(
                self.server, scenario.plan, seed=scenario.seed, log_limit=LOG_LINES
            )
            async with self.server:
                if self.watched_store is not None:
                    self.watched_store.fails = scenario.store_fails
                async with self.network:
                    await self._people()
                    await self._quiet()
                self._check_server()
            await anyio.sleep(1)
            await self._check_end(tasks_before)
            self.virtual_s = anyio.current_time()

    @property
    def _waits(self) -> bool:
        """Do messages wait until they are stored?"""
        return self.store is not None and self.scenario.strict

    async def _people(self) -> None:
        """Let everybody do what they do, until all is answered; then let them leave."""
        scenario, network = self.scenario, self.network
        assert network is not None
        async with anyio.create_task_group() as tasks:
            for number, options in enumerate(scenario.client_options):
                name = f"client {number + 1}"
                rng = random.Random(f"{scenario.seed}: {name}")
                client = Client(
                    "ws://sim.example/ws",
                    connector=partial(self._connect, rng),
                    proxy=None,
                    open_timeout_s=None,
                    timeout_s=300.0,
                    **options,
                )
                self.actors.append(
                    Actor(
                        name,
                        client,
                        self.truth,
                        rng,
                        requests=scenario.requests[number],
                        active_s=scenario.active_s,
                    )
                )
            active = anyio.Event()
            tasks.start_soon(self._fate)
            tasks.start_soon(self._push)
            for actor in self.actors:
                tasks.start_soon(self._live, actor, active)
            await anyio.sleep(scenario.active_s + LAST_FAULT_S)
            await self._until_answered()
            await anyio.sleep(LAST_WORDS_S)
            self._check_clients()
            active.set()

    async def _connect(self, rng: random.Random) -> Any:
        assert self.network is not None
        return await self.network.connect(address=f"10.0.0.{rng.randint(1, 200)}")

    async def _live(self, actor: Actor, active: anyio.Event) -> None:
        async with actor.client, anyio.create_task_group() as tasks:
            tasks.start_soon(actor.listen)
            tasks.start_soon(actor.run)
            await active.wait()
            tasks.cancel_scope.cancel()

    async def _until_answered(self) -> None:
        with anyio.move_on_after(ANSWERED_WITHIN_S):
            while not self._all_answered():
                await anyio.sleep(1)

    def _all_answered(self) -> bool:
        runtime = self.server.runtime
        return (
            runtime is not None
            and runtime.in_flight == 0
            and all(not actor.waiting and actor.done for actor in self.actors)
            and all(actor.client.status != "connecting" for actor in self.actors)
            and all(not actor.client._conversation._pending for actor in self.actors)
            and all(len(actor.pushed) == len(actor.wire.pushed) - actor.client.messages_dropped
                    for actor in self.actors)
        )  # fmt: skip

    async def _fate(self) -> None:
        """Kill and restart the server when its time has come."""
        scenario = self.scenario
        ends = [(at, "killed") for at in scenario.kills]
        ends += [(at, "stopped") for at in scenario.restarts]
        for at, how in sorted(ends):
            await anyio.sleep(max(0.0, at - anyio.current_time()))
            self._note(f"the server is to be {how}")
            if how == "killed":
                self.kills += 1
                self.truth.life_over(how, survives=self.store is not None)
                await self.server.kill()
            else:
                self.restarts += 1
                self.truth.draining = True
                await self.server.stop()
                self.truth.draining = False
                self.truth.life_over(how, survives=self.store is not None)
            await anyio.sleep(self._rng.uniform(0, scenario.down_s))
            for _ in range(ATTEMPTS_TO_START):
                if self.server.runtime is None:
                    await self._start()
            self.truth.expect(self.server.runtime is not None, "the server does not start again")
            self._note("the server is up")

    async def _start(self) -> None:
        """Start the server, as whoever supervises it does: again and again."""
        try:
            await self.server.start()
        except StartError:
            await anyio.sleep(0.1)

    async def _push(self) -> None:
        """Let the application send messages of its own accord, until the last words are due."""
        ends_at = anyio.current_time() + self.scenario.active_s + LAST_FAULT_S
        for number in range(self.scenario.pushes):
            await anyio.sleep(self._rng.expovariate(self.scenario.pushes / self.scenario.active_s))
            if anyio.current_time() >= ends_at:
                return
            runtime = self.server.runtime
            if runtime is None or not runtime.ready:
                continue
            sessions = [s.id for s in runtime.dispatcher.sessions.by_id.values()]
            if sessions and self._rng.random() < 0.5:
                connection = runtime.dispatcher.find(self._rng.choice(sessions))
                if connection is not None and not connection.session.outbox.crowded:
                    with anyio.move_on_after(1), suppress(ConnectionClosed):
                        await connection.send({"type": "note", "content": number})
            else:
                await self.server.app.broadcast({"type": "news", "content": number})

    async def _quiet(self) -> None:
        """Let everything be over that has an end."""
        if self.watched_store is not None:
            self.watched_store.fails = 0.0
        await anyio.sleep(self.scenario.window_s + LEASE_S / 3 + EXPIRY_SLACK_S + 3)

    # Is it as it should be?

    def _check_clients(self) -> None:
        truth, runtime = self.truth, self.server.runtime
        for actor in self.actors:
            for token, what in actor.waiting.items():
                truth.broken(f"{token} ({what}) was not answered")
            wire = actor.wire
            expected = wire.pushed[-len(actor.pushed) :] if actor.client.messages_dropped else (
                wire.pushed
            )  # fmt: skip
            if not actor.client.messages_dropped and actor.pushed != expected:
                truth.broken(
                    f"{actor.name}: {len(wire.pushed)} pushed messages came, and"
                    f" {len(actor.pushed)} were given out"
                )
            session = runtime and runtime.dispatcher.sessions.by_id.get(wire.session_id)
            if not session:
                truth.broken(f"{actor.name}: its session is not there")
            elif session.outbox.count != wire.seq:
                truth.broken(f"{actor.name}: {wire.seq} of {session.outbox.count} came")

    def _check_server(self) -> None:
        runtime, truth = self.server.runtime, self.truth
        if runtime is None:
            truth.broken("the server does not run")
            return
        dispatcher, node = runtime.dispatcher, runtime.node
        left = {
            "sessions": len(dispatcher.sessions.by_id),
            "detached sessions": dispatcher.sessions.detached,
            "connections": len(dispatcher.connections),
            "links": len(node.links),
            "waiting messages": len(node.waiting),
            "busy workers": node.workers.busy,
            "rooms": len(dispatcher.rooms),
            "openings": len(dispatcher._openings),
            "sessions being restored": len(dispatcher.beginning._restoring),
            "lines": len(self.network.lines) if self.network else 0,
        }
        if dispatcher.journal is not None:
            left["changes"] = len(dispatcher.journal._waiting) + dispatcher.journal._committing
        if isinstance(self.store, MemoryStore):
            left["stored sessions"] = len(self.store._sessions)
        if isinstance(self.store, SqliteStore) and self.store._sessions is not None:
            connection = self.store._sessions._connection
            for table in ("sessions", "messages", "running", "rooms"):
                (count,) = connection.execute(f"SELECT count(*) FROM {table}").fetchone()
                left[f"rows in {table}"] = count
        for what, count in left.items():
            truth.expect(not count, f"{count} {what} left over")

    async def _check_end(self, tasks_before: int) -> None:
        tasks = trio.lowlevel.current_statistics().tasks_living
        self.truth.expect(tasks == tasks_before, f"{tasks - tasks_before} tasks left over")

    def fill(self, report: Report) -> None:
        """Sum up."""
        outcomes: Counter[str] = Counter()
        for actor in self.actors:
            outcomes += actor.outcomes
            report.asked += actor.asked
            report.lost += len(actor.waiting)
            report.repeated += actor.wire.repeated
            report.answered_anew += actor.wire.answered_anew
            report.sessions_lost += len(actor.wire.sessions_lost)
            report.duplicates += actor.wire.duplicates
            report.gaps += len(actor.wire.gaps)
            report.pushed += len(actor.pushed)
        report.outcomes = dict(sorted(outcomes.items()))
        report.problems = self.truth.problems
        report.kills, report.restarts = self.kills, self.restarts
        report.virtual_s = self.virtual_s
        if self.network is not None:
            report.connections = self.network.connected
            report.cut = self.network.connected - len(self.actors)
            report.log = self.network.log.lines
        report.digest = hashlib.sha256("\n".join(report.log).encode()).hexdigest()
