"""Which source wins, and what is refused with which words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wsframe.config import Config, PluginSettings
from wsframe.config_fields import Text
from wsframe.config_sources import ResolvedConfig, load_config, resolve_config
from wsframe.errors import ConfigError

Resolve = Callable[..., ResolvedConfig]


@pytest.fixture
def resolve(tmp_path: Path) -> Resolve:
    """Resolves with a given ``wsframe.toml`` and nothing of this machine's environment."""

    def resolve(toml: str = "", **sources: Any) -> ResolvedConfig:
        (tmp_path / "wsframe.toml").write_text(toml)
        return resolve_config(folder=tmp_path, **{"environ": {}, **sources})

    return resolve


@pytest.fixture
def refusal(resolve: Resolve) -> Callable[..., ConfigError]:
    """The error that the sources give."""

    def refusal(toml: str = "", **sources: Any) -> ConfigError:
        with pytest.raises(ConfigError) as caught:
            resolve(toml, **sources)
        return caught.value

    return refusal


def test_without_any_source_every_setting_has_its_default(tmp_path: Path) -> None:
    assert load_config(folder=tmp_path, environ={}) == Config()


def test_each_source_is_stronger_than_the_one_before(resolve: Resolve) -> None:
    toml = "port = 1\nbacklog = 1\nmax_in_flight = 1\nmax_connections = 1"
    environ = {"WSFRAME_BACKLOG": "2", "WSFRAME_MAX_IN_FLIGHT": "2", "WSFRAME_MAX_CONNECTIONS": "2"}
    overrides = {"max_in_flight": Text("3"), "max_connections": Text("3")}
    config = resolve(
        toml, environ=environ, overrides=overrides, arguments={"max_connections": 4}
    ).config
    assert (config.port, config.backlog, config.max_in_flight, config.max_connections) == (
        1,
        2,
        3,
        4,
    )


def test_every_source_of_a_value_is_remembered_weakest_first(resolve: Resolve) -> None:
    given = resolve(
        "\nport = 1", environ={"WSFRAME_PORT": "2"}, overrides={"port": Text("3")}
    ).given["port"]
    assert [each.value for each in given] == [1, 2, 3]
    assert given[0].origin.where.endswith("wsframe.toml:2")
    assert [each.origin.where for each in given[1:]] == ["WSFRAME_PORT", "command line"]


def test_the_table_in_pyproject_counts_where_there_is_no_wsframe_toml(tmp_path: Path) -> None:
    pyproject = tmp_path / "pyproject.toml"
    pyproject.write_text('[tool.wsframe]\nport = 7\n[tool.wsframe.plugins]\ndisable = ["a"]\n')
    resolved = resolve_config(folder=tmp_path, environ={})
    assert resolved.config.port == 7
    assert resolved.config.plugins.disable == ("a",)
    assert resolved.given["port"][0].origin.where.endswith("pyproject.toml:2")
    (tmp_path / "wsframe.toml").write_text("port = 8")
    assert load_config(folder=tmp_path, environ={}).port == 8


