"""One Chromium and one demo server for all browser tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tests.chromium import DemoPage, start_chromium, why_unavailable
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


@pytest.fixture
def page(browser: Chrome, demo: RunningServer) -> Iterator[DemoPage]:
    """The freshly loaded page; the browser's console stays silent during the test."""
    page = DemoPage(browser, f"{demo.http_url}/")
    yield page
    assert page.complaints() == []
