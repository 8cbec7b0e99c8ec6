"""Only what a schema marks is cleaned, and then it is clean."""

from __future__ import annotations

import time
from typing import Any

import pytest
from wsframe_validation import ValidationPlugin, sanitizing
from wsframe_validation.engines import Engine
from wsframe_validation.rules import Rule, load_rules
from wsframe_validation.sanitizing import (
    MAX_MARKUP,
    MAX_TAGS,
    Allowance,
    Plan,
    Unclean,
    clean_html,
    clean_text,
)

from wsframe import App, Connection, Message
from wsframe.testing import Connector

from .conftest import Write

HTML = {"type": "string", "x-wsframe-sanitize": "html"}
TEXT = {"type": "string", "x-wsframe-sanitize": "text"}


def rule(write: Write, schema: Any, engine: Engine) -> Rule:
    rules, problems = load_rules([write("text", schema)], engine)
    assert problems == []
    return rules.incoming["text"]


@pytest.mark.parametrize(
    "text",
    [
        "a < b && c",
        "AT&T",
        "&lt;b&gt;",
        "1 <2",
        "x <= y",
        "<3",
        "a\r\nb",
        "“Ünïcode” 😀",
        "",
        "&amp;amp;",
    ],
)
def test_plain_text_stays_as_it_is(text: str) -> None:
    assert clean_text(text, Allowance()) == text


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<b>bold</b> & co", "bold & co"),
        ("a<script>alert(1)</script>b", "ab"),
        ("<img src=x onerror=alert(1)>", ""),
        ("<<b>script>alert(1)<</b>/script>", ""),
        ("a <!-- comment --> b", "a  b"),
    ],
)
def test_markup_is_taken_out_of_text(text: str, left: str) -> None:
    assert clean_text(text, Allowance()) == left


def test_a_text_that_makes_markup_of_markup_for_ever_is_refused() -> None:
    with pytest.raises(Unclean):
        clean_text("<" * 8 + "b>" * 8 + "x", Allowance())


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("<b>bold</b>", "<b>bold</b>"),
        ("<b onclick=alert(1)>x</b><script>alert(1)</script>", "<b>x</b>"),
        ('<a href="javascript:alert(1)">x</a>', '<a rel="noopener noreferrer">x</a>'),
    ],
)
def test_html_keeps_only_what_is_harmless(text: str, left: str) -> None:
    assert clean_html(text, Allowance()) == left


def test_nothing_but_marked_values_is_touched(write: Write, engine: Engine) -> None:
    schema = {
        "properties": {
            "bio": HTML,
            "name": {"$ref": "#/$defs/name"},
            "tags": {"items": {"x-wsframe-sanitize": "text"}},
            "pair": {"prefixItems": [TEXT, {}], "items": HTML},
            "more": {"properties": {"known": {}}, "additionalProperties": TEXT},
            "free": {"type": "string"},
            "either": {"anyOf": [{"type": "null"}, TEXT]},
            "reply": {"$ref": "#"},
        },
        "$defs": {"name": TEXT},
    }
    evil = "<i>x</i><script>y</script>"
    content = {
        "bio": evil, "name": evil, "tags": [evil, 1], "pair": [evil, evil, evil],
        "more": {"known": evil, "new": evil}, "free": evil, "either": evil, "unknown": evil,
        "reply": {"name": evil, "free": evil},
    }  # fmt: skip
    cleaned, errors = rule(write, schema, engine).check(content, 10)
    assert errors == []
    assert cleaned == {
        "bio": "<i>x</i>", "name": "x", "tags": ["x", 1], "pair": ["x", evil, "<i>x</i>"],
        "more": {"known": evil, "new": "x"}, "free": evil, "either": "x", "unknown": evil,
        "reply": {"name": "x", "free": evil},
    }  # fmt: skip


def test_items_of_draft_7_are_cleaned_by_their_place(write: Write, engine: Engine) -> None:
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{}, TEXT],
              "additionalItems": HTML}  # fmt: skip
    cleaned, _ = rule(write, schema, engine).check(["<u>a</u>", "<u>a</u>", "<u>a</u><style>"], 10)
    assert cleaned == ["<u>a</u>", "a", "<u>a</u>"]


