"""The plugin as it is after installation: its settings, and ``wsframe token``.

It is "installed" here by a folder that has the metadata of its package, because the environment of
the tests has none: there, every other test would need tokens.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from wsframe_auth import AuthPlugin, Config, KeySource

from wsframe import App, ConfigError

PACKAGE = Path(__file__).parent.parent
SECRET = "do-not-show-this-secret-to-anybody-at-all"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs ``wsframe …`` where the package is installed, in a folder with ``wsframe.toml``."""
    metadata = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    info = tmp_path / "installed" / f"wsframe_auth-{metadata['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: wsframe-auth\nVersion: {metadata['version']}\n"
    )
    entry_points = metadata["entry-points"]["wsframe.plugins"]
    lines = "".join(f"{name} = {value}\n" for name, value in entry_points.items())
    (info / "entry_points.txt").write_text(f"[wsframe.plugins]\n{lines}")
    (tmp_path / "chat.py").write_text("from wsframe import App\napp = App(port=0)\n")
    (tmp_path / "wsframe.toml").write_text(
        f'[plugins.auth]\nalgorithms = ["HS256"]\nsecret = "{SECRET}"\nissuer = "here"\n'
        'audience = ["chat"]\npermissions = { "admin.*" = ["admin"] }\n'
    )

    def run(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(Path(sys.executable).parent / "wsframe"), *arguments],
            cwd=tmp_path,
            env={"PYTHONPATH": str(tmp_path / "installed"), "PATH": ""},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            **options,
        )

    return run


def test_once_installed_it_is_active_and_shows_no_secret(run: Run) -> None:
    shown = json.loads(run("plugins", "--json").stdout)
    (plugin,) = [each for each in shown["plugins"] if each["name"] == "auth"]
    assert plugin["state"] == "active"
    assert plugin["config"]["permissions"] == {"admin.*": ["admin"]}
    for arguments in (["plugins"], ["plugins", "--json"], ["config", "show"]):
        done = run(*arguments)
        assert SECRET not in done.stdout + done.stderr
        assert done.returncode == 0


def test_without_a_key_an_installed_plugin_keeps_the_server_from_starting(
    run: Run, tmp_path: Path
) -> None:
    (tmp_path / "wsframe.toml").write_text("")
    done = run("run", "chat:app")
    assert done.returncode == 3
    assert "there is no key to check tokens with" in done.stderr
    assert "-p no:auth" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "line",
    [
        "secret = 7777777777777777",
        'secert = "do-not-show-this"',
        'secret = "do-not-show-this"',
        'issuers = [{ secret = "do-not-show-this", algorithms = 7 }]',
        'issuers = [{ secret = "do-not-show-this", unknown = 7 }]',
    ],
)
def test_what_is_wrong_with_a_secret_is_said_without_showing_it(
    run: Run, tmp_path: Path, line: str
) -> None:
    (tmp_path / "wsframe.toml").write_text(f'[plugins.auth]\nalgorithms = ["HS256"]\n{line}\n')
    done = run("run", "chat:app")
    assert done.returncode in (2, 3)
    assert "auth" in done.stderr
    assert "do-not-show-this" not in done.stderr + done.stdout
    assert "7777777777777777" not in done.stderr + done.stdout


def test_a_token_is_made_and_read_on_the_command_line(run: Run) -> None:
    made = run("token", "make", "ann", "--scope", "a b", "--claim", "age=7", "--claim", "x=y")
    assert (made.returncode, made.stderr) == (0, "")
    token = made.stdout.strip()
    read = run("token", "inspect", "-", input=token)
    assert (read.returncode, read.stderr) == (0, "It counts.\n")
    shown = json.loads(read.stdout)
    claims = shown["claims"]
    assert shown["header"]["alg"] == "HS256"
    assert {name: claims[name] for name in ("sub", "scope", "age", "x", "iss", "aud")} == {
        "sub": "ann", "scope": "a b", "age": 7, "x": "y", "iss": "here", "aud": "chat",
    }  # fmt: skip
    assert claims["exp"] - claims["iat"] == 3600
    over = run("token", "make", "ann", "--expires-in=-60").stdout.strip()
    read = run("token", "inspect", over)
    assert read.returncode == 1
    assert read.stderr == "It does not count: it has expired.\n"
    assert run("token", "inspect", "nonsense").returncode == 1


def test_a_token_can_be_made_with_a_private_key_only_if_it_fits(run: Run, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    assert run("token", "make", "ann", "--private-key", "key.pem").returncode == 1
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    (tmp_path / "wsframe.toml").write_text(
        '[plugins.auth]\nalgorithms = ["ES256"]\npublic_key_file = "public.pem"\n'
    )
    made = run("token", "make", "ann", "--private-key", "key.pem", "--kid", "1")
    assert run("token", "inspect", made.stdout.strip()).stderr == "It counts.\n"
    refused = run("token", "make", "ann")
    assert refused.returncode == 1
    assert "there is nothing to sign with" in refused.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"require": ("exp",)}, "'sub' must be among them"),
        ({"cookie_origins": ("chat.example",)}, "is not an origin"),
        ({"cookie_origins": ("*",)}, "is not an origin"),
        ({"permissions": {"a b": ()}}, "neither a name nor a pattern"),
        ({"rooms": {"": ()}}, "neither a name nor a pattern"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Config(**settings)


def test_no_repr_shows_a_secret() -> None:
    source = KeySource(secret=SECRET, algorithms=("HS256",), issuer="there")
    config = Config(secret=SECRET, algorithms=("HS256",), issuer="here", issuers=(source,))
    plugin = AuthPlugin(config)
    app = App(plugins=[plugin])
    app.prepare()
    shown = [
        config,
        source,
        plugin,
        plugin._identifying.verifier,
        *plugin._identifying.verifier.issuers,
    ]
    shown += [issuer.keys for issuer in plugin._identifying.verifier.issuers]
    shown += [issuer.keys._key for issuer in plugin._identifying.verifier.issuers]  # type: ignore[attr-defined]
    app.release()
    assert SECRET not in " ".join(f"{each!r} {each}" for each in shown)


def test_a_handler_for_the_type_of_the_renewal_is_refused() -> None:
    app = App(plugins=[AuthPlugin(Config(secret=SECRET, algorithms=("HS256",)))])

    @app.handler("auth")
    async def auth(message: Any, connection: Any) -> None: ...

    with pytest.raises(Exception, match="already has a handler") as refused:
        app.prepare()
    assert not isinstance(refused.value, ConfigError) or "auth" in str(refused.value)
