"""The same run twice, from one seed."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def repeatable(seed: int) -> Iterator[None]:
    """Take the chance out of what runs inside: put it around ``anyio.run``.

    It seeds the module ``random``, which applications and retries use, and lets trio run tasks in
    an order that only depends on the seed; asyncio's order does not change anyway. Both are as
    they were afterwards. Time should be virtual (see :func:`wsframe.testing.virtual_time`), and
    no thread may take part.
    """
    state = random.getstate()
    random.seed(seed)
    trio_run = sys.modules.get("trio._core._run")
    try:
        if trio_run is None:
            yield
        else:
            yield from _in_trio(trio_run, seed)
    finally:
        random.setstate(state)


def _in_trio(trio_run: object, seed: int) -> Iterator[None]:
    """Use what trio keeps for tests, as Hypothesis does (``trio._core._run``)."""
    shuffle: random.Random = trio_run._r  # type: ignore[attr-defined]  # noqa: SLF001 - see above
    state = shuffle.getstate()
    sorting = trio_run._ALLOW_DETERMINISTIC_SCHEDULING  # type: ignore[attr-defined]  # noqa: SLF001
    shuffle.seed(seed)
    trio_run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[attr-defined]  # noqa: SLF001
    try:
        yield
    finally:
        trio_run._ALLOW_DETERMINISTIC_SCHEDULING = sorting  # type: ignore[attr-defined]  # noqa: SLF001
        shuffle.setstate(state)
