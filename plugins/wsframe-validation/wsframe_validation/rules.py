"""From folders of schema files to what the hooks ask: one rule for each message type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from .drafts import draft_of
from .engines import Engine, Error, Schema, make_error
from .files import Problem, SchemaFile, read_folders
from .graph import Graph, Node
from .sanitizing import MARK, Plan, Unclean, make_plan


class Rule(NamedTuple):
    """What the content of one message type must be."""

    schema: Schema
    plan: Plan | None
    """What to clean in it first; only what clients send is cleaned."""
    file: SchemaFile
    node: Node

    def check(self, content: Any, max_errors: int) -> tuple[Any, list[Error]]:
        """Clean and check a content, which may be changed in place.

        Returns:
            The content to go on with, and what is wrong with it.
        """
        if self.plan is not None:
            try:
                content = self.plan.clean(content)
            except Unclean as error:
                return content, [make_error((), MARK, str(error))]
        try:
            if self.schema.is_valid(content):
                return content, []
        except ValueError:  # bytes, which JSON does not have: they are base64 text there
            if self.schema.is_valid(msgspec.to_builtins(content)):
                return content, []
        errors = self.schema.errors(msgspec.to_builtins(content), max_errors)
        return content, errors or [make_error((), "", "it does not fit the schema")]


class Rules(NamedTuple):
    """Every rule, by message type."""

    incoming: Mapping[str, Rule]
    outgoing: Mapping[str, Rule]
    files: Sequence[SchemaFile]


NO_RULES = Rules({}, {}, ())


def load_rules(folders: Sequence[Path], engine: Engine) -> tuple[Rules, list[Problem]]:
    """Read folders, check everything in them, and make it ready.

    Returns:
        The rules, which are complete only if the list of problems is empty.
    """
    files, problems = read_folders(folders)
    for file in files:
        draft = draft_of(file.contents)
        if draft is not None:
            problems += [
                Problem(str(file.path), f"#{pointer}", reason)
                for pointer, reason in engine.check(file.contents, draft)
            ]
    if problems:
        return NO_RULES, problems
    graph = Graph(files)
    if graph.problems:
        return NO_RULES, graph.problems
    incoming: dict[str, Rule] = {}
    outgoing: dict[str, Rule] = {}
    for file in files:
        node = graph.roots[file.uri]
        plan, unmarkable = make_plan(node)
        problems += unmarkable
        try:
            schema = engine.compile(graph, file.uri)
        except ValueError as error:
            reason = str(error).partition("\n")[0]
            problems.append(Problem(str(file.path), "#", f"{engine.name} refuses it: {reason}"))
            continue
        if file.message_type is not None:
            if file.outgoing:
                outgoing[file.message_type] = Rule(schema, None, file, node)
            else:
                incoming[file.message_type] = Rule(schema, plan, file, node)
    return Rules(incoming, outgoing, files), list(dict.fromkeys(problems))
