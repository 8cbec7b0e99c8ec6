"""The demo's handlers and pages, in this process."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from wsframe.demo import app
from wsframe.demo.stories import LONGEST_QUOTE, STORIES, answer_to

GUARD_S = 90.0
"""A deadlock guard: what a test waits for comes much earlier."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def address() -> AsyncIterator[str]:
    yield await app.start(port=0)
    await app.stop()


@pytest.fixture
async def client(address: str) -> AsyncIterator[ClientConnection]:
    async with connect(address, open_timeout=GUARD_S) as connection:
        yield connection


async def ask(client: ClientConnection, type_: str, content: object) -> list[dict[str, Any]]:
    """Everything received up to and including the final answer."""
    await client.send(json.dumps({"id": type_, "type": type_, "content": content}))
    received: list[dict[str, Any]] = []
    while not received or not received[-1].get("final"):
        received.append(json.loads(await client.recv()))
    return received


async def test_text_is_echoed(client: ClientConnection) -> None:
    (answer,) = await ask(client, "text", {"text": "Hi"})
    assert answer["content"] == {"text": "Echo: Hi"}


async def test_ask_streams_words_that_join_to_the_whole_answer(client: ClientConnection) -> None:
    *parts, final = await ask(client, "ask", {"prompt": "Why?"})
    assert "".join(part["content"]["delta"] for part in parts) == answer_to("Why?")
    assert final["content"] == {"words": len(parts)}


async def test_divide_answers_a_quotient_or_an_error(client: ClientConnection) -> None:
    (quotient,) = await ask(client, "divide", {"value": 1, "by": 4})
    assert (quotient["type"], quotient["content"]) == ("quotient", {"result": 0.25})
    await client.send(json.dumps({"type": "divide", "content": {"value": 1, "by": 0}}))
    error = json.loads(await client.recv())
    assert error["content"]["code"] == "math.division_by_zero"


async def test_slow_answers_when_it_is_fast_enough(client: ClientConnection) -> None:
    (answer,) = await ask(client, "slow", {"seconds": 0})
    assert answer["content"] == {"text": "That took 0 s."}


@pytest.mark.parametrize("seconds", [-1, 3601, "long"])
async def test_slow_refuses_unreasonable_times(client: ClientConnection, seconds: object) -> None:
    (answer,) = await ask(client, "slow", {"seconds": seconds})
    assert answer["content"]["code"] == "invalid_content"


async def test_say_reaches_everyone_who_entered_and_names_its_sender(
    client: ClientConnection, address: str
) -> None:
    (init,) = await ask(client, "init", {})
    await ask(client, "enter", {})
    async with connect(address, open_timeout=GUARD_S) as other:
        (answer,) = await ask(other, "enter", {})
        assert answer["content"] == {"room": "lobby"}
        said, answer = await ask(client, "say", {"text": "hello"})
        assert answer["content"] == {"receivers": 2}
        assert said["content"] == {"text": "hello", "from": init["content"]["sessionId"]}
        assert json.loads(await other.recv())["content"] == said["content"]


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/chat.js", "text/javascript; charset=utf-8"),
        ("/wire.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ],
)
async def test_every_page_is_served_under_a_strict_policy(
    address: str, path: str, content_type: str
) -> None:
    origin = address.replace("ws://", "http://").removesuffix("/ws")
    async with httpx.AsyncClient(timeout=GUARD_S) as http:
        page = await http.get(f"{origin}{path}")
    assert page.status_code == 200
    assert page.headers["content-type"] == content_type
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'" in policy
    assert "unsafe" not in policy


async def test_health_is_told_beside_the_pages(address: str) -> None:
    origin = address.replace("ws://", "http://").removesuffix("/ws")
    async with httpx.AsyncClient(timeout=GUARD_S) as http:
        assert (await http.get(f"{origin}/healthz")).status_code == 200
        assert (await http.get(f"{origin}/missing.js")).status_code == 404


async def test_the_index_names_only_files_that_are_served(address: str) -> None:
    origin = address.replace("ws://", "http://").removesuffix("/ws")
    async with httpx.AsyncClient(timeout=GUARD_S) as http:
        index = await http.get(f"{origin}/")
        named = set(re.findall(r'(?:src|href)="([^"#][^"]*)"', index.text))
        assert named == {"icon.svg", "style.css", "wsframe-client.js", "chat.js"}
        assert [(await http.get(f"{origin}/{name}")).status_code for name in named] == [200] * 4


def test_a_story_is_told_when_one_is_asked_for() -> None:
    told = {answer_to(f"a story{'!' * more}") for more in range(len(STORIES))}
    assert told == set(STORIES)


def test_an_endless_prompt_is_quoted_in_part() -> None:
    answer = answer_to("{why}" * 1_000)
    assert ("{why}" * 1_000)[:LONGEST_QUOTE] + "…" in answer
    assert len(answer) < LONGEST_QUOTE + 500
