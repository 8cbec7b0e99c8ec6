"""What a bad network does, as data; and the chance that decides when.

A :class:`Plan` says how often and how badly, a :class:`Fault` is one misfortune of one line, and
:class:`Chance` draws the one from the other. None of it does I/O or knows a clock: the same seed
and the same questions give the same answers.
"""

from __future__ import annotations

import math
import random
from enum import Enum
from typing import NamedTuple

import msgspec

Range = tuple[float, float]
"""The least and the most; each value between them is as likely."""


class Way(Enum):
    """A direction."""

    TO_SERVER = "to server"
    TO_CLIENT = "to client"


class Drop(msgspec.Struct, frozen=True):
    """Both ends lose the line at once, and what is on its way is lost."""


class Cut(msgspec.Struct, frozen=True):
    """So many bytes still arrive, wherever in a frame that is; then the line is dropped."""

    way: Way
    after_bytes: int


class Stall(msgspec.Struct, frozen=True):
    """Nothing arrives for some seconds, and the sender is held back; then it goes on, or dies."""

    way: Way
    for_s: float
    dies: bool = False


class HalfClose(msgspec.Struct, frozen=True):
    """One direction ends, after what is on its way."""

    way: Way


class Ghost(msgspec.Struct, frozen=True):
    """The client loses the line at once; what it had sent reaches the server seconds later.

    Until then the server holds the line for alive, while the client may be on a new one.
    """

    for_s: float


Fault = Drop | Cut | Stall | HalfClose | Ghost


class Welcome(Enum):
    """What becomes of an attempt to connect."""

    CONNECTED = "connected"
    REFUSED = "refused"
    TIMED_OUT = "timed out"


class Arrival(NamedTuple):
    """An attempt to connect: what becomes of it, after how many seconds, and how slow a line is."""

    welcome: Welcome
    after_s: float
    lag_s: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How bad a network is. The default has no faults.

    Attributes:
        connect_s: how long it takes to connect.
        refused, timed_out: the share of attempts that fail so, 0 to 1.
        connect_timeout_s: after which an attempt fails that is not answered.
        latency_s: of each chunk, in each direction. Order within a line is kept.
        lag_s: more latency, one value for the life of a line: so a new line can be faster than
            an old one.
        chunk_bytes: what arrives together is cut into chunks of random sizes in this range; None:
            it arrives as it was sent.
        fault_every_s: the mean time between the faults of one line; infinite: none.
        drop, cut, stall, half_close, ghost: how likely each kind is, in relation to the others.
        cut_bytes: of :class:`Cut`.
        stall_s, stall_dies: of :class:`Stall`; the latter is a share.
        ghost_s: of :class:`Ghost`.
        calm_after_s: from then on, by the event loop's clock, all is well; nothing fails and no
            attempt to connect does, so that everything can be answered at last.
        window_bytes: on their way in one direction, before the sender is held back.
    """

    connect_s: Range = (0.0, 0.0)
    refused: float = 0.0
    timed_out: float = 0.0
    connect_timeout_s: float = 10.0
    latency_s: Range = (0.0, 0.0)
    lag_s: Range = (0.0, 0.0)
    chunk_bytes: tuple[int, int] | None = None
    fault_every_s: float = math.inf
    drop: float = 1.0
    cut: float = 1.0
    stall: float = 1.0
    half_close: float = 1.0
    ghost: float = 1.0
    cut_bytes: tuple[int, int] = (0, 300)
    stall_s: Range = (0.1, 5.0)
    stall_dies: float = 0.3
    ghost_s: Range = (0.1, 5.0)
    calm_after_s: float = math.inf
    window_bytes: int = 65_536


YIELDS = 0.25
"""The share of steps after which other tasks may go on, although the next step could follow."""

CALM = Plan()
"""A network without faults."""
ROUGH = Plan(
    connect_s=(0.0, 0.2),
    refused=0.1,
    timed_out=0.02,
    latency_s=(0.0, 0.1),
    lag_s=(0.0, 0.3),
    chunk_bytes=(1, 200),
    fault_every_s=2.0,
)
"""Everything goes wrong, and often."""


class Chance:
    """Draws what happens from a plan.

    Args:
        plan: how bad it is.
        rng: the one source of randomness.
    """

    def __init__(self, plan: Plan, rng: random.Random) -> None:
        self.plan = plan
        self._rng = rng

    def arrival(self, now: float) -> Arrival:
        """What becomes of an attempt to connect."""
        plan, rng = self.plan, self._rng
        after_s, lag_s, drawn = rng.uniform(*plan.connect_s), rng.uniform(*plan.lag_s), rng.random()
        if now < plan.calm_after_s:
            if drawn < plan.refused:
                return Arrival(Welcome.REFUSED, after_s, lag_s)
            if drawn < plan.refused + plan.timed_out:
                return Arrival(Welcome.TIMED_OUT, plan.connect_timeout_s, lag_s)
        return Arrival(Welcome.CONNECTED, after_s, lag_s)

    def latency_s(self) -> float:
        """How long a chunk takes."""
        return self._rng.uniform(*self.plan.latency_s)

    def sizes(self, count: int) -> list[int]:
        """Into what chunks ``count`` bytes are cut that arrive together."""
        sizes: list[int] = []
        while count and self.plan.chunk_bytes is not None:
            sizes.append(min(count, self._rng.randint(*self.plan.chunk_bytes)))
            count -= sizes[-1]
        return sizes + [count] * (count > 0)

    def yields(self) -> bool:
        """May others go first, where nothing has to be waited for?"""
        return self._rng.random() < YIELDS

    def survives_kill(self) -> bool:
        """Does what a killed server had written still arrive?"""
        return self._rng.random() < 0.5

    def next_fault(self, now: float) -> tuple[float, Fault] | None:
        """When a line fails next, in seconds from ``now``, and how; None: it does not."""
        plan, rng = self.plan, self._rng
        if math.isinf(plan.fault_every_s):
            return None
        after_s = rng.expovariate(1 / plan.fault_every_s)
        if now + after_s >= plan.calm_after_s:
            return None
        way = rng.choice(list(Way))
        faults: list[Fault] = [
            Drop(),
            Cut(way, rng.randint(*plan.cut_bytes)),
            Stall(way, rng.uniform(*plan.stall_s), rng.random() < plan.stall_dies),
            HalfClose(way),
            Ghost(rng.uniform(*plan.ghost_s)),
        ]
        weights = [plan.drop, plan.cut, plan.stall, plan.half_close, plan.ghost]
        return after_s, rng.choices(faults, weights)[0]
