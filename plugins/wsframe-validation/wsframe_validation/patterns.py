r"""Regular expressions of schemas, as far as they can be matched in linear time.

JSON Schema means those of ECMA-262. Backtracking engines, Python's among them, need exponential
time for some of them (``^(a+)+$``), and a client chooses the text. What is read here is the part of
the language that an automaton can match: no lookaround and no backreferences. Both engines refuse
the rest when a schema is loaded, so that one that loads with one of them loads with the other.

Where two readings of a pattern are common it is refused rather than guessed: ``[`` and ``&&`` in a
class, inline flags, ``\b`` (of which letters?), escapes that ECMA-262 does not know with ``u``.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Sequence
from typing import Final, NamedTuple

MAX_CHARACTERS: Final = 2_000
"""Longest pattern."""
MAX_NESTING: Final = 50
"""Deepest nesting of groups."""
MAX_REPEAT: Final = 1_000
"""Largest number in ``{m,n}``."""

_Ranges = tuple[tuple[int, int], ...]

_DIGITS: Final[_Ranges] = ((0x30, 0x39),)
_WORD: Final[_Ranges] = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
_SPACE: Final[_Ranges] = (
    (0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A),
    (0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF),
)  # fmt: skip
_NEWLINES: Final[_Ranges] = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))
_CLASSES: Final = {"d": _DIGITS, "w": _WORD, "s": _SPACE}
_CONTROLS: Final = {"t": 0x09, "n": 0x0A, "v": 0x0B, "f": 0x0C, "r": 0x0D}
_SYNTAX: Final = frozenset("^$\\.*+?()[]{}|/")
_CATEGORIES: Final = {
    "Letter": "L", "Lowercase_Letter": "Ll", "Uppercase_Letter": "Lu", "Titlecase_Letter": "Lt",
    "Modifier_Letter": "Lm", "Other_Letter": "Lo", "Mark": "M", "Number": "N",
    "Decimal_Number": "Nd", "Punctuation": "P", "Symbol": "S", "Separator": "Z",
    "Space_Separator": "Zs",
    **{each: each for each in (
        "L", "Ll", "Lu", "Lt", "Lm", "Lo", "M", "Mn", "Mc", "Me", "N", "Nd", "Nl", "No", "P", "Pc",
        "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "S", "Sm", "Sc", "Sk", "So", "Z", "Zs", "Zl", "Zp",
    )},
}  # fmt: skip
_REPEAT: Final = re.compile(r"\{(\d{1,9})(,(\d{0,9}))?\}", re.ASCII)
_GROUP_NAME: Final = re.compile(r"\?<[A-Za-z_]\w*>", re.ASCII)


class PatternError(ValueError):
    """A pattern cannot be used; the text says why."""


class CharacterClass(NamedTuple):
    """A set of characters: some ranges of code points, some general categories, or all others."""

    ranges: _Ranges
    categories: tuple[tuple[str, bool], ...] = ()
    """Each with whether it is meant, or everything outside of it (``\\P``)."""
    without: tuple[_Ranges, ...] = ()
    """The characters outside of one of these are in, too (``\\D`` within brackets)."""
    negated: bool = False

    def has(self, character: str) -> bool:
        """Is it one of these characters?"""
        return self._has(character) is not self.negated

    def _has(self, character: str) -> bool:
        point = ord(character)
        if any(first <= point <= last for first, last in self.ranges):
            return True
        if any(_is_outside(point, ranges) for ranges in self.without):
            return True
        return any(
            unicodedata.category(character).startswith(name) is meant
            for name, meant in self.categories
        )


def _is_outside(point: int, ranges: _Ranges) -> bool:
    return not any(first <= point <= last for first, last in ranges)


class Start(NamedTuple):
    """``^``."""


class End(NamedTuple):
    """``$``: the very end of the text, not before a newline there."""


class Sequence_(NamedTuple):  # noqa: N801 - collections.abc has the good name
    """One after the other."""

    parts: tuple[Pattern, ...]


class Choice(NamedTuple):
    """One of them."""

    options: tuple[Pattern, ...]


class Repeat(NamedTuple):
    """Again and again; ``most`` None: without end. Lazy or greedy makes no difference here."""

    part: Pattern
    least: int
    most: int | None


Pattern = CharacterClass | Start | End | Sequence_ | Choice | Repeat


def parse(text: str) -> Pattern:
    """Read a pattern.

    Raises:
        PatternError: it is malformed, or no automaton can match it.
    """
    if len(text) > MAX_CHARACTERS:
        raise PatternError(f"it is longer than {MAX_CHARACTERS} characters")
    parser = _Parser(text)
    pattern = parser.choice(0)
    if parser.position < len(text):
        raise PatternError(f"')' at {parser.position} closes no group")
    return pattern


class _Parser:
    """Recursive descent over the text of a pattern."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.position = 0

    def _peek(self, text: str) -> bool:
        return self._text.startswith(text, self.position)

    def _take(self, text: str) -> bool:
        if self._peek(text):
            self.position += len(text)
            return True
        return False

    def _next(self) -> str:
        if self.position == len(self._text):
            raise PatternError("it ends in the middle")
        self.position += 1
        return self._text[self.position - 1]

    def choice(self, nesting: int) -> Pattern:
        if nesting > MAX_NESTING:
            raise PatternError(f"groups are nested deeper than {MAX_NESTING} levels")
        options = [self._sequence(nesting)]
        while self._take("|"):
            options.append(self._sequence(nesting))
        return options[0] if len(options) == 1 else Choice(tuple(options))

    def _sequence(self, nesting: int) -> Pattern:
        parts: list[Pattern] = []
        while self.position < len(self._text) and not self._peek("|") and not self._peek(")"):
            part = self._atom(nesting)
            parts.append(self._repeated(part))
        return parts[0] if len(parts) == 1 else Sequence_(tuple(parts))

    def _atom(self, nesting: int) -> Pattern:
        character = self._next()
        if character == "(":
            return self._group(nesting)
        if character == "[":
            return self._brackets()
        if character == "\\":
            return self._escape()
        if character == ".":
            return CharacterClass(_NEWLINES, negated=True)
        if character == "^":
            return Start()
        if character == "$":
            return End()
        if character in "*+?{}]":
            raise PatternError(
                f"{character!r} at {self.position - 1} stands for nothing; write \\{character}"
            )
        return _single(character)

    def _group(self, nesting: int) -> Pattern:
        if self._peek("?=") or self._peek("?!"):
            raise PatternError("it looks ahead, which no linear-time engine can")
        if self._peek("?<=") or self._peek("?<!"):
            raise PatternError("it looks behind, which no linear-time engine can")
        named = _GROUP_NAME.match(self._text, self.position)
        if named:
            self.position = named.end()
        elif self._peek("?") and not self._take("?:"):
            raise PatternError("ECMA-262 knows no inline flags and no such group")
        inside = self.choice(nesting + 1)
        if not self._take(")"):
            raise PatternError("a group is not closed")
        return inside

    def _repeated(self, part: Pattern) -> Pattern:
        least: int
        most: int | None
        if self._take("*"):
            least, most = 0, None
        elif self._take("+"):
            least, most = 1, None
        elif self._take("?"):
            least, most = 0, 1
        elif self._peek("{"):
            counted = _REPEAT.match(self._text, self.position)
            if counted is None:
                raise PatternError(f"'{{' at {self.position} begins no number; write \\{{")
            self.position = counted.end()
            least = int(counted[1])
            most = least if counted[2] is None else int(counted[3]) if counted[3] else None
            if max(least, most or 0) > MAX_REPEAT:
                raise PatternError(f"it repeats something more than {MAX_REPEAT} times")
            if most is not None and most < least:
                raise PatternError(f"{counted[0]} has its numbers in the wrong order")
        else:
            return part
        self._take("?")
        if isinstance(part, Start | End):
            raise PatternError("'^' and '$' cannot be repeated")
        if self.position < len(self._text) and self._text[self.position] in "*+?{":
            raise PatternError(f"{self._text[self.position]!r} repeats a repetition; use a group")
        return Repeat(part, least, most)

    def _escape(self) -> CharacterClass:
        """What stands behind a backslash, outside or inside of brackets."""
        character = self._next()
        if character.lower() in _CLASSES:
            return CharacterClass(_CLASSES[character.lower()], negated=character.isupper())
        if character in "pP":
            return self._category(meant=character == "p")
        if character in _CONTROLS:
            return _range(_CONTROLS[character])
        if character == "c":
            letter = self._next()
            if letter.isascii() and letter.isalpha():
                return _range(ord(letter) % 32)
        elif character == "x":
            return _range(self._hexadecimal(2))
        elif character == "u":
            return _range(self._code_point())
        elif character in _SYNTAX or character == "-":
            return _single(character)
        elif character in "123456789k":
            raise PatternError("it refers back to a group, which no linear-time engine can")
        raise PatternError(f"the escape \\{character} is not supported")

    def _category(self, *, meant: bool) -> CharacterClass:
        end = self._text.find("}", self.position)
        name = self._text[self.position + 1 : end] if self._peek("{") and end > 0 else ""
        name = name.removeprefix("General_Category=").removeprefix("gc=")
        if name not in _CATEGORIES:
            raise PatternError(
                f"\\p{{{name}}}: only general categories are supported, like \\p{{L}}"
            )
        self.position = end + 1
        return CharacterClass((), ((_CATEGORIES[name], meant),))

    def _hexadecimal(self, digits: int) -> int:
        text = self._text[self.position : self.position + digits]
        if len(text) != digits or not all(each in "0123456789abcdefABCDEF" for each in text):
            raise PatternError(f"{digits} hexadecimal digits are missing at {self.position}")
        self.position += digits
        return int(text, 16)

    def _code_point(self) -> int:
        if self._take("{"):
            end = self._text.find("}", self.position)
            if not 1 <= end - self.position <= 6:
                raise PatternError("\\u{…} needs 1 to 6 hexadecimal digits")
            point = self._hexadecimal(end - self.position)
            self.position += 1
        else:
            point = self._hexadecimal(4)
            if 0xD800 <= point < 0xDC00 and self._take("\\u"):
                low = self._hexadecimal(4)
                if not 0xDC00 <= low < 0xE000:
                    raise PatternError("a surrogate stands alone")
                return 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00)
        if point > sys.maxunicode or 0xD800 <= point < 0xE000:
            raise PatternError("\\u names no character")
        return point

    def _brackets(self) -> CharacterClass:
        negated = self._take("^")
        items: list[CharacterClass] = []
        while not self._take("]"):
            first = self._item()
            if self._peek("-") and not self._peek("-]"):
                self.position += 1
                last = self._item()
                items.append(_range(_only_point(first), _only_point(last)))
            else:
                items.append(first)
        if not items:
            raise PatternError("a class is empty")
        return _union(items, negated=negated)

    def _item(self) -> CharacterClass:
        for doubtful in ("[", "&&", "--", "~~"):
            if self._peek(doubtful):
                raise PatternError(f"{doubtful!r} in a class means different things; escape it")
        character = self._next()
        if character == "\\":
            return self._escape()
        return _single(character)


def _single(character: str) -> CharacterClass:
    return _range(ord(character))


def _range(first: int, last: int | None = None) -> CharacterClass:
    last = first if last is None else last
    if last < first:
        raise PatternError("a range has its ends in the wrong order")
    return CharacterClass(((first, last),))


def _only_point(item: CharacterClass) -> int:
    if item.negated or item.categories or len(item.ranges) != 1:
        raise PatternError("a range must begin and end with a character")
    first, last = item.ranges[0]
    if first != last:
        raise PatternError("a range must begin and end with a character")
    return first


def _union(items: Sequence[CharacterClass], *, negated: bool) -> CharacterClass:
    return CharacterClass(
        ranges=tuple(each for item in items if not item.negated for each in item.ranges),
        categories=tuple(each for item in items for each in item.categories),
        without=tuple(item.ranges for item in items if item.negated),
        negated=negated,
    )
