"""Two nodes that count in one store; and what happens while that does not work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from wsframe_ratelimit import Limit, TypeRule, plugin

from wsframe import App, Identity, RequestRefused, StoreError, hookimpl
from wsframe.stores import MemoryStore, TokenBucket
from wsframe.testing import Connector, RequestError

from .conftest import ELSEWHERE

Limited = Callable[..., App]
ANN = Identity(subject="ann")


class CountingStore(MemoryStore):
    """The store of a node, which counts in a memory that all nodes share."""

    def __init__(self, full_at: dict[str, float]) -> None:
        super().__init__()
        self.full_at = full_at
        self.asked: list[list[str]] = []
        self.fails: Callable[[], Any] | None = None

    async def take(self, buckets: Sequence[TokenBucket], *, now: float) -> float:
        self.asked.append([each.key for each in buckets])
        await anyio.lowlevel.checkpoint()
        if self.fails is not None:
            await self.fails()
        later = {
            each.key: max(self.full_at.get(each.key, 0.0), now) + each.cost / each.rate
            for each in buckets
        }
        wait = max(later[each.key] - now - each.burst / each.rate for each in buckets)
        if wait > 1e-6:
            return wait
        self.full_at |= later
        return 0.0


@pytest.fixture
def nodes(limited: Limited, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[App]]:
    """Makes two applications beside each other, which are started at the same moment."""
    monkeypatch.setattr(plugin, "time", SimpleNamespace(time=lambda: 1.7e9, monotonic_ns=None))

    def nodes(**settings: Any) -> list[App]:
        shared: dict[str, float] = {}
        made = []
        for _ in range(2):
            store = CountingStore(shared)
            app = limited(Offers(store), app_settings={"store": "counting:"}, **settings)
            app.counting = store  # type: ignore[attr-defined]
            made.append(app)
        return made

    return nodes


class Offers:
    def __init__(self, store: CountingStore) -> None:
        self._store = store

    @hookimpl
    def make_store(self, url: str) -> Any:
        return self._store if url == "counting:" else None


async def refusal(client: Any, message_type: str = "text") -> RequestError:
    with pytest.raises(RequestError) as caught:
        await client.request(message_type)
    return caught.value


async def test_two_nodes_let_through_together_what_one_would(
    wsframe_client: Connector, nodes: Callable[..., list[App]]
) -> None:
    one, two = [
        await wsframe_client(app, identity=ANN) for app in nodes(identity=Limit(rate=1, burst=6))
    ]
    for _ in range(3):
        await one.request("text")
        await two.request("text")
    for client in (one, two):
        error = await refusal(client)
        assert (error.code, error.details) == ("rate_limited", {"limit": "shared"})
        assert error.retry_after_ms == 1_000
    await anyio.sleep(1)
    await one.request("text")
    assert (await refusal(two)).code == "rate_limited"


async def test_what_the_store_refuses_is_not_taken_here_either(
    wsframe_client: Connector, nodes: Callable[..., list[App]]
) -> None:
    one, two = [
        await wsframe_client(app, identity=ANN)
        for app in nodes(identity=Limit(rate=0.1, burst=2), connection=Limit(rate=0.001, burst=3))
    ]
    await one.request("text")
    await one.request("text")
    for _ in range(5):
        assert (await refusal(two)).details == {"limit": "shared"}
    await anyio.sleep(20)
    await two.request("text")
    await two.request("text")


async def test_what_this_node_refuses_is_not_asked_of_the_store(
    wsframe_client: Connector, nodes: Callable[..., list[App]]
) -> None:
    app, _ = nodes(identity=Limit(rate=1, burst=2))
    client = await wsframe_client(app, identity=ANN)
    for _ in range(2):
        await client.request("text")
    asked = len(app.counting.asked)  # type: ignore[attr-defined]
    for _ in range(20):
        await refusal(client)
    assert len(app.counting.asked) == asked == 2  # type: ignore[attr-defined]


async def test_the_store_counts_identities_addresses_types_and_handshakes(
    wsframe_client: Connector, nodes: Callable[..., list[App]]
) -> None:
    app, _ = nodes(types={"ask": TypeRule(rate=1), "free": TypeRule(rate=1, per="connection")})
    client = await wsframe_client(app, identity=ANN, address=ELSEWHERE)
    await client.request("ask")
    await client.request("free")
    anonymous = await wsframe_client(app)
    await anonymous.request("text")
    assert app.counting.asked == [  # type: ignore[attr-defined]
        [f"handshakes:{ELSEWHERE}"],
        ["identity:ann", f"address:{ELSEWHERE}", "type:ask:identity:ann"],
        ["identity:ann", f"address:{ELSEWHERE}"],
    ]


async def test_handshakes_are_counted_together(
    wsframe_client: Connector, nodes: Callable[..., list[App]]
) -> None:
    one, two = nodes(handshakes=Limit(rate=0.1, burst=2))
    await wsframe_client(one, address=ELSEWHERE)
    await wsframe_client(two, address=ELSEWHERE)
    with pytest.raises(RequestRefused) as refused:
        await wsframe_client(two, address=ELSEWHERE)
    assert (refused.value.status, refused.value.retry_after_s) == (429, 10)


async def never() -> None:
    await anyio.sleep_forever()


async def breaks() -> None:
    raise StoreError("gone")


async def breaks_badly() -> None:
    raise KeyError("what")


@pytest.mark.parametrize("fails", [never, breaks, breaks_badly])
async def test_while_the_store_does_not_count_each_node_does_and_says_so_once(
    wsframe_client: Connector, nodes: Callable[..., list[App]], fails: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    caplog.set_level(logging.ERROR)
    app, _ = nodes(identity=Limit(rate=0.01, burst=4))
    client = await wsframe_client(app, identity=ANN)
    await client.request("text")
    app.counting.fails = fails  # type: ignore[attr-defined]
    for _ in range(3):
        await client.request("text")
    assert (await refusal(client)).details == {"limit": "identity"}
    assert len(app.counting.asked) == 2  # type: ignore[attr-defined]
    (record,) = caplog.records
    assert "the store does not count: for 5 s each node counts by itself" in record.getMessage()
    app.counting.fails = None  # type: ignore[attr-defined]
    await anyio.sleep(105)
    await client.request("text")
    assert len(app.counting.asked) == 3  # type: ignore[attr-defined]


async def test_sharing_can_be_off(
    wsframe_client: Connector, nodes: Callable[..., list[App]]
) -> None:
    one, two = nodes(identity=Limit(rate=1, burst=1), shared=False)
    for app in (one, two):
        await (await wsframe_client(app, identity=ANN)).request("text")
    assert one.counting.asked == []  # type: ignore[attr-defined]


async def test_a_stopped_application_shares_nothing_and_starts_again(
    wsframe_client: Connector, nodes: Callable[..., list[App]]
) -> None:
    app, _ = nodes(identity=Limit(rate=0.01, burst=5))
    await (await wsframe_client(app, identity=ANN)).request("text")
    assert app.store is app.counting  # type: ignore[attr-defined]
    await wsframe_client.stop(app)
    assert app.store is None
    await (await wsframe_client(app, identity=ANN)).request("text")
    assert len(app.counting.asked) == 2  # type: ignore[attr-defined]
