"""Both engines give the verdicts of the official JSON Schema test suite."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from wsframe_validation.drafts import DRAFTS, Draft
from wsframe_validation.engine_fast import FastEngine
from wsframe_validation.engine_pure import PureEngine
from wsframe_validation.engines import Engine
from wsframe_validation.files import SchemaFile
from wsframe_validation.graph import Graph

SUITE = Path(__file__).parent / "suite"
URI = "https://folder-0.invalid/case.schema.json"
CUSTOM_METASCHEMAS = {"2020-12": 2, "2019-09": 2, "7": 0}
"""Groups whose schema has a ``$schema`` of its own: those are refused."""
OF_OTHER_DRAFTS = {
    "2020-12": ("extendible-dynamic-ref.json", "tree.json"),
    "2019-09": ("extendible-dynamic-ref.json", "tree.json"),
    "7": (
        "extendible-dynamic-ref.json", "locationIndependentIdentifier.json",
        "nested-absolute-ref-to-string.json",
    ),
}  # fmt: skip
"""Documents in the root folder that are not valid in this draft."""


def lines(name: str) -> list[dict[str, Any]]:
    text = (SUITE / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def others(draft: Draft) -> list[tuple[str, Any, Draft]]:
    """The documents that this draft's cases refer to, fresh: a graph keeps what it is given."""
    found = []
    for each in lines(f"draft{draft.name}-remotes"):
        named = each["contents"].get("$schema", draft.uri).rstrip("#")
        at_root = each["uri"].count("/") == 3
        unfit = at_root and each["uri"].rpartition("/")[2] in OF_OTHER_DRAFTS[draft.name]
        if named == draft.uri and not unfit:
            found.append((each["uri"], each["contents"], draft))
    return found


def graph_of(schema: Any, draft: Draft) -> Graph:
    if isinstance(schema, dict):
        schema = {"$schema": draft.uri, **schema}
    file = SchemaFile(Path("case.schema.json"), URI, schema, "case", outgoing=False)
    text = json.dumps(schema)
    return Graph([file], others(draft) if "localhost:1234" in text else [])


@cache
def results(engine: type[Engine], draft: Draft) -> tuple[int, list[str], list[str]]:
    """How many cases, which of them went wrong, and which groups are refused."""
    count, wrong, refused = 0, [], []
    used = engine()
    for group in lines(f"draft{draft.name}"):
        name = f"{group['file']}: {group['description']}"
        graph = graph_of(group["schema"], draft)
        if graph.problems:
            refused.append(f"{name}: {graph.problems[0]}")
            continue
        schema = used.compile(graph, URI)
        for case in group["tests"]:
            count += 1
            verdict = schema.is_valid(case["data"])
            if verdict is not case["valid"] or bool(schema.errors(case["data"], 10)) is verdict:
                wrong.append(f"{name}: {case['description']}")
    return count, wrong, refused


@pytest.mark.parametrize("draft", DRAFTS, ids=lambda draft: draft.name)
@pytest.mark.parametrize("engine", [FastEngine, PureEngine])
def test_every_mandatory_case_has_its_verdict(engine: type[Engine], draft: Draft) -> None:
    count, wrong, refused = results(engine, draft)
    assert wrong == []
    assert count > 900
    row = f"| {draft.name} | {engine.name} | {count} | {count} | 0 | {len(refused)} |"
    assert row in (SUITE.parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("draft", DRAFTS, ids=lambda draft: draft.name)
def test_nothing_of_the_suite_is_refused_but_custom_metaschemas(draft: Draft) -> None:
    _, _, refused = results(FastEngine, draft)
    assert [each for each in refused if "is no draft that is known here" not in each] == []
    assert len(refused) == CUSTOM_METASCHEMAS[draft.name]
