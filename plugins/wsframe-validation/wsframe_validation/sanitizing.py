"""Cleaning what a schema marks with ``"x-wsframe-sanitize"``: ``"html"`` or ``"text"``.

- ``html``: the value is HTML. nh3 parses it as a browser would and keeps only harmless elements.
- ``text``: the value is plain text. Markup in it is taken out; ``<`` and ``&`` that are none stay
  as they are, so that ``a < b && c`` is still that. A text without ``<`` is never touched.

Nothing else is rewritten: a server that escapes plain text destroys it for every reader that is no
web page, and a web page must escape it anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from html import unescape
from importlib.util import find_spec
from typing import Any, Final

from .drafts import IN_PLACE
from .files import Problem
from .graph import Node

MARK: Final = "x-wsframe-sanitize"
MAX_PASSES: Final = 5
"""Taking a tag out may put another one together; after so many rounds the text is refused."""
MAX_TAGS: Final = 1_000
"""``<`` in all texts of one content that are cleaned, each round counted. Tags within each other
cost nh3 the square of their number: 50,000 take it a minute."""
MAX_MARKUP: Final = 65_536
"""Characters of such texts, likewise: so do the attributes of a tag, and ``&``."""

MAX_PLANS: Final = 2_000
"""Sets of schemas that may have to be cleaned for together, in one file."""

_PARTS: Final = frozenset(
    {"properties", "additionalProperties", "prefixItems", "items", "additionalItems"}
)
_UNMARKABLE: Final = frozenset(
    {"not", "if", "contains", "propertyNames", "patternProperties", "unevaluatedItems",
     "unevaluatedProperties"}
)  # fmt: skip


class Unclean(ValueError):
    """A text cannot be cleaned; the text says why."""


class Allowance:
    """How much markup may still be cleaned for one content."""

    __slots__ = ("_characters", "_tags")

    def __init__(self) -> None:
        self._tags = MAX_TAGS
        self._characters = MAX_MARKUP

    def take(self, value: str) -> None:
        """Take from it what a text needs.

        Raises:
            Unclean: it is used up.
        """
        tags = value.count("<")
        if tags or "&" in value:
            self._tags -= tags
            self._characters -= len(value)
            if self._tags < 0 or self._characters < 0:
                raise Unclean("it has too much markup")


Cleaner = Callable[[str, Allowance], str]


def clean_html(value: str, allowance: Allowance) -> str:
    """HTML without scripts, styles, event handlers and foreign addresses.

    Raises:
        Unclean: there is too much of it.
    """
    import nh3

    allowance.take(value)
    return nh3.clean(value)


def clean_text(value: str, allowance: Allowance) -> str:
    """Plain text without tags, comments, scripts and styles.

    Raises:
        Unclean: it is made to get around this, or there is too much of it.
    """
    import nh3

    for _ in range(MAX_PASSES):
        if "<" not in value:
            return value
        allowance.take(value)
        # nh3 returns HTML. With every & escaped before, undoing its escapes gives the text again.
        left = unescape(nh3.clean(value.replace("&", "&amp;"), tags=set()))
        if left == value:
            return value
        value = left
    raise Unclean("it hides markup in markup")


_CLEANERS: Final[dict[str, Cleaner]] = {"html": clean_html, "text": clean_text}


class Plan:
    """Where in a value there is something to clean; each part of the value is looked at once."""

    __slots__ = ("cleaners", "more", "prefix", "properties", "rest")

    def __init__(self) -> None:
        self.cleaners: list[Cleaner] = []
        self.properties: dict[str, Plan | None] = {}
        self.more: Plan | None = None
        """For every other key."""
        self.prefix: list[Plan | None] = []
        self.rest: Plan | None = None
        """For every further item."""

    def clean(self, value: Any, allowance: Allowance | None = None) -> Any:
        """Clean ``value`` where it is marked; maps and lists are changed in place.

        Args:
            value: a content, or a part of one.
            allowance: what is left for the content; None: this is the content.

        Raises:
            Unclean: a text cannot be cleaned.
        """
        if allowance is None:
            allowance = Allowance()
        if isinstance(value, str):
            for cleaner in self.cleaners:
                value = cleaner(value, allowance)
        elif isinstance(value, dict):
            for key, plan in self._of_keys(value):
                if plan is not None:
                    value[key] = plan.clean(value[key], allowance)
        elif isinstance(value, list):
            for index, plan in self._of_items(len(value)):
                if plan is not None:
                    value[index] = plan.clean(value[index], allowance)
        return value

    def _of_keys(self, value: dict[str, Any]) -> Iterator[tuple[str, Plan | None]]:
        if self.more is None:
            return ((key, plan) for key, plan in self.properties.items() if key in value)
        return ((key, self.properties.get(key, self.more)) for key in value)

    def _of_items(self, count: int) -> Iterator[tuple[int, Plan | None]]:
        yield from enumerate(self.prefix[:count])
        if self.rest is not None:
            for index in range(len(self.prefix), count):
                yield index, self.rest


def make_plan(root: Node) -> tuple[Plan | None, list[Problem]]:
    """Where values of a schema must be cleaned; None: nowhere.

    A mark below ``anyOf``, ``oneOf``, ``then``, ``else`` and the like counts whether or not the
    value fits that branch.
    """
    marked = [node for node in root.reachable() if _mark(node) is not None]
    if not marked:
        return None, []
    problems = [
        Problem(node.file, f"{node.path}/{MARK}", f'{_mark(node)!r} is neither "html" nor "text"')
        for node in marked
        if _mark(node) not in _CLEANERS
    ]
    if find_spec("nh3") is None:
        reason = "nh3 is not installed: pip install 'wsframe-validation[sanitize]'"
        problems.append(Problem(marked[0].file, f"{marked[0].path}/{MARK}", reason))
    for node in root.reachable():
        for keyword, _, part in node.parts:
            beside = keyword == "additionalProperties" and "patternProperties" in node.schema
            if (keyword in _UNMARKABLE or beside) and any(
                _mark(each) is not None for each in part.reachable()
            ):
                reason = f"{MARK} has no effect below it; mark properties or items"
                problems.append(Problem(node.file, f"{node.path}/{keyword}", reason))
    if problems:
        return None, problems
    plan = _Planner(root).plan()
    if plan is None:
        reason = f"{MARK} is in too many alternatives that may apply together"
        return None, [Problem(root.file, root.path, reason)]
    return plan, []


def _mark(node: Node) -> Any:
    return node.schema.get(MARK) if isinstance(node.schema, dict) else None


class _Planner:
    """Makes plans for sets of schemas that look at the same value.

    One for each schema would clean a value once for every way that leads to it, and the ways double
    with each level of a content whose schema refers to itself twice.
    """

    def __init__(self, root: Node) -> None:
        self._root = root
        self._useful = _useful(root)
        self._made: dict[frozenset[int], Plan] = {}
        self._left: list[tuple[Plan, list[Node]]] = []

    def plan(self) -> Plan | None:
        """The plan for a value that the root looks at; None: there are too many to make."""
        plan = self._of([self._root])
        while self._left:
            if len(self._made) > MAX_PLANS:
                return None
            self._fill(*self._left.pop())
        return plan

    def _of(self, nodes: Sequence[Node]) -> Plan | None:
        same = self._same_value(nodes)
        if not same:
            return None
        key = frozenset(map(id, same))
        plan = self._made.get(key)
        if plan is None:
            plan = self._made[key] = Plan()
            self._left.append((plan, same))
        return plan

    def _fill(self, plan: Plan, nodes: Sequence[Node]) -> None:
        marks = dict.fromkeys(_mark(each) for each in nodes)
        plan.cleaners = [_CLEANERS[mark] for mark in marks if mark is not None]
        keys = dict.fromkeys(str(key) for each in nodes for key, _ in each.of("properties"))
        plan.properties = {key: self._of(_parts_of_key(nodes, key)) for key in keys}
        plan.more = self._of(_parts_of_key(nodes, None))
        count = max((len(_prefix(each)) for each in nodes), default=0)
        plan.prefix = [self._of(_parts_of_item(nodes, index)) for index in range(count)]
        plan.rest = self._of(_parts_of_item(nodes, None))

    def _same_value(self, nodes: Iterable[Node]) -> list[Node]:
        """The schemas and those in place, through references, as far as they clean anything."""
        found: dict[int, Node] = {}
        left = list(nodes)
        while left:
            each = left.pop()
            if id(each) not in found:
                found[id(each)] = each
                left += [
                    part
                    for keyword, _, part in each.parts
                    if keyword == "$ref" or (keyword in IN_PLACE and keyword not in ("not", "if"))
                ]
        return [each for each in found.values() if self._cleans(each)]

    def _cleans(self, node: Node) -> bool:
        return _mark(node) is not None or any(
            keyword in _PARTS and id(part) in self._useful for keyword, _, part in node.parts
        )


def _parts_of_key(nodes: Iterable[Node], wanted: str | None) -> list[Node]:
    """What looks at the value of a key; None: at that of a key that no schema names."""
    found = []
    for node in nodes:
        named = [part for key, part in node.of("properties") if str(key) == wanted]
        found += named or [part for _, part in node.of("additionalProperties")]
    return found


def _parts_of_item(nodes: Iterable[Node], index: int | None) -> list[Node]:
    """What looks at an item; None: at one behind all that have a schema of their own."""
    found = []
    for node in nodes:
        prefix = _prefix(node)
        if index is not None and index < len(prefix):
            found.append(prefix[index])
        else:
            found += [part for key, part in node.of("items") if key is None]
            found += [part for _, part in node.of("additionalItems")]
    return found


def _prefix(node: Node) -> list[Node]:
    return [
        part
        for keyword in ("prefixItems", "items")
        for key, part in node.of(keyword)
        if key is not None
    ]


def _useful(root: Node) -> set[int]:
    """The schemas that are marked, or have one below them that is."""
    nodes = root.reachable()
    useful = {id(node) for node in nodes if _mark(node) is not None}
    grown = True
    while grown:
        more = {
            id(node) for node in nodes if any(id(part) in useful for _, _, part in node.parts)
        } - useful
        useful |= more
        grown = bool(more)
    return useful
