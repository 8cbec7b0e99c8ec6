"""One Chromium and one demo server for all browser tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tests.chromium import DemoPage, complaints, start_chromium, why_unavailable
from tests.running_server import RunningServer


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    if reason := why_unavailable():
        pytest.skip(reason)
    driver = start_chromium(tmp_path_factory.mktemp("chromium"))
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def demo(source_tree: Path) -> Iterator[RunningServer]:
    with RunningServer(["wsframe", "demo", "--port", "0"], cwd=source_tree / "tests") as server:
        yield server


@pytest.fixture(scope="session")
def slow_demo(source_tree: Path) -> Iterator[RunningServer]:
    """The demo, whose stories last."""
    command = ["wsframe", "run", "tests.integration.slow_demo:app", "--port", "0"]
    with RunningServer(command, cwd=source_tree) as server:
        yield server


@pytest.fixture
def page(browser: Chrome, demo: RunningServer) -> Iterator[DemoPage]:
    """The freshly loaded page; the browser's console stays silent during the test."""
    yield from load(browser, demo)


@pytest.fixture
def slow_page(browser: Chrome, slow_demo: RunningServer) -> Iterator[DemoPage]:
    """The same, where a story goes on for as long as a test has something to do meanwhile."""
    yield from load(browser, slow_demo)


def load(browser: Chrome, server: RunningServer) -> Iterator[DemoPage]:
    browser.get("about:blank")
    complaints(browser)  # what an earlier page has said at last
    page = DemoPage(browser, f"{server.http_url}/")
    yield page
    assert page.complaints() == []
