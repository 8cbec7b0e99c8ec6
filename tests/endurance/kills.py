"""A server that is killed again and again while clients talk to it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import anyio
import anyio.to_thread
from selenium.webdriver import Chrome

from tests.endurance import database
from tests.endurance.page import LANES, Page
from tests.endurance.runs import Runs
from tests.endurance.talkers import Talker
from wsframe.testing.faults import Promise, ServerProcess

ROOT = Path(__file__).parents[2]
APPLICATION = "tests.endurance.chat:app"
LAST_ANSWERS_S = 120.0
LIFE_S = (0.05, 1.5)
LIFE_ANSWERS = (1, 200)
"""A life lasts so long, or until so many answers more have come, in turn by chance: a server on a
busy machine has hardly begun when its time is over."""
LONGEST_LIFE_S = 20.0


def stored(folder: Path, **settings: object) -> dict[str, object]:
    """The settings of a server that keeps its sessions in ``folder``, and loses nothing."""
    return {
        "store": f"sqlite:///{folder / 'chat.db'}",
        "durability": "strict",
        "resume_window_s": 600,
        "log_level": "warning",
        **settings,
    }


def ran_into(broken: list[str], promise: Promise, counts: Counter[str]) -> None:
    """Add what is wrong with what clients have seen, errors that should not be included."""
    broken += promise.broken()
    broken += [
        f"{count} requests ended with {name}"
        for name, count in counts.items()
        if name.startswith("error ") and name != "error interrupted"
    ]
    if counts["status gap"]:
        broken.append(f"{counts['status gap']} gaps")


async def _one_life(rng: random.Random, counts: Counter[str]) -> None:
    if rng.random() < 0.5:
        await anyio.sleep(rng.uniform(*LIFE_S))
        return
    enough = counts["answered"] + rng.randint(*LIFE_ANSWERS)
    with anyio.move_on_after(LONGEST_LIFE_S):
        while counts["answered"] < enough:
            await anyio.sleep(rng.uniform(0.001, 0.02))


async def _last_life(
    counts: Counter[str], *, answers: int, resumed: int, page: Page | None
) -> None:
    """Let everybody be answered who was not, because each life was over before: a page twice."""
    with anyio.move_on_after(LAST_ANSWERS_S):
        while counts["answered"] < answers or counts["status resumed"] < resumed:
            await anyio.sleep(0.05)
        while page is not None and await anyio.to_thread.run_sync(page.asked) <= 2 * LANES:
            await anyio.sleep(0.05)


async def killed(
    folder: Path,
    *,
    kills: int,
    clients: int,
    seed: int,
    answers: int = 0,
    browser: Chrome | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Counter[str], list[str]]:
    """Kill a server with SIGKILL at random moments while clients talk to it.

    Args:
        folder: for the store.
        kills: how many.
        clients: Python clients.
        seed: of the moments, and of what the clients do.
        answers: the last life goes on until the Python clients have had so many in all.
        browser: has a page that talks, too.
        say: is told how it goes.

    Returns:
        What was counted, and what is wrong.
    """
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    promise, runs = Promise(seed=seed), Runs()
    broken: list[str] = []
    path = folder / "chat.db"
    with ServerProcess(APPLICATION, cwd=ROOT, settings=stored(folder)) as server:
        talkers = [
            Talker(
                server.ws_url,
                f"c{number}",
                witness=promise.witness(f"client {number}"),
                runs=runs,
                counts=counts,
                seed=f"{seed}/{number}",
            )
            for number in range(clients)
        ]
        page = None
        if browser is not None:
            page = await anyio.to_thread.run_sync(Page, browser, server.http_url)
        async with anyio.create_task_group() as tasks:
            for talker in talkers:
                tasks.start_soon(talker.talk)
            for number in range(1, kills + 1):
                await _one_life(rng, counts)
                await anyio.to_thread.run_sync(server.kill)
                counts["kills"] += 1
                found = await anyio.to_thread.run_sync(database.broken, path)
                broken += [f"after kill {number}: {text}" for text in found]
                await anyio.to_thread.run_sync(server.restart)
                if number % 10 == 0:
                    say(f"{number} kills, {dict(counts)}")
            await _last_life(counts, answers=answers, resumed=clients if kills else 0, page=page)
            for talker in talkers:
                talker.stopping = True
            tasks.cancel_scope.deadline = anyio.current_time() + LAST_ANSWERS_S
            if page is not None:
                witness = promise.witness("page")
                await anyio.to_thread.run_sync(page.finish, witness, runs, counts)
        assert "Traceback" not in server.transcript, server.transcript
    counts["asked"] = sum(promise.witness(f"client {n}").asked for n in range(clients))
    if page is not None:
        counts["asked by the page"] = promise.witness("page").asked
    ran_into(broken, promise, counts)
    return counts, broken + runs.broken(path)
