"""A plugin's settings are checked as strictly as wsframe's own, and no secret is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from wsframe.config_sources import load_config
from wsframe.errors import ConfigError
from wsframe.hooks.settings import convert_settings, shown_config


class Store(msgspec.Struct):
    url: str = "memory://"
    pool: int = 4


class Config(msgspec.Struct, kw_only=True):
    greeting: str = "Hello"
    max_per_s: Annotated[int, msgspec.Meta(ge=1)] = 5
    api_token: str = ""
    store: Store = msgspec.field(default_factory=Store)
    rooms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.greeting == "":
            raise ValueError("greeting must not be empty")


class Required(msgspec.Struct):
    secret: str


def refused(settings: dict[str, Any], config: type[msgspec.Struct] = Config) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        convert_settings("greeter", config, settings)
    return caught.value


def test_settings_become_the_config() -> None:
    settings = {"greeting": "Hi", "store": {"pool": 8}, "rooms": ["lobby"]}
    config = convert_settings("greeter", Config, settings)
    assert config == Config(greeting="Hi", store=Store(pool=8), rooms=("lobby",))


def test_an_unknown_key_is_refused_with_the_nearest_one() -> None:
    error = refused({"greetin": "Hi"})
    assert error.message == (
        "App(...): plugins.greeter.greetin = \"Hi\": plugin 'greeter' has no such setting"
    )
    assert error.hint == "Did you mean greeting?"


def test_an_unknown_key_like_no_other_is_refused_with_those_there_are() -> None:
    assert refused({"zzz": 1}).hint == "It knows: greeting, max_per_s, api_token, store, rooms."


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_per_s": "5"}, 'max_per_s = "5": must be a whole number'),
        ({"max_per_s": 0}, "max_per_s = 0: must be a whole number, at least 1"),
        ({"greeting": 1}, "greeting = 1: must be a text"),
        ({"rooms": "lobby"}, 'rooms = "lobby": must be a list'),
    ],
)
def test_a_wrong_value_is_refused_with_what_it_must_be(
    settings: dict[str, Any], words: str
) -> None:
    assert words in refused(settings).message


def test_what_the_struct_itself_objects_to_is_said_in_its_words() -> None:
    assert "greeting must not be empty" in refused({"greeting": ""}).message


def test_a_setting_without_default_must_be_given() -> None:
    error = refused({}, Required)
    assert error.message == "plugins.greeter.secret is missing"
    assert "WSFRAME_PLUGIN_GREETER__SECRET" in (error.hint or "")


def test_a_secret_is_not_in_the_error_about_it() -> None:
    assert "hunter2" not in str(refused({"api_token": ["hunter2"]}))
    assert "hunter2" not in str(refused({"api_tokn": "hunter2"}))


def test_an_error_names_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "wsframe.toml"
    file.write_text('port = 1\n\n[plugins.greeter]\ngreeting = "Hi"\nmax_per_s = "many"\n')
    settings = load_config(file=file, environ={}).plugins.settings["greeter"]
    error = refused(settings)
    assert "wsframe.toml:5: plugins.greeter.max_per_s" in error.message


def test_a_variable_of_the_environment_is_read_as_its_field_s_type(tmp_path: Path) -> None:
    environ = {
        "WSFRAME_PLUGIN_GREETER__MAX_PER_S": "7",
        "WSFRAME_PLUGIN_GREETER__ROOMS": "lobby, hall",
    }
    settings = load_config(folder=tmp_path, environ=environ).plugins.settings["greeter"]
    config = convert_settings("greeter", Config, settings)
    assert config == Config(max_per_s=7, rooms=("lobby", "hall"))


def test_shown_settings_are_without_secrets() -> None:
    config = Config(api_token="hunter2", store=Store(url="redis://user:hunter2@127.0.0.1/0"))
    shown = shown_config(config)
    assert shown is not None
    assert "hunter2" not in repr(shown)
    assert shown["greeting"] == "Hello"
    assert shown["store"]["pool"] == 4


def test_a_plugin_without_config_shows_none() -> None:
    assert shown_config(None) is None
    assert shown_config(object()) is None
