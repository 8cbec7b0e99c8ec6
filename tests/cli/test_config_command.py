"""``wsframe config``: check, show, default."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import Result

from wsframe.config import Config
from wsframe.config_fields import settings
from wsframe.config_sources import load_config

Invoke = Callable[..., Result]

NO_PLUGINS = "[plugins]\nonly = []\n"


def test_a_right_configuration_is_said_to_be_right(folder: Path, invoke: Invoke) -> None:
    (folder / "wsframe.toml").write_text(f"port = 5\n{NO_PLUGINS}")
    result = invoke("config", "check")
    assert (result.exit_code, result.stdout) == (0, "ok: 2 settings given, all right\n")


def test_all_problems_are_listed_and_the_code_is_that_of_the_first(
    folder: Path, invoke: Invoke
) -> None:
    (folder / "wsframe.toml").write_text('port = "x"\nmax_conections = 5\n')
    result = invoke("config", "check")
    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        'wsframe: error: wsframe.toml:1: port = "x": must be a whole number from 0 to 65535',
        "wsframe: error: wsframe.toml:2: max_conections = 5: there is no such setting",
        "wsframe: hint: Did you mean max_connections?",
    ]


def test_problems_are_there_for_machines_too(folder: Path, invoke: Invoke) -> None:
    (folder / "wsframe.toml").write_text("max_conections = 5\n")
    result = invoke("config", "check", "--json")
    assert result.exit_code == 2
    report = json.loads(result.stdout)
    assert report["ok"] is False
    assert report["problems"][0]["hint"] == "Did you mean max_connections?"
    (folder / "wsframe.toml").write_text(NO_PLUGINS)
    assert json.loads(invoke("config", "check", "--json").stdout) == {
        "ok": True,
        "given": 1,
        "problems": [],
    }


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ('tls_certificate_file = "missing.pem"\n', "TLS: there is no file 'missing.pem'"),
        ('log_file = "wsframe.toml/x.log"\n', "log_file = 'wsframe.toml/x.log': cannot be written"),
        ("[plugins.nowhere]\nx = 1\n", "no plugin 'nowhere' is installed"),
    ],
)
def test_what_the_configuration_names_must_be_there(
    folder: Path, invoke: Invoke, toml: str, problem: str
) -> None:
    (folder / "wsframe.toml").write_text(toml)
    result = invoke("config", "check")
    assert result.exit_code != 0
    assert problem in result.stderr


def test_the_keyword_arguments_of_an_application_count(folder: Path, invoke: Invoke) -> None:
    (folder / "chat.py").write_text("from wsframe import App\napp = App(port=5, backlog=7)\n")
    shown = json.loads(invoke("config", "show", "chat:app", "--json", WSFRAME_PORT="4").stdout)
    assert shown["port"] == {"value": 5, "origin": "App(...) (not WSFRAME_PORT)"}
    assert shown["backlog"] == {"value": 7, "origin": "App(...)"}
    assert shown["host"] == {"value": "127.0.0.1", "origin": "default"}
    assert set(settings()) == set(shown)


def test_a_plugin_that_the_application_brings_itself_may_have_settings(
    folder: Path, invoke: Invoke
) -> None:
    (folder / "wsframe.toml").write_text(
        '[plugins]\nonly = ["greeter"]\n[plugins.greeter]\nx = 1\n'
    )
    (folder / "chat.py").write_text(
        "import msgspec\nfrom wsframe import App, hookimpl\n"
        "class Greeter:\n"
        "    class Config(msgspec.Struct):\n        x: int\n"
        "    def __init__(self, config): pass\n"
        "    @hookimpl\n    def setup(self, app): pass\n"
        "app = App(plugins=[Greeter])\n"
    )
    assert invoke("config", "check").exit_code == 2
    assert invoke("config", "check", "chat:app").exit_code == 0


def test_everybody_who_disabled_a_plugin_is_named(folder: Path, invoke: Invoke) -> None:
    (folder / "wsframe.toml").write_text('[plugins]\ndisable = ["a"]\n')
    shown = json.loads(invoke("config", "show", "-p", "no:b", "--json").stdout)
    assert shown["plugins.disable"] == {
        "value": ["a", "b"],
        "origin": "wsframe.toml:2 and command line",
    }


def test_secrets_are_not_shown(folder: Path, invoke: Invoke) -> None:
    (folder / "wsframe.toml").write_text(
        'host = "x://user:hunter2@y"\n'
        '[plugins.auth]\njwt_secret = "hunter2"\nurl = "redis://u:hunter2@h"\n'
        'nested = {private_key = "hunter2"}\nkeys = ["hunter2"]\nissuer = "me"\n'
    )
    for arguments in (["show"], ["show", "--json"], ["check"]):
        result = invoke("config", *arguments)
        assert "hunter2" not in result.output
    shown = json.loads(invoke("config", "show", "--json").stdout)
    assert shown["plugins.auth.jwt_secret"]["value"] == "***"
    assert shown["plugins.auth.issuer"]["value"] == "me"


def test_what_is_shown_for_people_has_value_and_origin(folder: Path, invoke: Invoke) -> None:
    (folder / "wsframe.toml").write_text('host = "::1"\ncompression = false\n')
    lines = [line.split() for line in invoke("config", "show").stdout.splitlines()]
    assert ["host", '"::1"', "wsframe.toml:1"] in lines
    assert ["compression", "false", "wsframe.toml:2"] in lines
    assert ["unix_socket", "none", "default"] in lines


def test_any_setting_can_be_set_on_the_command_line(invoke: Invoke) -> None:
    shown = json.loads(invoke("config", "show", "--set", "backlog=9", "--json").stdout)
    assert shown["backlog"] == {"value": 9, "origin": "command line"}
    assert invoke("config", "show", "--set", "backlog").exit_code == 2
    assert "Did you mean backlog?" in invoke("config", "show", "--set", "backlgo=1").stderr


def test_the_defaults_with_every_comment_removed_are_the_defaults(
    folder: Path, invoke: Invoke
) -> None:
    text = invoke("config", "default").stdout
    assert tomllib.loads(text) == {"plugins": {}}
    lines = [
        line[1:] if line.startswith("#") and not line.startswith("# ") else line
        for line in text.splitlines()
    ]
    active = "\n".join(line for line in lines if line != 'only = "none"')
    (folder / "wsframe.toml").write_text(active)
    assert load_config(folder=folder, environ={}) == Config()
    keys = set(tomllib.loads(active)) | {
        f"plugins.{key}" for key in tomllib.loads(active)["plugins"]
    }
    assert keys == set(settings()) - {"plugins.only"} | {"plugins"}


def test_the_defaults_are_there_for_machines(invoke: Invoke) -> None:
    defaults = json.loads(invoke("config", "default", "--json").stdout)
    own = {key: value for key, value in defaults.items() if "." not in key}
    assert msgspec.convert(own, Config) == Config()


def test_every_setting_is_explained(invoke: Invoke) -> None:
    page = invoke("config", "default", "--markdown").stdout
    for key in settings():
        _, _, rest = page.partition(f"### `{key}`\n\n")
        text = rest.split("\n\n")[0]
        assert text.endswith("."), f"{key} has no sentence"
        assert f"WSFRAME_{key.upper().replace('.', '_')}" in rest.split("###")[0]
