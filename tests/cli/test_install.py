"""``wsframe install`` and ``uninstall``, with wheels that are made here: without a network."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import coverage
import pytest
from click.testing import Result

from wsframe.cli import installer
from wsframe.cli.install import _distribution_of
from wsframe.cli.installer import Installer, find_installer, resolve
from wsframe.errors import StartError

Run = Callable[..., subprocess.CompletedProcess[str]]

PLUGIN = """\
from wsframe import hookimpl

class {name}Plugin:
    @hookimpl
    async def {hook}(self): pass
"""


def make_wheel(
    folder: Path, name: str, version: str, *, hook: str = "error_raised", plugin: bool = True
) -> Path:
    module, short = name.replace("-", "_"), name.removeprefix("wsframe-")
    path = folder / f"{module}-{version}-py3-none-any.whl"
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}.py": PLUGIN.format(name=short.title(), hook=hook),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if plugin:
        target = f"{module}:{short.title()}Plugin"
        files[f"{info}/entry_points.txt"] = f"[wsframe.plugins]\n{short} = {target}\n"
    files[f"{info}/RECORD"] = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            archive.writestr(file, text)
    return path


@pytest.fixture(scope="module")
def environment(source_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own that sees what this one has installed: the folder of its Python."""
    folder = tmp_path_factory.mktemp("environment")
    made = [sys.executable, "-m", "venv", "--without-pip", str(folder)]
    subprocess.run(made, check=True)
    (packages,) = folder.glob("lib/python*/site-packages")
    seen = [*(path for path in sys.path if path), source_tree]
    (packages / "a0_seen.pth").write_text("".join(f"{path}\n" for path in seen), encoding="utf-8")
    for measuring in Path(coverage.__file__).parent.parent.glob("*coverage.pth"):
        shutil.copy(measuring, packages)
    return folder / "bin"


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    return folder


