"""What one run is like: everything that is drawn from its seed before it begins."""

from __future__ import annotations

import random
from typing import Any

import msgspec

from wsframe.testing.faults import Plan

SECONDS_A_REQUEST = 0.4
"""Of all clients together, on average."""


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """One run.

    Attributes:
        seed: where it comes from.
        active_s: so long things are asked and go wrong; then network and server are well again.
        store: ``none`` (sessions end with the process), ``memory`` or ``sqlite``.
        settings: of the application.
        plan: of the network.
        client_options: of each client.
        requests: how many each client makes.
        kills: when the server is killed.
        restarts: when it is stopped in an orderly way.
        down_s: how long it stays away then, at most.
        commit_s: how long a commit takes, at most.
        store_fails: the share of the store's steps that fail.
        pushes: how many messages the application sends of its own accord.
    """

    seed: int
    active_s: float
    store: str
    settings: dict[str, Any]
    plan: Plan
    client_options: tuple[dict[str, Any], ...]
    requests: tuple[int, ...]
    kills: tuple[float, ...]
    restarts: tuple[float, ...]
    down_s: float
    commit_s: float
    store_fails: float
    pushes: int

    @property
    def strict(self) -> bool:
        """Does nothing leave before it is stored?"""
        return self.settings["durability"] == "strict"

    @property
    def window_s(self) -> float:
        """How long a session may be resumed."""
        window_s: float = self.settings["resume_window_s"]
        return window_s

    @property
    def title(self) -> str:
        """What it is, in a few words."""
        store = self.store if self.store == "none" else f"{self.store} {self._durability}"
        return f"{len(self.requests)} clients, store {store}, {len(self.kills)} kills"

    @property
    def _durability(self) -> str:
        return str(self.settings["durability"])


def draw(seed: int, *, requests: int) -> Scenario:
    """The scenario of a seed.

    Args:
        seed: any number.
        requests: of all clients together, about.
    """
    rng = random.Random(f"{seed}: scenario")
    store = rng.choices(["none", "memory", "sqlite"], [25, 55, 20])[0]
    clients = rng.randint(2, 6)
    kills = rng.choice([0, 0, 1, 2]) if store == "none" else rng.choice([0, 1, 2, 4])
    restarts = rng.choice([0, 0, 1, 2])
    small = rng.random() < 0.3
    active_s = requests * SECONDS_A_REQUEST
    return Scenario(
        seed=seed,
        active_s=active_s,
        store=store,
        settings={
            "durability": rng.choice(["strict", "batched"]),
            "resume_window_s": rng.choice([2.0, 8.0, 30.0, 30.0]),
            "outbox_messages": rng.choice([8, 30]) if small else 1_000,
            "outbox_bytes": rng.choice([4_096, 32_768]) if small else 1_000_000,
            "ledger_messages": rng.choice([8, 64, 256]),
            "ledger_bytes": rng.choice([2_000, 1_000_000]),
            "max_in_flight": rng.choice([2, 8, 64]),
            "max_detached_sessions": rng.choice([1, 100, 100, 100]),
            "message_timeout_s": rng.choice([10.0, 30.0]),
            "heartbeat_interval_s": 3.0,
            "heartbeat_timeout_s": 2.0,
            "close_timeout_s": rng.choice([1.0, 3.0]),
            "handshake_timeout_s": 5.0,
            "drain_timeout_s": rng.choice([0.0, 0.5, 3.0]),
            "reconnect_after_ms": rng.choice([0, 500]),
            "max_retries": rng.choice([0, 0, 1]),
            "compression_min_bytes": rng.choice([1, 1_024]),
            "compression_context_takeover": rng.random() < 0.5,
        },
        plan=_plan(rng, active_s),
        client_options=tuple(_client_options(rng) for _ in range(clients)),
        requests=tuple(_share(rng, requests, clients)),
        kills=tuple(sorted(rng.uniform(1, active_s) for _ in range(kills))),
        restarts=tuple(sorted(rng.uniform(1, active_s) for _ in range(restarts))),
        down_s=rng.choice([0.0, 0.5, 4.0]),
        commit_s=rng.choice([0.0, 0.002, 0.02, 0.5]),
        store_fails=rng.choice([0.0, 0.0, 0.0, 0.05]),
        pushes=round(requests * rng.choice([0, 0.2, 0.6])),
    )


def _share(rng: random.Random, requests: int, clients: int) -> list[int]:
    weights = [rng.uniform(0.3, 1) for _ in range(clients)]
    return [max(1, round(requests * weight / sum(weights))) for weight in weights]


def _plan(rng: random.Random, active_s: float) -> Plan:
    slow = rng.random() < 0.2
    return Plan(
        connect_s=(0.0, rng.choice([0.0, 0.2])),
        refused=rng.choice([0.0, 0.1, 0.3]),
        timed_out=rng.choice([0.0, 0.02]),
        connect_timeout_s=2.0,
        latency_s=(0.0, rng.choice([0.0, 0.005, 0.1])),
        lag_s=(0.0, rng.choice([0.0, 0.3])),
        chunk_bytes=rng.choice([None, None, (1, 200), (1, 20)]),
        fault_every_s=rng.choice([0.8, 3.0, 3.0, 6.0]),
        drop=rng.uniform(0.3, 1),
        cut=rng.uniform(0.3, 1),
        stall=rng.uniform(0.1, 1),
        half_close=rng.uniform(0.1, 1),
        ghost=rng.uniform(0.1, 1),
        cut_bytes=(0, rng.choice([10, 300, 1_000])),
        stall_s=(0.05, rng.choice([0.5, 4.0, 8.0])),
        ghost_s=(0.05, rng.choice([0.5, 4.0, 8.0])),
        calm_after_s=active_s,
        window_bytes=1_000 if slow else 65_536,
    )


def _client_options(rng: random.Random) -> dict[str, Any]:
    return {
        "subprotocol": rng.choice(["json", "msgpack"]),
        "compression": rng.random() < 0.3,
        "ack_every": rng.choice([1, 4, 32]),
        "ack_delay_s": rng.choice([0.5, 5.0]),
        "backoff_base_s": rng.choice([0.01, 0.25]),
        "backoff_cap_s": rng.choice([0.5, 3.0]),
        "connect_timeout_s": rng.choice([1.0, 4.0]),
        "max_queued": rng.choice([4, 1_000]),
        "max_queued_parts": rng.choice([2, 256]),
    }
