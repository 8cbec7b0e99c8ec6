"""A headless Chromium under WebDriver, and the demo page as a user sees it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

WAIT_S = 90.0
"""A guard against waiting for ever: what a test waits for comes much earlier."""

ARGUMENTS = (
    "--headless",
    "--no-sandbox",  # Chromium refuses its sandbox to root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def _find(*names: str) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)


def why_unavailable() -> str | None:
    """What is missing for browser tests on this machine; None: nothing."""
    if _find("chromium", "chromium-browser", "google-chrome") is None:
        return "Chromium is not installed"
    if _find("chromedriver") is None:
        return "chromedriver is not installed"
    return None


def start_chromium(profile: Path) -> webdriver.Chrome:
    """A browser with a profile of its own; the caller quits it."""
    options = webdriver.ChromeOptions()
    options.binary_location = _find("chromium", "chromium-browser", "google-chrome") or ""
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    environment = {**os.environ, "HOME": str(profile)}
    service = Service(executable_path=_find("chromedriver"), env=environment)
    browser = webdriver.Chrome(options=options, service=service)
    browser.set_script_timeout(WAIT_S)
    browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": PATIENCE})
    return browser


PATIENCE = """
const { setTimeout } = globalThis;
globalThis.setTimeout = (callback, ms, ...more) =>
  setTimeout(callback, ms === 10_000 ? 90_000 : ms, ...more);
"""
"""Pages give up after ten seconds, for their users; here, that a machine is slow is no fault."""


def complaints(browser: webdriver.Chrome) -> list[str]:
    """Errors and warnings of a browser's console since the last call."""
    entries = browser.get_log("browser")  # type: ignore[no-untyped-call]
    return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]


class DemoPage:
    """The demo page, by what a user sees and does."""

    def __init__(self, browser: webdriver.Chrome, url: str) -> None:
        self.browser = browser
        browser.get(url)
        self.wait_for_status("open")

    def wait_until(self, condition: Callable[[], Any], what: str) -> Any:
        """Wait for ``condition`` and return what it returned."""
        waiting = WebDriverWait(
            self.browser,
            WAIT_S,
            poll_frequency=0.05,
            ignored_exceptions=[StaleElementReferenceException],
        )
        return waiting.until(lambda _: condition(), f"waited {WAIT_S:g} s for {what}")

    def find(self, selector: str) -> WebElement:
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def find_all(self, selector: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    @property
    def status(self) -> str:
        return self.find("#status").get_attribute("data-status") or ""

    def wait_for_status(self, status: str) -> None:
        self.wait_until(lambda: self.status == status, f"the status {status!r}")

    def try_example(self, name: str) -> None:
        """Press the button of an example."""
        self.find(f'[data-example="{name}"]').click()

    def type(self, keys: str) -> None:
        """Type into the message field."""
        self.find("#text").send_keys(keys)

    def choose(self, mode: str) -> None:
        """Send what is typed as ``text``, ``ask`` or ``say``."""
        self.browser.execute_script(
            "document.querySelector(arguments[0]).click()", f'input[value="{mode}"]'
        )

    @property
    def bubbles(self) -> list[str]:
        """What has been said, in order."""
        return [bubble.text for bubble in self.find_all("#messages .bubble")]

    def wait_for_words(self) -> None:
        """Wait until a streamed answer has begun."""
        self.wait_until(lambda: any(" " in told for told in self.bubbles[-1:]), "the first words")

    def wait_for_answer(self) -> WebElement:
        """The newest answer, once it is complete."""

        def complete() -> WebElement | None:
            newest = self.find_all("#messages li.theirs")[-1:]
            return (
                newest[0]
                if newest and "running" not in newest[0].get_attribute("class").split()
                else None
            )

        answer = self.wait_until(complete, "a complete answer")
        assert isinstance(answer, WebElement)
        return answer

    def complaints(self) -> list[str]:
        """Errors and warnings of the browser's console since the last call."""
        return complaints(self.browser)