@pytest.fixture
def run(environment: Path, tmp_path: Path) -> Iterator[Run]:
    """Runs ``wsframe`` in that environment, as if it had no pip unless ``pip`` is true."""
    uv = find_uv()
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WSFRAME", "PIP_", "UV", "VIRTUAL_ENV"))
    }

    def run(
        *arguments: str, pip: bool = False, answer: str = ""
    ) -> subprocess.CompletedProcess[str]:
        if (find_spec("pip") if pip else uv) is None:
            pytest.skip(f"{'pip' if pip else 'uv'} is not installed (make venv installs it)")
        hidden = "" if pip else "import sys; sys.modules['pip'] = None; "
        program = f"{hidden}from wsframe.cli import main; main()"
        return subprocess.run(
            [str(environment / "python"), "-P", "-c", program, *arguments],
            cwd=tmp_path,
            env={**kept, "UV": uv or "", "UV_OFFLINE": "1", "PIP_NO_INDEX": "1"},
            input=answer,
            capture_output=True,
            text=True,
            check=False,
        )

    yield run
    (packages,) = environment.parent.glob("lib/python*/site-packages")
    for left in packages.glob("wsframe_calm*"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("pip", [True, False], ids=["pip", "uv"])
def test_a_plugin_is_installed_and_uninstalled(
    run: Run, wheels: Path, tmp_path: Path, *, pip: bool
) -> None:
    make_wheel(wheels, "wsframe-calm", "0.1.0")
    done = run("install", "calm", "--find-links", str(wheels), "--no-index", pip=pip, answer="y\n")
    assert done.returncode == 0, done.stderr
    assert "calm is wsframe-calm" in done.stderr
    assert "installed: wsframe-calm 0.1.0" in done.stdout
    assert re.search(r"calm +active +wsframe-calm 0.1.0\n +hooks +error_raised\n", done.stdout)
    assert "-p no:calm leaves it out" in done.stdout

    (tmp_path / "wsframe.toml").write_text('[plugins]\nonly = ["calm"]\n')
    done = run("uninstall", "calm", "--yes", pip=pip)
    assert done.returncode == 0, done.stderr
    assert "uninstalled wsframe-calm" in done.stdout
    assert "[plugins] only: no plugin 'calm' is installed" in done.stderr


@pytest.mark.slow
def test_what_cannot_be_loaded_is_shown_with_its_error_and_exit_code_3(
    run: Run, wheels: Path
) -> None:
    wheel = make_wheel(wheels, "wsframe-calm", "0.1.0", hook="eror_raised")
    done = run("install", str(wheel), "--yes")
    assert done.returncode == 3, done.stderr
    assert re.search(r"calm +broken", done.stdout)
    assert "Did you mean 'error_raised'?" in done.stdout
    done = run("install", str(wheel), "--yes")
    assert "nothing has changed: wsframe-calm was installed already" in done.stdout
    make_wheel(wheels, "wsframe-calm", "0.2.0")
    done = run("install", "calm", "--upgrade", "--yes", "--find-links", str(wheels))
    assert done.returncode == 0, done.stderr
    assert "installed, was 0.1.0: wsframe-calm 0.2.0" in done.stdout


@pytest.mark.slow
def test_what_holds_no_plugin_is_said_so_and_is_not_uninstalled_as_one(
    run: Run, wheels: Path
) -> None:
    wheel = make_wheel(wheels, "wsframe-calm", "0.1.0", plugin=False)
    done = run("install", str(wheel), "--yes")
    assert done.returncode == 1
    assert "there is no plugin of wsframe in it" in done.stderr
    done = run("uninstall", "calm", "--yes")
    assert done.returncode == 1
    assert "wsframe-calm is installed, but it is no plugin of wsframe" in done.stderr


@pytest.mark.parametrize("action", ["install", "uninstall"])
def test_an_installer_that_fails_is_quoted(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    failing = (sys.executable, "-c", "import sys; print('no such package'); sys.exit(7)")
    with pytest.raises(StartError, match=rf"pip could not {action} wsframe-calm \(exit code 7\)"):
        Installer("pip", failing, ("--quiet",)).run(action, ["wsframe-calm"])
    assert "no such package" in capsys.readouterr().err


class Untouched(Installer):
    """Fails the test that runs it."""

    def run(self, action: str, arguments: Sequence[str], *options: str) -> None:
        pytest.fail(f"something was to {action} {arguments}")


def find_uv() -> str | None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "pip", None)
        try:
            return find_installer().command[0]
        except StartError:
            return None


@pytest.mark.parametrize(
    ("spec", "resolved"),
    [
        ("auth", "wsframe-auth"),
        ("Rate_Limit[redis]>=0.1", "wsframe-rate-limit[redis]>=0.1"),
        ("wsframe-auth", "wsframe-auth"),
        ("wsframe_auth==0.1.0", "wsframe-auth==0.1.0"),
        ("https://example.org/x.whl", "https://example.org/x.whl"),
        ("git+https://example.org/x", "git+https://example.org/x"),
        ("other @ https://example.org/x.whl", "other @ https://example.org/x.whl"),
        (".", "."),
        ("./", "./"),
    ],
)
def test_a_name_gets_the_prefix_and_what_names_a_place_does_not(spec: str, resolved: str) -> None:
    assert resolve(spec) == resolved


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("wsframe", "no plugin of its own"),
        ("--index-url=https://evil.example", "is an option of pip"),
        ("./missing.whl", "there is no file"),
        ("missing.whl[fast]", "there is no file"),
        ("two words", "names no plugin"),
        ("", "names no plugin"),
    ],
)
def test_what_is_no_plugin_is_refused_before_anything_runs(
    spec: str, why: str, invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsframe.cli.install.find_installer", lambda: Untouched("pip", (), ()))
    done = invoke("install", "--yes", "--", spec)
    assert done.exit_code == 1
    assert why in done.output


def test_a_bare_name_is_never_a_folder_that_lies_around(folder: Path) -> None:
    (folder / "auth").mkdir()
    assert resolve("auth") == "wsframe-auth"


@pytest.mark.parametrize("command", [("install", "auth"), ("uninstall", "origin")])
def test_nothing_changes_unless_somebody_agrees(
    command: tuple[str, str],
    invoke: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("wsframe.cli.install.find_installer", lambda: Untouched("pip", (), ()))
    done = invoke(*command)
    assert done.exit_code == 1
    assert f"wsframe-{command[1]}" in done.output
    assert "nobody answers" in done.output
    monkeypatch.setattr("click.confirm", lambda *_, **options: False)
    done = invoke(*command)
    assert done.exit_code == 1
    assert "nothing was changed" in done.output


@pytest.mark.parametrize("name", ["origin", "wsframe-origin", "wsframe_origin", "Origin"])
def test_a_plugin_goes_by_its_own_name_and_its_package_s(name: str) -> None:
    assert _distribution_of(name) == "wsframe-origin"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("orgin", "no plugin 'orgin' is installed"),
        ("click", "click is installed, but it is no plugin"),
        ("wsframe", "wsframe is installed, but it is no plugin"),
    ],
)
def test_what_is_no_installed_plugin_is_not_uninstalled(
    name: str, why: str, invoke: Callable[..., Result]
) -> None:
    done = invoke("uninstall", "--yes", name)
    assert done.exit_code == 1
    assert why in done.output
    if name == "orgin":
        assert "Did you mean 'origin'?" in done.output


def test_without_pip_and_uv_it_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "pip", None)
    monkeypatch.setattr(installer.sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(installer.shutil, "which", lambda name: None)
    monkeypatch.delenv("UV", raising=False)
    with pytest.raises(StartError, match="neither pip nor uv") as raised:
        find_installer()
    assert raised.value.hint
    assert "ensurepip" in raised.value.hint


def test_a_configuration_that_is_wrong_is_named_before_anything_is_installed(
    folder: Path, invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsframe.cli.install.find_installer", lambda: Untouched("pip", (), ()))
    (folder / "wsframe.toml").write_text("prot = 1\n")
    done = invoke("install", "auth", "--yes")
    assert done.exit_code == 2
    assert "prot" in done.output
