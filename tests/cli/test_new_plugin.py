"""``wsframe new-plugin`` writes a package; that it works as it is, the tutorial's test shows."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from packaging.requirements import Requirement

from wsframe.cli import new_plugin
from wsframe.cli.new_plugin import Names, check_name
from wsframe.errors import StartError
from wsframe.version import __version__

LONGEST = "a" * 14 + "-" + "b" * 15

Invoke = Callable[..., Result]


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_it_writes_a_package_and_says_what_comes_next(folder: Path, invoke: Invoke) -> None:
    done = invoke("new-plugin", "rate-limit2")
    assert done.exit_code == 0, done.output
    written = {
        ".github/workflows/tests.yml",
        ".gitignore",
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "tests/test_plugin.py",
        "wsframe_rate_limit2/__init__.py",
        "wsframe_rate_limit2/py.typed",
    }
    assert files_in(folder / "wsframe-rate-limit2") == written
    assert all(name in done.output for name in written)
    assert "cd wsframe-rate-limit2" in done.output


def test_the_metadata_are_those_of_a_plugin_for_this_wsframe(folder: Path, invoke: Invoke) -> None:
    invoke("new-plugin", "rate-limit2")
    text = (folder / "wsframe-rate-limit2" / "pyproject.toml").read_text(encoding="utf-8")
    project = tomllib.loads(text)["project"]
    assert project["name"] == "wsframe-rate-limit2"
    assert project["entry-points"]["wsframe.plugins"] == {
        "rate-limit2": "wsframe_rate_limit2:RateLimit2Plugin"
    }
    (requirement,) = [
        found for found in map(Requirement, project["dependencies"]) if found.name == "wsframe"
    ]
    assert requirement.specifier.contains(__version__)
    assert not requirement.specifier.contains("99.0")


def test_no_placeholder_is_left_and_ci_has_its_own(folder: Path, invoke: Invoke) -> None:
    invoke("new-plugin", "shout")
    package = folder / "wsframe-shout"
    for name in files_in(package) - {".github/workflows/tests.yml"}:
        assert "$" not in (package / name).read_text(encoding="utf-8"), name
    workflow = (package / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8")
    assert "${{ matrix.python }}" in workflow


@pytest.mark.parametrize("name", ["a", LONGEST])
def test_the_code_is_well_formed_however_long_the_name_is(
    name: str, folder: Path, invoke: Invoke
) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("ruff is not installed (make venv installs it)")
    assert invoke("new-plugin", name).exit_code == 0
    for check in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [str(ruff), *check, "."],
            cwd=folder / f"wsframe-{name}",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_a_folder_that_exists_is_never_written_to(folder: Path, invoke: Invoke) -> None:
    (folder / "wsframe-shout").mkdir()
    (folder / "wsframe-shout" / "README.md").write_text("mine")
    done = invoke("new-plugin", "shout")
    assert isinstance(done.exception, StartError) or done.exit_code == 1
    assert "wsframe-shout exists" in str(done.exception) + done.output
    assert files_in(folder) == {"wsframe-shout/README.md"}


def test_another_folder_can_be_named(folder: Path, invoke: Invoke) -> None:
    assert invoke("new-plugin", "shout", "--dir", "src/deep").exit_code == 0
    assert (folder / "src" / "deep" / "wsframe_shout" / "__init__.py").exists()


def test_a_folder_that_cannot_be_written_is_named(folder: Path, invoke: Invoke) -> None:
    (folder / "file").write_text("")
    done = invoke("new-plugin", "shout", "--dir", "file/inner")
    assert done.exit_code == 1
    assert "cannot be written: Not a directory" in done.output


def test_the_prefix_may_be_given_and_counts_once() -> None:
    names = Names("shout-out", "wsframe-shout-out", "wsframe_shout_out", "ShoutOutPlugin")
    assert check_name("shout-out") == check_name("wsframe-shout-out") == names


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Shout", "Did you mean 'shout'?"),
        ("rate_limit", "Did you mean 'rate-limit'?"),
        ("wsframe_shout", "Did you mean 'shout'?"),
        ("../shout", "Did you mean 'shout'?"),
        ("shout--out", "Did you mean 'shout-out'?"),
        ("1st", "starts with a letter."),
        ("", "starts with a letter."),
        ("wsframe-", "starts with a letter."),
        ("schön", "starts with a letter."),
        ("a" * 31, "at most 30 characters"),
        ("only", "[plugins] has a setting of this name"),
        ("origin", "wsframe-origin 0.1.0 is installed and has this name"),
    ],
)
def test_a_name_that_no_plugin_can_have_is_refused_with_the_reason(
    name: str, why: str, folder: Path, invoke: Invoke
) -> None:
    done = invoke("new-plugin", "--", name)
    assert done.exit_code == 2
    assert why in " ".join(done.output.split())
    assert files_in(folder) == set()


@pytest.mark.parametrize(
    ("version", "versions"),
    [("0.1.0", ">=0.1,<0.2"), ("0.12.3.dev1", ">=0.12,<0.13"), ("1.4.0", ">=1.4,<2")],
)
def test_versions_with_breaking_changes_are_left_out(version: str, versions: str) -> None:
    assert new_plugin._versions(version) == versions
