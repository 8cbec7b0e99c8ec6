"""Threat 45: a plugin fails to import or is misconfigured, and nobody guards the door any more.

The server must not start: neither the native one, nor embedded, nor under another ASGI server.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from wsframe import App, ConfigError, PluginError, StartError

CHAT = "from wsframe import App\napp = App(port=0)\n"
GUARD = "from wsframe import hookimpl\n@hookimpl\nasync def message_received(message): ...\n"

FAULTS: dict[str, tuple[str, str, str]] = {
    # what is wrong: wsframe.toml, plugins/guard.py, words of the error
    "import fails": ("", "import nowhere_to_be_found", "No module named 'nowhere_to_be_found'"),
    "import ends the program": ("", "raise SystemExit(0)", "SystemExit"),
    "syntax": ("", "this is no Python", "SyntaxError"),
    "wrong colour": ("", GUARD.replace("async ", ""), "must be 'async def'"),
    "misspelled hook": ("", GUARD.replace("received", "recieved"), "no hook 'message_recieved'"),
    "forgotten mark": ("", GUARD.replace("@hookimpl", ""), "no @hookimpl"),
    "no hook": ("", "x = 1", "implements no hook"),
    "setup fails": (
        "",
        GUARD + "@hookimpl\ndef setup(app): raise OSError('no key file')",
        "setup failed with OSError: no key file",
    ),
    "started fails": (
        "",
        GUARD + "@hookimpl\nasync def started(app): raise OSError('no database')",
        "started failed with OSError: no database",
    ),
    "settings of a missing plugin": ("[plugins.gaurd]\nx = 1", GUARD, "no plugin 'gaurd'"),
    "only a missing plugin": ('[plugins]\nonly = ["gaurd"]', GUARD, "no plugin 'gaurd'"),
    "settings it does not take": ("[plugins.guard]\nx = 1", GUARD, "takes no settings"),
    "wrong setting": ('[plugins.origin]\nallow = ["evil"]', GUARD, "is not an origin"),
    "misspelled setting": ('[plugins.origin]\nalow = ["null"]', GUARD, "Did you mean allow?"),
    "folder is missing": ('[plugins]\ndirs = ["nowhere"]', GUARD, "'nowhere' is not a folder"),
}


@pytest.fixture
def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Write an application with the fault; return the words that must be said about it."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith("WSFRAME_"):
            monkeypatch.delenv(name)

    def write(fault: str) -> str:
        toml, plugin, words = FAULTS[fault]
        if "[plugins]" not in toml:
            toml = f'[plugins]\ndirs = ["plugins"]\n{toml}'
        elif "dirs" not in toml:
            toml += '\ndirs = ["plugins"]'
        (tmp_path / "wsframe.toml").write_text(toml)
        (tmp_path / "plugins").mkdir()
        (tmp_path / "plugins" / "guard.py").write_text(plugin)
        (tmp_path / "chat.py").write_text(CHAT)
        return words

    return write


@pytest.mark.anyio
@pytest.mark.parametrize("fault", FAULTS)
async def test_45_the_application_does_not_start(
    fault: str, prepare: Callable[[str], str], anyio_backend_name: str
) -> None:
    words = prepare(fault)
    app = App(port=0, transport="asyncio" if anyio_backend_name == "asyncio" else "anyio")
    with pytest.raises((PluginError, ConfigError)) as caught:
        await app.start()
    assert isinstance(caught.value, StartError)
    assert words in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize("fault", ["import fails", "misspelled setting"])
def test_45_the_command_line_says_it_in_one_line_and_exits(
    fault: str, prepare: Callable[[str], str]
) -> None:
    words = prepare(fault)
    done = subprocess.run(
        [sys.executable, "-m", "wsframe", "run", "chat:app"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == {"import fails": 3, "misspelled setting": 2}[fault]
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert "wsframe: error:" in done.stderr
    assert "ws://" not in done.stdout + done.stderr


def test_45_another_asgi_server_does_not_start_either(prepare: Callable[[str], str]) -> None:
    words = prepare("import fails")
    done = subprocess.run(
        [sys.executable, "-m", "uvicorn", "chat:app", "--port", "0", "--lifespan", "on"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert words in done.stdout + done.stderr
    assert "Uvicorn running" not in done.stderr


def test_45_leaving_the_broken_plugin_out_on_purpose_is_possible(
    prepare: Callable[[str], str],
) -> None:
    prepare("import fails")
    command = [sys.executable, "-m", "wsframe", "plugins", "--json"]
    broken = subprocess.run(command, capture_output=True, timeout=60, check=False)
    without = subprocess.run(
        [*command, "-p", "no:guard"], capture_output=True, timeout=60, check=False
    )
    assert (broken.returncode, without.returncode) == (1, 0)
