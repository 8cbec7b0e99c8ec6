"""What the fixture ``wsframe_promise`` is."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Sequence

from ...server.app import App
from .plan import ROUGH, Plan
from .trial import ClientFactory, Request, Trial, reconnecting_client


class PromiseTest:
    """Runs an application under seeded faults; see :meth:`__call__`.

    Args:
        nodeid: names the test, for the command that repeats it.
        seed: the only one to run; None: those of the test.
        backend: ``"asyncio"`` or ``"trio"``.
    """

    def __init__(self, *, nodeid: str, seed: int | None, backend: str) -> None:
        self._nodeid = nodeid
        self._seed = seed
        self._backend = backend

    def __call__(
        self,
        make_app: Callable[[], App],
        requests: Sequence[Request],
        *,
        seeds: Iterable[int] = range(10),
        clients: int = 3,
        kills: int = 0,
        plan: Plan = ROUGH,
        same_parts: bool = True,
        make_client: ClientFactory = reconnecting_client,
    ) -> None:
        """See whether each request gets its one final answer.

        Args:
            make_app: makes a new application, the same each time.
            requests: type and content of what each client asks, at random moments.
            seeds: one run each.
            clients: how many there are.
            kills: how often the server is killed and started again in each run.
            plan: what the network does, for half a minute of virtual time.
            same_parts: each time a request is handled, the parts of its answer are the same;
                False: they are not compared.
            make_client: makes clients that reconnect and resume by themselves.

        Raises:
            AssertionError: the promise was broken. The message says how, with the events before,
                and the command that repeats the run.
        """
        trial = Trial(
            make_app,
            requests,
            clients=clients,
            plan=plan,
            kills=kills,
            same_parts=same_parts,
            make_client=make_client,
            backend=self._backend,
        )
        trial.run(seeds if self._seed is None else [self._seed], reproduce=self._command)

    def _command(self, seed: int) -> str:
        return f"pytest {shlex.quote(self._nodeid)} --wsframe-seed {seed}"
