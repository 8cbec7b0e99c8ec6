"""The hooks of the reference, read from their specs; and which released plugin uses which."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from wsframe.hooks import SPECS, Spec

PLUGINS = Path(__file__).parent.parent / "plugins"

_LABEL = re.compile(r"^(When|Result|Exception|Cost): ", re.MULTILINE)


def uses() -> dict[str, list[str]]:
    """The packages in ``plugins/`` that implement each hook."""
    found: dict[str, list[str]] = {hook: [] for hook in SPECS}
    for package in sorted(PLUGINS.glob("wsframe-*/wsframe_*")):
        for file in sorted(package.rglob("*.py")):
            for hook in _implemented(ast.parse(file.read_text(encoding="utf-8"))):
                found[hook].append(package.parent.name)
    return found


def _implemented(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if ast.unparse(called).rpartition(".")[2] == "hookimpl":
                keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
                names = [ast.literal_eval(k.value) for k in keywords if k.arg == "specname"]
                yield names[0] if names else node.name


def hooks() -> Iterator[str]:
    """A table of all hooks, then a section for each."""
    used = uses()
    yield "## All hooks\n"
    yield "| hook | policy | for | used by |\n|---|---|---|---|"
    for spec in SPECS.values():
        users = ", ".join(f"`{name}`" for name in used[spec.name]) or "no released plugin yet"
        yield f"| [`{spec.name}`](#{spec.name}) | {_policy(spec)} | {_summary(spec)} | {users} |"
    yield ""
    for spec in SPECS.values():
        yield _section(spec)


def _policy(spec: Spec) -> str:
    return spec.policy.value + (", fails the start" if spec.fails_start else "")


def _summary(spec: Spec) -> str:
    return _code(_docstring(spec).partition("\n")[0].rstrip("."))


def _section(spec: Spec) -> str:
    colour = "async" if spec.is_async else "sync"
    summary, _, rest = _docstring(spec).partition("\n\n")
    details = "\n".join(_details(rest))
    return (
        f"### `{spec.name}`\n\n```text\n{spec.signature}\n```\n\n"
        f"{_code(summary)}\n\n- Policy: {_policy(spec)}; {colour}\n{details}\n"
    )


def _details(text: str) -> Iterator[str]:
    """``When: …`` and its like become list entries."""
    parts = _LABEL.split(text)
    for label, body in zip(parts[1::2], parts[2::2], strict=True):
        yield f"- {label}: {_code(' '.join(body.split()))}"


def _code(text: str) -> str:
    return text.replace("``", "`")


def _docstring(spec: Spec) -> str:
    return inspect.getdoc(spec.function) or ""
