"""The official JSON Schema test suite's results as a table, and what hostile patterns cost.

    python -m tools.schema_suite            # verdicts of both engines, by draft
    python -m tools.schema_suite --files    # and by file of the suite
    python -m tools.schema_suite --patterns # seconds for a text that a client chooses

The cases are those that the tests of wsframe-validation run; the exit code is 1 if one is wrong.
"""

from __future__ import annotations

import argparse
import collections
import runpy
import time
from pathlib import Path
from typing import Any, Final

SUITE: Final = Path("plugins/wsframe-validation/tests/test_official_suite.py")
CHARACTERS: Final = 200_000
PATTERNS: Final = (
    ("^(a+)+$", "a"),
    ("^(a|aa)+$", "a"),
    ("(.*a){20}$", "ab"),
    ("(x?){1000}y", "x"),
    ("a.{8}b", "ac"),
    ("[ab]*a[ab]{500}c", "ab"),
)
"""Each with the characters of a text that it meets."""


def print_row(*cells: object) -> None:
    """One row of a table in Markdown."""
    print("| " + " | ".join(str(cell) for cell in cells) + " |")


def show_verdicts(*, by_file: bool) -> int:
    """Print how many cases have their verdict; returns how many have not."""
    suite = runpy.run_path(str(SUITE))
    engines = [suite["FastEngine"], suite["PureEngine"]]
    wrong_in_all = 0
    print_row("draft", "engine", "cases", "as demanded", "otherwise", "groups refused")
    print_row("---", "---", "--:", "--:", "--:", "--:")
    for draft in suite["DRAFTS"]:
        for engine in engines:
            count, wrong, refused = suite["results"](engine, draft)
            wrong_in_all += len(wrong)
            right = count - len(wrong)
            print_row(draft.name, engine.name, count, right, len(wrong), len(refused))
    if by_file:
        print()
        print_row("draft", "file", "cases", *(engine.name for engine in engines))
        print_row("---", "---", "--:", *("--:" for _ in engines))
        for draft in suite["DRAFTS"]:
            show_files(suite, draft, engines)
    return wrong_in_all


def show_files(suite: dict[str, Any], draft: Any, engines: list[Any]) -> None:
    """Print how many cases of each file have their verdict."""
    counts: collections.Counter[str] = collections.Counter()
    for group in suite["lines"](f"draft{draft.name}"):
        counts[group["file"]] += len(group["tests"])
    wrong = [
        collections.Counter(name.partition(":")[0] for name in suite["results"](engine, draft)[1])
        for engine in engines
    ]
    for file, count in counts.items():
        print_row(draft.name, file, count, *(count - each[file] for each in wrong))


def show_patterns() -> None:
    """Print what each pattern costs when it is loaded, and for a text that does not fit."""
    import jsonschema_rs
    from wsframe_validation.automata import Automaton
    from wsframe_validation.patterns import PatternError

    print_row("pattern", "loading", "jsonschema-rs", "jsonschema")
    print_row("---", "--:", "--:", "--:")
    for pattern, letters in PATTERNS:
        shown = "`" + pattern.replace("|", "\\|") + "`"
        text = (letters * CHARACTERS)[:CHARACTERS] + "!"
        begun = time.perf_counter()
        try:
            automaton = Automaton(pattern)
        except PatternError:
            print_row(shown, _ms(begun), "refused", "refused")
            continue
        loading = _ms(begun)
        compiled = jsonschema_rs.Draft202012Validator(
            {"pattern": pattern}, pattern_options=jsonschema_rs.RegexOptions()
        )
        begun = time.perf_counter()
        verdict = compiled.is_valid(text)
        fast = _ms(begun)
        begun = time.perf_counter()
        assert automaton.finds(text) is verdict
        print_row(shown, loading, fast, _ms(begun))


def _ms(begun: float) -> str:
    return f"{(time.perf_counter() - begun) * 1000:.1f} ms"


def main() -> int:
    """Print the tables; returns 1 if a case is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tools.schema_suite", description=__doc__)
    parser.add_argument("--files", action="store_true", help="also by file of the suite")
    parser.add_argument("--patterns", action="store_true", help="what patterns cost instead")
    options = parser.parse_args()
    if options.patterns:
        show_patterns()
        return 0
    return 1 if show_verdicts(by_file=options.files) else 0


if __name__ == "__main__":
    raise SystemExit(main())
