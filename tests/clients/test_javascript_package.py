"""The JavaScript client keeps its rules against a scripted server, and its package is in order."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.node_packages import folder_with, require_node
from wsframe.version import __version__

pytestmark = pytest.mark.slow

NODE_TIMEOUT_S = 120.0
LARGEST_BYTES = 8 * 1024


@pytest.fixture(scope="module")
def package(source_tree: Path) -> Path:
    return source_tree / "clients" / "js"


def run(*command: str, cwd: Path) -> str:
    done = subprocess.run(
        command, cwd=cwd, capture_output=True, text=True, timeout=NODE_TIMEOUT_S, check=False
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("rules", ["connecting", "requests", "resuming", "streams"])
def test_the_client_keeps_its_rules(package: Path, rules: str) -> None:
    require_node()
    script = f"test/{rules}.test.mjs"
    told = run("node", "--test", "--test-reporter=tap", script, cwd=package)
    (passed,) = re.findall(r"^# pass (\d+)$", told, re.MULTILINE)
    assert int(passed) >= 10, told


def test_every_file_of_rules_is_run(package: Path) -> None:
    found = {path.name.removesuffix(".test.mjs") for path in package.glob("test/*.test.mjs")}
    assert found == {"connecting", "requests", "resuming", "streams"}


def test_package_and_module_have_the_version_of_wsframe(package: Path) -> None:
    metadata = json.loads((package / "package.json").read_text())
    module = (package / "wsframe-client.js").read_text()
    assert metadata["version"] == __version__
    assert f'export const VERSION = "{__version__}";' in module


def test_the_package_holds_what_users_need_and_depends_on_nothing(package: Path) -> None:
    require_node("npm")
    (packed,) = json.loads(run("npm", "pack", "--dry-run", "--json", cwd=package))
    assert {file["path"] for file in packed["files"]} == {
        "LICENSE",
        "README.md",
        "package.json",
        "wsframe-client.d.ts",
        "wsframe-client.js",
    }
    metadata = json.loads((package / "package.json").read_text())
    assert not [name for name in metadata if name.lower().endswith("dependencies")]
    assert not re.search(
        r"^\s*import\b|\bimport\(|\brequire\(", (package / metadata["main"][2:]).read_text(), re.M
    )


def test_the_license_is_that_of_wsframe(package: Path, source_tree: Path) -> None:
    assert (package / "LICENSE").read_text() == (source_tree / "LICENSE").read_text()


def test_the_package_can_be_imported_by_its_name(package: Path, tmp_path: Path) -> None:
    require_node()
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "wsframe-client").symlink_to(package)
    script = 'import * as all from "wsframe-client"; console.log(Object.keys(all).join())'
    told = run("node", "--input-type=module", "--eval", script, cwd=tmp_path)
    assert told == "Client,RequestError,VERSION\n"


def test_the_declared_types_name_what_the_module_exports(package: Path) -> None:
    module = (package / "wsframe-client.js").read_text()
    declared = (package / "wsframe-client.d.ts").read_text()
    exported = re.findall(r"^export (?:const|class) (\w+)", module, re.MULTILINE)
    values = re.findall(r"^export (?:const|class) (\w+)", declared, re.MULTILINE)
    assert sorted(exported) == sorted(values)
    body = module.split("export class Client {")[1]
    methods = set(re.findall(r"^  (?:async |get )?([a-z]\w*)\(", body, re.MULTILINE))
    typed = declared.split("export class Client {")[1]
    named = set(re.findall(r"^  (?:readonly )?([a-z]\w*)[(<:]", typed, re.MULTILINE))
    assert methods == named


def test_minified_and_compressed_the_client_stays_small(package: Path) -> None:
    folder = folder_with("terser")
    terser = str(folder / "node_modules" / "terser" / "bin" / "terser")
    module = str(package / "wsframe-client.js")
    minified = run("node", terser, module, "--module", "--compress", "--mangle", cwd=package)
    assert 1_000 < len(gzip.compress(minified.encode(), 9)) < LARGEST_BYTES
