"""What is wrong with the settings is said at the start, by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from wsframe_ratelimit import Config, Limit, RatelimitPlugin

from wsframe import App, ConfigError
from wsframe.testing import Connector


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"connection": {"rate": 0}}, "rate is 0, and must be between 1e-06 and 1e+06"),
        ({"connection": {"rate": -1}}, "rate is -1"),
        ({"connection": {"rate": float("nan")}}, "rate is nan"),
        ({"connection": {"rate": float("inf")}}, "rate is inf"),
        ({"address": {"rate": 1, "burst": 0}}, "burst is 0, and must be between 1 and 1000000000"),
        ({"address": {"burst": 5}}, "Object missing required field rate"),
        ({"identity": {"rate": 1, "brust": 1}}, "brust"),
        ({"types": {"ask": {"cost": -1}}}, "cost must be between 0"),
        ({"types": {"ask": {"burst": 1}}}, "burst needs a rate"),
        ({"types": {"ask": {"rate": 1, "per": "room"}}}, "room"),
        ({"types": {"ping": {"cost": 1}}}, "'ping' is the protocol's own type"),
        (
            {"types": {"ask": {"cost": 101}}},
            "'ask' costs 101 and would never pass: connection has a burst of 100",
        ),
        ({"connection": 5}, "connection = 5: must be a table, or none"),
        ({"connnection": {"rate": 5}}, "Did you mean connection?"),
        ({"exempt_addresses": ["10.0.0.1/8"]}, "exempt_addresses: '10.0.0.1/8' is no address"),
        ({"trusted_proxies": ["nginx"]}, "trusted_proxies: 'nginx' is no address or network"),
        ({"max_keys": 0}, "max_keys must be between 1 and 10000000"),
    ],
)
async def test_a_wrong_setting_stops_the_start_and_is_named(
    settings: dict[str, Any], said: str, wsframe_client: Connector
) -> None:
    app = App(plugins=[RatelimitPlugin], **{"plugins.ratelimit": settings})
    with pytest.raises(ConfigError) as caught:
        await wsframe_client(app)
    assert said in f"{caught.value} {caught.value.hint}"


async def test_a_file_sets_everything(
    wsframe_client: Connector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wsframe.toml").write_text(
        "[plugins.ratelimit]\n"
        'identity = "none"\n'
        "[plugins.ratelimit.connection]\n"
        "rate = 2.5\n"
        "[plugins.ratelimit.types.ask]\n"
        "cost = 3\n"
        "rate = 0.5\n"
        "burst = 2\n"
    )
    monkeypatch.chdir(tmp_path)
    app = App(plugins=[RatelimitPlugin])
    await wsframe_client(app)
    (record,) = [
        each for each in app._manager.records.values() if isinstance(each.plugin, RatelimitPlugin)
    ]
    config = record.plugin.config
    assert config.connection == Limit(rate=2.5)
    assert config.connection.tokens == 13
    assert config.types["ask"].limit == Limit(rate=0.5, burst=2)
    assert config.identity is None


def test_a_burst_that_nobody_chose_is_what_five_seconds_bring() -> None:
    assert [Limit(rate=rate).tokens for rate in (0.1, 1, 2.5, 100)] == [1, 5, 13, 500]


def test_the_rate_is_what_was_written() -> None:
    assert Limit(rate=0.1).exact_rate * 10 == 1


def test_the_defaults_are_those_of_the_readme() -> None:
    config = Config()
    limits = {
        name: (getattr(config, name).rate, getattr(config, name).tokens)
        for name in ("connection", "identity", "address", "handshakes", "violations")
    }
    assert limits == {
        "connection": (20, 100),
        "identity": (50, 250),
        "address": (200, 1_000),
        "handshakes": (10, 100),
        "violations": (1, 100),
    }
