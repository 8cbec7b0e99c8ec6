"""The tutorial's application and page, copied out of the text, do what the text says."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.chromium import WAIT_S
from tests.docs.pages import read_page
from tests.running_server import RunningServer
from wsframe.testing.faults import free_port

pytestmark = pytest.mark.browser


@pytest.fixture
def tutorial(source_tree: Path, tmp_path: Path) -> Iterator[RunningServer]:
    """The finished application of the tutorial."""
    page = read_page(source_tree, source_tree / "docs" / "tutorials" / "first-chat.md")
    python = [block.text for block in page.blocks if block.language == "python"]
    application = [text for text in python if not text.startswith("# test_chat.py")]
    (html,) = (block.text for block in page.blocks if block.language == "html")
    (tmp_path / "chat.py").write_text("\n\n".join(application))
    (tmp_path / "index.html").write_text(html)
    options = ["--port", str(free_port()), "--set", "store=sqlite:///chat.db"]
    with RunningServer(["wsframe", "run", "chat:app", *options], cwd=tmp_path) as server:
        yield server


def waiting_to_be_stored(server: RunningServer) -> int:
    with urllib.request.urlopen(f"{server.http_url}/metrics.json") as response:
        return int(json.load(response)["store"]["waiting"])


def test_the_tutorial_leads_to_a_chat_that_works(browser: Chrome, tutorial: RunningServer) -> None:
    browser.get(f"{tutorial.http_url}/")
    waiting = WebDriverWait(browser, WAIT_S, poll_frequency=0.05)

    def shown() -> list[str]:
        return [item.text for item in browser.find_elements(By.CSS_SELECTOR, "#log li")]

    def type_and_wait(text: str, lines: int) -> list[str]:
        before = len(shown())
        browser.find_element(By.CSS_SELECTOR, "#input").send_keys(text + "\n")
        waiting.until(lambda _: len(shown()) >= before + lines, text)
        return shown()[before:]

    waiting.until(lambda _: shown() in (["open"], ["connecting", "open"]))
    assert type_and_wait("text Hi", 1) == ['answer: text {"text":"Echo: Hi"}']
    (unknown,) = type_and_wait("txet Hi", 1)
    assert "unknown_type" in unknown
    assert '"nearest":["text"]' in unknown
    *parts, final = type_and_wait("ask tell me a story", 5)
    assert parts == [
        'part: {"delta":"tell"}',
        'part: {"delta":"me"}',
        'part: {"delta":"a"}',
        'part: {"delta":"story"}',
    ]
    assert final == "answer: ask {}"
    assert type_and_wait("divide 5", 1) == ['answer: quotient {"result":2.4}']
    (wrong_type,) = type_and_wait('divide "three"', 1)
    assert "invalid_content" in wrong_type
    assert "$.content.by" in wrong_type
    assert "math.division_by_zero" in type_and_wait("divide 0", 1)[0]
    assert type_and_wait("enter", 1) == ['answer: enter {"here":1}']
    told = ['pushed: said {"text":"Hello"}', 'answer: say {"receivers":1}']
    assert type_and_wait("say Hello", 2) == told

    waiting.until(lambda _: waiting_to_be_stored(tutorial) == 0)  # durability is "batched"
    before = len(shown())
    tutorial.restart()
    waiting.until(lambda _: shown()[before:][-1:] == ["resumed"])
    assert type_and_wait("say Hello", 2) == told
    browser.get("about:blank")