def test_a_pyproject_of_somebody_else_is_not_even_parsed(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("this is [ no TOML")
    assert load_config(folder=tmp_path, environ={}) == Config()


def test_a_named_file_counts_instead_of_those_in_the_folder(tmp_path: Path) -> None:
    (tmp_path / "wsframe.toml").write_text("port = 1")
    (tmp_path / "other.toml").write_text("port = 2")
    assert load_config(folder=tmp_path, environ={}, file=Path("other.toml")).port == 2
    assert load_config(folder=tmp_path, environ={"WSFRAME_CONFIG": "other.toml"}).port == 2


def test_a_named_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml: cannot be read: No such file"):
        load_config(folder=tmp_path, environ={}, file=Path("missing.toml"))


def test_a_file_that_is_no_toml_is_refused_with_the_line(
    refusal: Callable[..., ConfigError],
) -> None:
    assert "wsframe.toml: is not valid TOML" in str(refusal("port = 1\nport ="))
    assert "line 2" in str(refusal("port = 1\nport =\nbacklog = 1"))


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "wsframe.toml").write_bytes(b'host = "\xff"')
    with pytest.raises(ConfigError, match="is not valid TOML"):
        load_config(folder=tmp_path, environ={})


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("max_conections = 5", "max_connections"),
        ("maxConnections = 5", "max_connections"),
        ("heartbeat_interval = 5", "heartbeat_interval_s"),
        ("[heartbeat]\ninterval = 5", "heartbeat_interval_s"),
        ("[message]\ntimeout = 5", "message_timeout_s"),
        ("maxPayload = 5", "max_message_bytes"),
        ("[production]\nperMessageDeflate = true", "compression"),
        ('[plugins]\ndisabled = ["x"]', "plugins.disable"),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_one(
    refusal: Callable[..., ConfigError], written: str, meant: str
) -> None:
    error = refusal(written)
    assert "there is no such setting" in str(error)
    assert error.hint == f"Did you mean {meant}?"


def test_an_unknown_key_is_named_with_value_file_and_line(
    refusal: Callable[..., ConfigError],
) -> None:
    assert "wsframe.toml:3: max_conections = 5: " in str(
        refusal("# a comment\n\nmax_conections = 5")
    )


def test_a_key_like_no_other_gets_a_hint_where_all_are_listed(
    refusal: Callable[..., ConfigError],
) -> None:
    assert refusal("qqq = 1").hint == "'wsframe config default' lists them all."
    assert refusal(environ={"WSFRAME_QQQ": "1"}).hint == "'wsframe config default' lists them all."


def test_an_unknown_variable_is_refused_with_the_nearest_one(
    refusal: Callable[..., ConfigError],
) -> None:
    error = refusal(environ={"WSFRAME_MAX_CONECTIONS": "5"})
    assert "WSFRAME_MAX_CONECTIONS" in str(error)
    assert error.hint == "Did you mean WSFRAME_MAX_CONNECTIONS?"


def test_an_unknown_keyword_argument_is_refused(refusal: Callable[..., ConfigError]) -> None:
    error = refusal(arguments={"max_conections": 5})
    assert str(error) == "App(...): max_conections = 5: there is no such setting"


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ('port = "http"', 'port = "http": must be a whole number from 0 to 65535'),
        ("port = 65536", "port = 65536: must be a whole number from 0 to 65535"),
        ("port = true", "port = true: must be a whole number from 0 to 65535"),
        ("port = 1.5", "port = 1.5: must be a whole number"),
        ("max_connections = 0", "max_connections = 0: must be a whole number, at least 1"),
        ("max_retries = -1", "max_retries = -1: must be a whole number, not negative"),
        ("heartbeat_timeout_s = 0", "heartbeat_timeout_s = 0: must be a number, above 0"),
        ("heartbeat_interval_s = -1", "must be a number from 0 to"),
        ("close_timeout_s = inf", "close_timeout_s = inf: must be a number, above 0"),
        ("close_timeout_s = nan", "close_timeout_s = nan: must be a number, above 0"),
        ("compression = 1", "compression = 1: must be true or false"),
        ("compression_window_bits = 16", "must be a whole number from 9 to 15"),
        ("compression_window_bits = 8", "must be a whole number from 9 to 15"),
        ('transport = "udp"', 'transport = "udp": must be one of asyncio, anyio'),
        ('log_level = "loud"', "must be one of debug, info, warning, error, critical"),
        ("host = 1", "host = 1: must be a text"),
        ('host = "none"\nport = "none"', "port"),
        ("[plugins]\ndisable = 5", "plugins.disable = 5: must be a list, each item a text"),
        ("[plugins]\nonly = [1]", "plugins.only = [1]: must be a list, each item a text, or none"),
        ("log_file_backups = 0", "log_file_backups = 0: must be a whole number, at least 1"),
    ],
)
def test_a_value_of_the_wrong_type_or_range_is_refused(
    refusal: Callable[..., ConfigError], written: str, problem: str
) -> None:
    assert problem in str(refusal(written))


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ('tls_key_file = "key.pem"', "a key needs a certificate"),
        ('backend = "trio"', "the asyncio transport cannot run on trio"),
        ('path = "ws"', "must start with /"),
        ('path = "/w s"', "must start with /"),
        ('path = "/ws?x=1"', "must start with /"),
        ('unix_socket = "/tmp/a.sock"\nport = 80', "excludes unix_socket"),
        ('unix_socket = "/tmp/a.sock"\nhost = "::"', "excludes unix_socket"),
        (f'unix_socket = "/{"x" * 110}"', "is longer than 103 bytes"),
        ('unix_socket = ""', "must be the path of a socket"),
        ('debug = "protocol,mesages"', "must be * or some of protocol, messages, hooks, server"),
        ('[plugins]\nonly = ["a"]\ndisable = ["a"]', "plugin a is in plugins.only too"),
    ],
)
def test_an_impossible_combination_is_refused(
    refusal: Callable[..., ConfigError], written: str, problem: str
) -> None:
    assert problem in str(refusal(written))


