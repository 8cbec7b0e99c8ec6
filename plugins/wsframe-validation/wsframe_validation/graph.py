"""What refers to what: the schemas of all files as a graph, and everything that is wrong with it.

References are followed here, once, when schemas are loaded: to other files of the folders, and to
the metaschemas that come with the engine. Nothing is fetched and no other file is opened; what
cannot be found is a problem of the file that refers to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import urljoin

from jsonschema_specifications import REGISTRY  # type: ignore[import-untyped]  # it has none
from referencing import Registry
from referencing.exceptions import NoSuchResource, Unresolvable

from .automata import automaton
from .drafts import IN_PLACE, Draft, Key, draft_of, references, subschemas
from .files import Problem, SchemaFile
from .patterns import PatternError

MAX_ALTERNATIVES: Final = 10_000
"""Schemas that may have to look at one and the same value, before its parts are looked at."""
MAX_NESTING: Final = 100
"""Deepest nesting of schemas in one file."""


class Node:
    """One schema, and those it consists of.

    ``parts`` are (keyword, key, node): of the value itself where the keyword is in-place or a
    reference, of parts of the value otherwise.
    """

    __slots__ = ("draft", "file", "followed", "parts", "path", "schema")

    def __init__(self, schema: Any, draft: Draft, file: str, path: str) -> None:
        self.schema = schema
        self.draft = draft
        self.file = file
        self.path = path
        self.followed = False
        self.parts: list[tuple[str, Key, Node]] = []

    def of(self, keyword: str) -> Iterator[tuple[Key, Node]]:
        """Key and node of each part under a keyword."""
        return ((key, node) for name, key, node in self.parts if name == keyword)

    def in_place(self) -> Iterator[Node]:
        """The schemas that look at the same value."""
        return (node for name, _, node in self.parts if name in IN_PLACE or name == "$ref")

    def reachable(self) -> list[Node]:
        """Itself and every schema that may have to look at a value or a part of it."""
        found: dict[int, Node] = {}
        left = [self]
        while left:
            node = left.pop()
            if id(node) not in found:
                found[id(node)] = node
                left += [
                    each
                    for name, _, each in node.parts
                    if name not in ("$defs", "definitions", "contentSchema")
                ]
        return list(found.values())


class Graph:
    """The schemas of some files.

    Args:
        files: what was read.
        others: documents that can be referred to beside them, with their URIs.
    """

    def __init__(
        self, files: Sequence[SchemaFile], others: Sequence[tuple[str, Any, Draft]] = ()
    ) -> None:
        self.problems: list[Problem] = []
        self.roots: dict[str, Node] = {}
        """The schema of each file, by its URI."""
        self._nodes: dict[int, Node] = {}
        self._left: list[tuple[Node, Any, int]] = []
        documents: list[tuple[str, Any, Draft, str]] = []
        for file in files:
            draft = draft_of(file.contents)
            if draft is None:
                named = file.contents["$schema"]
                reason = f"{named!r} is no draft that is known here; use 2020-12, 2019-09 or 7"
                self.problems.append(Problem(str(file.path), "#/$schema", reason))
            else:
                documents.append((file.uri, file.contents, draft, str(file.path)))
        documents += [(uri, contents, draft, uri) for uri, contents, draft in others]
        self.registry = self._registry(documents)
        for uri, contents, draft, name in documents:
            self.roots[uri] = node = self._node(contents, draft, name, "#")
            resource = draft.specification.create_resource(contents)
            self._left.append((node, self.registry.resolver(uri).in_subresource(resource), 0))
        while self._left:
            self._follow(*self._left.pop())
        self._forget_drafts()
        self._check_loops()

    def _registry(self, documents: Sequence[tuple[str, Any, Draft, str]]) -> Registry[Any]:
        registry: Registry[Any] = REGISTRY
        owners: dict[str, str] = {}
        for uri, contents, draft, name in documents:
            resource = draft.specification.create_resource(contents)
            own = urljoin(uri, resource.id() or "").rstrip("#")
            for each in {uri, own}:
                if each in owners or each in REGISTRY:
                    reason = f"{each} is {owners.get(each, 'a metaschema')}, too"
                    self.problems.append(Problem(name, "#/$id", reason))
                else:
                    owners[each] = name
                    registry = registry.with_resource(each, resource)
        return registry.crawl()

    def _node(self, schema: Any, draft: Draft, file: str, path: str) -> Node:
        if not isinstance(schema, dict):
            return Node(schema, draft, file, path)
        node = self._nodes.get(id(schema))
        if node is None:
            node = self._nodes[id(schema)] = Node(schema, draft, file, path)
        return node

    def _wrong(self, node: Node, keyword: str, reason: str) -> None:
        self.problems.append(Problem(node.file, f"{node.path}/{keyword}", reason))

    def _follow(self, node: Node, resolver: Any, depth: int) -> None:
        """Find the parts of a schema, and what is wrong in it."""
        schema, draft = node.schema, node.draft
        if not isinstance(schema, dict) or node.followed:
            return
        node.followed = True
        if "$schema" in schema and draft_of(schema) is not draft:
            self._wrong(node, "$schema", f"it belongs to a file in draft {draft.name}")
            return
        if depth > MAX_NESTING:
            self._wrong(node, "", f"schemas are nested deeper than {MAX_NESTING} levels")
            return
        self._check_patterns(node)
        for keyword, key, each in subschemas(schema, draft):
            if not isinstance(each, dict | bool):
                continue  # the metaschema says so
            step = keyword if key is None else f"{keyword}/{_escaped(key)}"
            part = self._node(each, draft, node.file, f"{node.path}/{step}")
            node.parts.append((keyword, key, part))
            inner = resolver.in_subresource(draft.specification.create_resource(each))
            self._left.append((part, inner, depth + 1))
        for keyword, reference in references(schema, draft):
            self._refer(node, keyword, reference, resolver)

    def _refer(self, node: Node, keyword: str, reference: str, resolver: Any) -> None:
        try:
            found = resolver.lookup(reference)
        except (Unresolvable, NoSuchResource):
            self._wrong(node, keyword, _cannot_find(reference))
            return
        except (ValueError, TypeError, AttributeError, LookupError) as error:
            self._wrong(node, keyword, f"{reference!r} cannot be followed: {error}")
            return
        target = found.contents
        if not isinstance(target, dict | bool):
            self._wrong(node, keyword, f"{reference!r} leads to something that is no schema")
            return
        known = self._nodes.get(id(target)) if isinstance(target, dict) else None
        if known is None:
            known = self._node(target, node.draft, node.file, f"{node.path}/{keyword}")
            self._left.append((known, found.resolver, 0))
        elif known.draft is not node.draft:
            reason = f"{reference!r} is draft {known.draft.name}, and this is {node.draft.name}"
            self._wrong(node, keyword, reason)
            return
        node.parts.append(("$ref", keyword, known))

    def _check_patterns(self, node: Node) -> None:
        patterns = node.schema.get("patternProperties")
        found = [
            ("patternProperties", each) for each in patterns or () if isinstance(patterns, dict)
        ]
        if isinstance(node.schema.get("pattern"), str):
            found.append(("pattern", node.schema["pattern"]))
        for keyword, pattern in found:
            try:
                automaton(pattern)
            except PatternError as error:
                self._wrong(node, keyword, f"the pattern {pattern[:100]!r} is refused: {error}")

    def _forget_drafts(self) -> None:
        """Take ``$schema`` out: jsonschema would take its own classes for a schema that has one.

        And they would match patterns by backtracking.
        """
        metaschemas = {id(resource.contents) for resource in REGISTRY.values()}
        for identity, node in self._nodes.items():
            if identity not in metaschemas:
                node.schema.pop("$schema", None)

    def _check_loops(self) -> None:
        """Refuse what an engine would never end with, or not in this life.

        Schemas that look at one value are counted along every way that leads to them: that is what
        an engine may have to do.
        """
        costs: dict[int, int] = {}
        for start in list(self._nodes.values()):
            self._cost(start, costs)

    def _cost(self, start: Node, costs: dict[int, int]) -> None:
        way: dict[int, None] = {}
        left: list[tuple[Node, bool]] = [(start, False)]
        while left:
            node, done = left.pop()
            if done:
                del way[id(node)]
                inner = list(node.in_place())
                cost = 1 + sum(costs.get(id(each), 1) for each in inner)
                costs[id(node)] = min(cost, MAX_ALTERNATIVES + 1)
                if cost > MAX_ALTERNATIVES >= max((costs.get(id(e), 1) for e in inner), default=1):
                    reason = f"more than {MAX_ALTERNATIVES:,} schemas would look at one value"
                    self.problems.append(Problem(node.file, node.path, reason))
                continue
            if id(node) in costs:
                continue
            if id(node) in way:
                self.problems.append(Problem(node.file, node.path, "it refers to itself for ever"))
                costs[id(node)] = 1
                continue
            way[id(node)] = None
            left.append((node, True))
            left += [(each, False) for each in node.in_place()]


def _escaped(key: Key) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")


def _cannot_find(reference: str) -> str:
    if "://" in reference or reference.startswith(("file:", "/")):
        return (
            f"{reference!r} is in no schema file here, and nothing is fetched; "
            "put the file into the folder, with this '$id'"
        )
    return f"there is no {reference!r} in the schema files"
