"""A plugin's own settings become its struct, with the same care."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from wsframe.config_sources import load_config
from wsframe.errors import ConfigError
from wsframe.hooks.settings import convert_settings


class Ban(msgspec.Struct, forbid_unknown_fields=True):
    after: int
    for_s: float = 60.0

    def __post_init__(self) -> None:
        if self.after < 0:
            raise ValueError("after is negative")


class RateLimit(msgspec.Struct, forbid_unknown_fields=True):
    secret: str
    burst: int = 10
    exempt: list[str] = []
    ban: Ban | None = None
    strict: bool = False

    def __post_init__(self) -> None:
        if self.burst < 1:
            raise ValueError("burst must be at least 1")


def read(values: dict[str, Any]) -> RateLimit:
    config = convert_settings("rate-limit", RateLimit, values)
    assert isinstance(config, RateLimit)
    return config


def from_environment(tmp_path: Path, **variables: str) -> RateLimit:
    environ = {f"WSFRAME_PLUGIN_RATE_LIMIT__{key}": value for key, value in variables.items()}
    (tmp_path / "wsframe.toml").write_text("[plugins.rate-limit]\nsecret = 'x'\n")
    tables = load_config(folder=tmp_path, environ=environ).plugins.settings
    return read(tables["rate-limit"])


def test_a_table_becomes_the_struct() -> None:
    values = {"secret": "x", "burst": 3, "exempt": ["a"], "ban": {"after": 2}}
    assert read(values) == RateLimit("x", 3, ["a"], Ban(2, 60.0))


def test_texts_of_the_environment_are_read_as_the_fields_types(tmp_path: Path) -> None:
    found = from_environment(
        tmp_path, SECRET="12345", BURST="7", EXEMPT="a,b", BAN='{"after": 4}', STRICT="yes"
    )
    assert found == RateLimit("12345", 7, ["a", "b"], Ban(4), True)


def test_an_unknown_key_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ConfigError, match=r"plugins\.rate-limit\.brust = 3") as caught:
        read({"secret": "x", "brust": 3})
    assert caught.value.hint == "Did you mean burst?"
    with pytest.raises(ConfigError) as caught:
        read({"secret": "x", "zzz": 3})
    assert caught.value.hint == "It knows: secret, burst, exempt, ban, strict."


def test_a_missing_key_is_named_with_where_to_set_it() -> None:
    with pytest.raises(ConfigError, match=r"plugins\.rate-limit\.secret is missing") as caught:
        read({})
    assert "WSFRAME_PLUGIN_RATE_LIMIT__SECRET" in str(caught.value.hint)


def test_a_wrong_type_is_named_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "wsframe.toml").write_text("[plugins.rate-limit]\nsecret = 'x'\nburst = 'lots'\n")
    tables = load_config(folder=tmp_path, environ={}).plugins.settings
    with pytest.raises(
        ConfigError, match=r'wsframe\.toml:3: plugins\.rate-limit\.burst = "lots": must be a whole'
    ):
        read(tables["rate-limit"])


def test_a_wrong_type_inside_a_table_is_named_with_its_path() -> None:
    with pytest.raises(ConfigError, match=r"Expected int, got str at after"):
        read({"secret": "x", "ban": {"after": "soon"}})


def test_what_a_table_itself_objects_to_is_said() -> None:
    with pytest.raises(ConfigError, match=r"ban = \{'after': -1\}: after is negative$"):
        read({"secret": "x", "ban": {"after": -1}})
    with pytest.raises(ConfigError, match=r"Object missing required field after$"):
        read({"secret": "x", "ban": {}})
    with pytest.raises(ConfigError, match="must be a table, or none"):
        read({"secret": "x", "ban": 3})


def test_a_wrong_secret_is_not_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        read({"secret": 4711})
    assert "4711" not in str(caught.value)


def test_what_the_struct_itself_objects_to_is_said() -> None:
    with pytest.raises(ConfigError, match=r"plugins\.rate-limit: burst must be at least 1"):
        read({"secret": "x", "burst": 0})