def test_what_is_left_is_checked(write: Write, engine: Engine) -> None:
    _, errors = rule(write, {**TEXT, "minLength": 1}, engine).check("<b></b>", 10)
    assert [error.keyword for error in errors] == ["minLength"]


def test_marks_need_nh3_when_they_are_loaded(
    write: Write, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sanitizing, "find_spec", lambda _: None)
    _, (problem,) = load_rules([write("text", TEXT)], engine)
    assert "pip install 'wsframe-validation[sanitize]'" in problem.reason


@pytest.mark.parametrize(
    "text",
    [
        "<div>" * (MAX_TAGS + 1),
        "<b>" * MAX_TAGS + "</p>" * MAX_TAGS,
        "<b a" + " b=c" * (MAX_MARKUP // 4),
        "<" + "&" * MAX_MARKUP,
    ],
    ids=["tags", "formatting", "attributes", "ampersands"],
)
@pytest.mark.parametrize("mark", [HTML, TEXT], ids=["html", "text"])
def test_markup_that_would_take_minutes_is_refused(
    write: Write, engine: Engine, mark: dict[str, Any], text: str
) -> None:
    # A quarter of a megabyte of <div> takes nh3 a minute, and the event loop with it.
    begun = time.thread_time()
    _, (error,) = rule(write, mark, engine).check(text, 10)
    assert (error.keyword, error.message) == ("x-wsframe-sanitize", "it has too much markup")
    assert time.thread_time() - begun < 5


def test_what_may_be_cleaned_is_counted_for_the_whole_content(write: Write, engine: Engine) -> None:
    schema = {"items": HTML}
    few = ["<i>x</i>"] * (MAX_TAGS // 2)
    assert rule(write, schema, engine).check(list(few), 10) == (few, [])
    _, errors = rule(write, schema, engine).check([*few, "<i>"], 10)
    assert [error.keyword for error in errors] == ["x-wsframe-sanitize"]
    long = ["long" * MAX_MARKUP] * 3  # no markup, nothing to clean
    assert rule(write, schema, engine).check(list(long), 10) == (long, [])


def test_a_value_is_cleaned_once_however_many_ways_lead_to_it(
    write: Write, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    branch = {"properties": {"child": {"$ref": "#"}, "name": TEXT}, "type": "object"}
    made = rule(write, {"anyOf": [branch, {**branch, "title": "likewise"}]}, engine)
    cleaned: list[str] = []
    clean = Plan.clean

    def counted(self: Plan, value: Any, allowance: Any = None) -> Any:
        cleaned.append(value)
        return clean(self, value, allowance)

    monkeypatch.setattr(Plan, "clean", counted)
    content: dict[str, Any] = {"name": "<b>deep</b>"}
    for _ in range(30):
        content = {"child": content, "name": "x"}
    made.check(content, 10)
    assert len(cleaned) == 31 * 2
    assert "<b>deep</b>" in cleaned


def test_marks_in_too_many_alternatives_are_refused(
    write: Write, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sanitizing, "MAX_PLANS", 2)
    schema = {"properties": {name: {"items": {**TEXT}} for name in "abcd"}}
    _, (problem,) = load_rules([write("text", schema)], engine)
    assert "too many alternatives" in problem.reason


async def test_a_handler_gets_the_cleaned_content(wsframe_client: Connector, write: Write) -> None:
    folder = write("text", {"properties": {"text": TEXT}})
    app = App(plugins=[ValidationPlugin(ValidationPlugin.Config(folders=(str(folder),)))])

    @app.handler("text")
    async def echo(message: Message[Any], _: Connection) -> Any:
        return message.content

    client = await wsframe_client(app)
    answer = await client.request("text", {"text": "<b>a</b> < b", "raw": "<b>a</b>"})
    assert answer.content == {"text": "a < b", "raw": "<b>a</b>"}


async def test_a_text_that_cannot_be_cleaned_is_answered(
    wsframe_client: Connector, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sanitizing, "MAX_PASSES", 1)
    folder = write("text", {"properties": {"text": TEXT}})
    app = App(plugins=[ValidationPlugin(ValidationPlugin.Config(folders=(str(folder),)))])
    client = await wsframe_client(app)
    with pytest.raises(Exception, match="invalid_content"):
        await client.request("text", {"text": "<<b>script>"})