def test_a_unix_socket_from_a_stronger_source_beats_a_port_of_the_file(resolve: Resolve) -> None:
    config = resolve("port = 80", overrides={"unix_socket": Text("/tmp/a.sock")}).config
    assert config.unix_socket == "/tmp/a.sock"


def test_a_port_on_the_command_line_does_not_silently_beat_a_unix_socket_of_the_file(
    refusal: Callable[..., ConfigError], resolve: Resolve
) -> None:
    toml = 'unix_socket = "/tmp/a.sock"'
    assert "command line: port = 80: excludes unix_socket" in str(
        refusal(toml, overrides={"port": Text("80")})
    )
    overrides = {"port": Text("80"), "unix_socket": Text("none")}
    assert resolve(toml, overrides=overrides).config.unix_socket is None


def test_one_error_carries_all_the_others(refusal: Callable[..., ConfigError]) -> None:
    error = refusal('port = "a"\nbacklog = "b"\nnothing = 1')
    assert "port" in str(error)
    assert [str(other).split(": ")[1] for other in error.others] == [
        'backlog = "b"',
        "nothing = 1",
    ]


@pytest.mark.parametrize(
    ("variable", "text", "setting", "value"),
    [
        ("WSFRAME_COMPRESSION", "off", "compression", False),
        ("WSFRAME_COMPRESSION", "True", "compression", True),
        ("WSFRAME_CLOSE_TIMEOUT_S", "2.5", "close_timeout_s", 2.5),
        ("WSFRAME_MESSAGE_TIMEOUT_S", "none", "message_timeout_s", None),
        ("WSFRAME_MESSAGE_TIMEOUT_S", "4", "message_timeout_s", 4.0),
        ("WSFRAME_LOG_LEVEL", "DEBUG", "log_level", "debug"),
        ("WSFRAME_HOST", "12", "host", "12"),
        ("WSFRAME_DEBUG", "protocol,hooks", "debug", "protocol,hooks"),
        ("WSFRAME_DEBUG", "websocket:*", "debug", "websocket:*"),
        ("WSFRAME_PORT", "", "port", 3001),
    ],
)
def test_a_variable_is_read_as_its_settings_type(
    resolve: Resolve, variable: str, text: str, setting: str, value: object
) -> None:
    assert getattr(resolve(environ={variable: text}).config, setting) == value


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("WSFRAME_PORT", "3001x"),
        ("WSFRAME_PORT", "3.5"),
        ("WSFRAME_COMPRESSION", "maybe"),
        ("WSFRAME_CLOSE_TIMEOUT_S", "soon"),
        ("WSFRAME_CLOSE_TIMEOUT_S", "nan"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named(
    refusal: Callable[..., ConfigError], variable: str, text: str
) -> None:
    assert str(refusal(environ={variable: text})).startswith(f"{variable}: ")


def test_variables_of_orchestrators_and_tests_are_no_settings(resolve: Resolve) -> None:
    environ = {
        "WSFRAME_PORT": "tcp://10.0.0.1:3001",
        "WSFRAME_PORT_3001_TCP_ADDR": "10.0.0.1",
        "WSFRAME_SERVICE_HOST": "10.0.0.1",
        "WSFRAME_SERVICE_PORT": "3001",
        "WSFRAME_TRACE_PLUGINS": "1",
        "WSFRAME_TEST_SOMETHING": "1",
        "HOME": "/",
    }
    assert resolve(environ=environ).config == Config()


def test_plugins_can_be_chosen_by_variables(resolve: Resolve) -> None:
    environ = {"WSFRAME_PLUGINS": "origin, auth", "WSFRAME_PLUGINS_DIRS": "plugins"}
    plugins = resolve(environ=environ).config.plugins
    assert plugins.only == ("origin", "auth")
    assert plugins.dirs == ("plugins",)


def test_what_any_source_disables_stays_disabled(resolve: Resolve) -> None:
    plugins = resolve(
        '[plugins]\ndisable = ["a"]\ndirs = ["x"]',
        environ={"WSFRAME_PLUGINS_DISABLE": "b"},
        overrides={"plugins.disable": ["c", "a"], "plugins.dirs": ["y"]},
    ).config.plugins
    assert plugins.disable == ("a", "b", "c")
    assert plugins.dirs == ("x", "y")


def test_settings_of_plugins_are_merged_over_the_sources_key_by_key(resolve: Resolve) -> None:
    toml = "[plugins.rate-limit]\nburst = 1\nper_s = 2\nbans = {after = 3, for_s = 4}\n"
    environ = {
        "WSFRAME_PLUGIN_RATE_LIMIT__BURST": "9",
        "WSFRAME_PLUGIN_RATE_LIMIT__BANS__AFTER": "5",
        "WSFRAME_PLUGIN_AUTH__SECRET": "s",
    }
    settings = resolve(toml, environ=environ).config.plugins.settings
    assert settings == {
        "rate-limit": {"burst": "9", "per_s": 2, "bans": {"after": "5", "for_s": 4}},
        "auth": {"secret": "s"},
    }


def test_plugin_settings_may_be_given_as_the_struct_or_as_tables(resolve: Resolve) -> None:
    struct = PluginSettings(disable=("a",), only=("b",), settings={"b": {"x": 1}})
    table = {"disable": ["a"], "only": ["b"], "b": {"x": 1}}
    for plugins in (struct, table):
        assert resolve(arguments={"plugins": plugins}).config.plugins == struct


def test_secrets_are_not_in_the_error_about_them(refusal: Callable[..., ConfigError]) -> None:
    assert "hunter2" not in str(refusal('api_token = "hunter2"'))
    assert "hunter2" not in str(refusal('stor = "redis://user:hunter2@host/0"'))
    assert "hunter2" not in str(refusal('port = ["token=hunter2"]'))


def test_control_characters_of_a_value_are_escaped_in_the_error(
    refusal: Callable[..., ConfigError],
) -> None:
    text = str(refusal(environ={"WSFRAME_PORT": "1\n\x1b[31m"}))
    assert "\n" not in text
    assert "\x1b" not in text


def test_an_argument_with_a_dotted_key_may_hold_a_table_or_be_one() -> None:
    tables = [
        {"plugins.auth.rooms": {"admin.*": ["admin"]}, "plugins.auth.policy": "optional"},
        {"plugins.auth": {"rooms": {"admin.*": ["admin"]}, "policy": "optional"}},
    ]
    for arguments in tables:
        resolved = resolve_config(environ={}, arguments=arguments)
        assert resolved.config.plugins.settings == {
            "auth": {"rooms": {"admin.*": ["admin"]}, "policy": "optional"}
        }
