"""Settings that make no sense are refused at the start, and secrets are never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from wsframe_monitoring import AlertSettings, Config, MonitoringPlugin, Rule

from wsframe import App, ConfigError


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"path": "metrics"}, "path must start with"),
        ({"path": "/metrics/*"}, "path must start with"),
        ({"allow": ("10.0.0.0/33",)}, "allow: "),
        ({"allow": ("localhost",)}, "allow: "),
        ({"token": "short"}, "token must be at least 16"),
        ({"token": "a" * 20, "token_file": "token"}, "give one of them"),
        ({"buckets_s": ()}, "numbers that rise"),
        ({"buckets_s": (1.0, 0.5)}, "numbers that rise"),
        ({"webhook_url": "http://chat.example/x"}, "must be https"),
        ({"webhook_url": "ftp://chat.example/x"}, "must be https"),
        ({"webhook_url": "https:///x"}, "must be https"),
        ({"webhook_url": "https://a/", "webhook_url_file": "url"}, "give one of them"),
        ({"interval_s": 0.1, "alerts": AlertSettings(loop_lag=Rule(threshold=1, window_s=3600))},
         "more than 10000 times"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        Config(**settings)


def test_a_rule_is_cleared_below_where_it_is_raised() -> None:
    assert Rule(threshold=10).clears_at == 8
    assert Rule(threshold=10, clear=10).clears_at == 10
    with pytest.raises(ValueError, match="clear must not be above threshold"):
        Rule(threshold=10, clear=11)


@pytest.mark.parametrize("url", ["https://chat.example/x", "http://127.0.0.1:9/", "http://[::1]/"])
def test_a_webhook_is_far_and_safe_or_near(url: str) -> None:
    assert Config(webhook_url=url).webhook_url == url


def test_secrets_are_not_shown() -> None:
    config = Config(token="very secret indeed", webhook_url="https://chat.example/very-secret")
    assert "secret" not in repr(config)


FILE = """
[plugins]
only = ["monitoring"]
[plugins.monitoring]
token = "a token for Prometheus"
access_log = ["connections"]
[plugins.monitoring.alerts]
error_rate = 0.5
loop_lag = "off"
connection_count = {threshold = 100, clear = 50, window_s = 10}
"""


def test_a_file_says_it_in_numbers_words_and_tables(tmp_path: Path) -> None:
    file = tmp_path / "wsframe.toml"
    file.write_text(FILE, encoding="utf-8")
    app = App(plugins=[MonitoringPlugin], config_file=file)
    try:
        config = app.prepare().manager.records["monitoring"].config
    finally:
        app.release()
    assert config.alerts == AlertSettings(
        error_rate=0.5,
        loop_lag="off",
        connection_count=Rule(threshold=100, clear=50, window_s=10),
    )


@pytest.mark.parametrize(
    "wrong",
    ["error_rate = -1", 'error_rate = "on"', "error_rates = 1", "loop_lag = {limit = 1}"],
)
def test_an_alert_that_makes_no_sense_stops_the_start(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "wsframe.toml"
    file.write_text(
        f'[plugins]\nonly = ["monitoring"]\n[plugins.monitoring.alerts]\n{wrong}\n',
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match=r"plugins\.monitoring\.alerts"):
        App(plugins=[MonitoringPlugin], config_file=file).prepare()
