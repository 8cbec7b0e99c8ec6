"""The demo page does in a real browser what its buttons promise."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.common.exceptions import (
    ElementClickInterceptedException,
    ElementNotInteractableException,
)
from selenium.webdriver import Chrome
from selenium.webdriver.common.keys import Keys

from tests.chromium import DemoPage, complaints
from tests.running_server import RunningServer
from wsframe.demo.stories import answer_to

pytestmark = pytest.mark.browser


def test_what_is_typed_comes_back(page: DemoPage) -> None:
    page.type("Hello <b>world</b> & 世界\n")
    page.wait_for_answer()
    assert page.bubbles == ["Hello <b>world</b> & 世界", "Echo: Hello <b>world</b> & 世界"]


def test_shift_enter_makes_a_new_line(page: DemoPage) -> None:
    page.type("one" + Keys.SHIFT + Keys.ENTER + Keys.NULL + "two" + Keys.ENTER)
    page.wait_for_answer()
    assert page.bubbles[-1] == "Echo: one\ntwo"


def test_a_streamed_answer_grows_word_by_word(page: DemoPage) -> None:
    story = answer_to("Tell me a story")
    page.browser.execute_script("""
        globalThis.seen = [];
        new MutationObserver(() => {
          const text = document.querySelector("#messages .theirs .bubble")?.textContent;
          if (text && text !== seen.at(-1)) seen.push(text);
        }).observe(document.querySelector("#messages"), { childList: true, subtree: true });
    """)
    page.try_example("stream")
    page.wait_until(lambda: page.bubbles[-1:] == [story], "the whole story")
    seen = page.browser.execute_script("return seen")
    assert len(seen) > 5, "the answer came in a few big steps"
    assert all(story.startswith(text) for text in seen)
    answer = page.wait_for_answer()
    assert "failed" not in (answer.get_attribute("class") or "")


def test_an_error_is_shown_with_code_and_message(page: DemoPage) -> None:
    page.try_example("error")
    answer = page.wait_for_answer()
    assert "failed" in (answer.get_attribute("class") or "").split()
    assert page.bubbles[-1] == "math.division_by_zero\nby must not be 0"


def test_a_misspelt_type_is_answered_with_the_nearest_one(page: DemoPage) -> None:
    page.try_example("unknown")
    page.wait_for_answer()
    assert page.bubbles[-1].startswith("unknown_type\n")
    assert page.bubbles[-1].endswith("Did you mean text?")


def test_a_handler_that_takes_too_long_can_be_tried_again(page: DemoPage) -> None:
    page.try_example("timeout")
    answer = page.wait_for_answer()
    assert page.bubbles[-1].startswith("timeout\n")
    (again,) = answer.find_elements("css selector", ".meta button")
    assert again.text == "Try again"


@pytest.mark.parametrize("how", ["button", "escape", "bubble"])
def test_a_running_stream_is_cancelled(slow_page: DemoPage, how: str) -> None:
    page = slow_page
    page.try_example("stream")
    page.wait_for_words()
    if how == "escape":
        page.type(Keys.ESCAPE)
    else:
        page.find("#stop" if how == "button" else "#messages .meta button").click()
    answer = page.wait_for_answer()
    assert "stopped" in (answer.get_attribute("class") or "").split()
    told, code, message = page.bubbles[-1].split("\n")
    assert answer_to("Tell me a story").startswith(told)
    assert (code, message) == ("cancelled", "The message was cancelled.")
    assert not page.find("#stop").is_enabled()
    page.type("still here\n")
    page.wait_for_answer()
    assert page.bubbles[-1] == "Echo: still here"


def test_an_answer_whose_connection_is_dropped_goes_on_where_it_was(page: DemoPage) -> None:
    # In the page itself: between two commands of ours, the whole story might be told.
    page.browser.execute_script("""
        new MutationObserver((_, observer) => {
          const told = document.querySelector("#messages .theirs .bubble")?.textContent;
          if (!told?.includes(" ")) return;
          observer.disconnect();
          document.querySelector("#drop").click();
        }).observe(document.querySelector("#messages"), { childList: true, subtree: true });
    """)
    page.try_example("stream")
    resumed = "Resumed, nothing is lost"
    page.wait_until(lambda: page.find("#status").text == resumed, resumed)
    answer = page.wait_for_answer()
    assert page.find("#status").text == resumed
    assert page.bubbles[-1] == answer_to("Tell me a story")
    assert "failed" not in (answer.get_attribute("class") or "").split()
    page.type("still here\n")
    page.wait_for_answer()
    assert page.bubbles[-1] == "Echo: still here"


def test_messages_go_both_ways_while_a_stream_runs(slow_page: DemoPage) -> None:
    page = slow_page
    page.try_example("stream")
    page.wait_for_words()
    page.type("in between\n")
    page.wait_until(lambda: page.bubbles[-1] == "Echo: in between", "the echo")
    assert page.find_all("#messages li.running"), "the stream had ended before the echo came"


@pytest.fixture
def demo_of_its_own(source_tree: Path) -> Iterator[RunningServer]:
    """A demo that no other page has been at: the session of one that was left may live on."""
    with RunningServer(["wsframe", "demo", "--port", "0"], cwd=source_tree / "tests") as server:
        yield server


def test_what_is_said_to_everyone_reaches_other_pages(
    browser: Chrome, demo_of_its_own: RunningServer
) -> None:
    complaints(browser)  # what an earlier page has said at last
    page = DemoPage(browser, f"{demo_of_its_own.http_url}/")
    first = page.browser.current_window_handle
    page.browser.switch_to.new_window("tab")
    try:
        other = type(page)(page.browser, f"{demo_of_its_own.http_url}/")
        other.wait_until(lambda: len(other.find_all("#wire li")) >= 4, "entering the room")
        page.browser.switch_to.window(first)
        page.choose("say")
        page.type("hello all\n")
        page.wait_for_answer()
        assert page.bubbles == ["hello all", "Delivered to 1."]
        page.browser.switch_to.window(other.browser.window_handles[-1])
        other.wait_until(lambda: other.bubbles == ["hello all"], "the message")
    finally:
        page.browser.switch_to.window(page.browser.window_handles[-1])
        page.browser.close()
        page.browser.switch_to.window(first)
    assert page.complaints() == []
    browser.get("about:blank")


def test_the_wire_panel_shows_every_message_and_no_secret(page: DemoPage) -> None:
    page.try_example("echo")
    page.wait_for_answer()
    script = "return [...document.querySelectorAll('#wire pre')].map((pre) => pre.textContent)"
    shown = page.browser.execute_script(script)
    assert any('"Echo: Hello, wsframe!"' in message for message in shown)
    assert set(re.findall(r'"secret": "(.*)"', "\n".join(shown))) == {"…"}


def test_every_control_has_a_name_and_can_be_reached_by_keyboard(page: DemoPage) -> None:
    script = """
        return [...document.querySelectorAll('button, input, textarea, summary')]
          .filter((control) => control.checkVisibility())
          .filter((control) => {
            const names = [control, ...(control.labels ?? [])].map((from) => from.textContent);
            return control.tabIndex < 0 || !names.some((name) => name.trim());
          })
          .map((control) => control.outerHTML)
    """
    assert page.browser.execute_script(script) == []
    announced = page.find("#announcer")
    assert announced.get_attribute("aria-live") == "polite"
    page.try_example("echo")
    page.wait_for_answer()
    assert announced.get_attribute("textContent") == "Server: Echo: Hello, wsframe!"


def test_the_page_loads_nothing_from_other_hosts_and_runs_no_inline_script(
    page: DemoPage, demo: RunningServer
) -> None:
    script = "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    loaded = page.browser.execute_script(script)
    assert loaded
    assert all(url.startswith(f"{demo.http_url}/") for url in loaded), loaded
    script = """
        const done = arguments[0];
        fetch('/').then((answer) => done(answer.headers.get('content-security-policy')));
    """
    assert "default-src 'none'; script-src 'self'" in page.browser.execute_async_script(script)


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844), (320, 568)])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nothing_overflows_and_text_has_contrast(
    page: DemoPage, width: int, height: int, theme: str
) -> None:
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    media = {"features": [{"name": "prefers-color-scheme", "value": theme}]}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        page.type("unbroken" * 60 + "\n")
        page.wait_for_answer()
        page.try_example("error")
        page.wait_for_answer()
        page.browser.execute_script("document.querySelector('#drop').click()")
        longest = "Resumed, nothing is lost"
        page.wait_until(lambda: page.find("#status").text == longest, longest)
        measured = page.browser.execute_script(MEASURE)
    finally:
        page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        page.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert measured["width"] <= width
    assert measured["height"] <= height
    assert measured["contrast"], "nothing was measured"
    assert {name: ratio for name, ratio in measured["contrast"].items() if ratio < 4.5} == {}


def test_the_page_says_so_when_the_server_is_gone_and_comes_back(
    browser: Chrome, source_tree: Path
) -> None:
    slow = ["wsframe", "run", "tests.integration.slow_demo:app", "--port", "0"]
    with RunningServer(slow, cwd=source_tree) as server:
        page = DemoPage(browser, f"{server.http_url}/")
        page.try_example("stream")
        page.wait_for_words()
        server.kill()
        page.wait_for_status("reconnecting")
        assert page.find("#status").text == "Reconnecting…"
        page.type("sent while away\n")
        assert "as soon as the connection is back" in page.find("#messages").text

        again = ["wsframe", "demo", "--port", str(server.port)]
        with RunningServer(again, cwd=Path(__file__).parent):
            with contextlib.suppress(
                ElementNotInteractableException, ElementClickInterceptedException
            ):  # it is trying already
                page.find("#reconnect").click()
            page.wait_for_status("open")
            page.wait_until(lambda: "Echo: sent while away" in page.bubbles, "the echo")
            interrupted = page.bubbles[1].split("\n")
            assert interrupted[-2] == "session_lost"
            assert page.find_all("#messages li.running") == []
        page.wait_for_status("reconnecting")
        browser.get("about:blank")
    # What the browser itself notes about refused connections is no fault of the page.
    assert [line for line in page.complaints() if "WebSocket connection to" not in line] == []


def test_an_orderly_stop_of_the_server_reaches_the_page(browser: Chrome) -> None:
    command = ["wsframe", "demo", "--port", "0"]
    with RunningServer(command, cwd=Path(__file__).parent) as server:
        page = DemoPage(browser, f"{server.http_url}/")
        assert server.stop() == 0
        page.wait_for_status("reconnecting")
        browser.get("about:blank")
    assert [line for line in page.complaints() if "WebSocket connection to" not in line] == []


MEASURE = """
const channels = (color) => {
  const canvas = document.createElement('canvas');
  canvas.width = canvas.height = 1;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.fillStyle = color;
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data];
};
// WCAG 2.2, relative luminance
const linear = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const luminance = ([red, green, blue]) =>
  0.2126 * linear(red / 255) + 0.7152 * linear(green / 255) + 0.0722 * linear(blue / 255);
const background = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const color = channels(getComputedStyle(at).backgroundColor);
    if (color[3] === 255) return color;
  }
  return [255, 255, 255, 255];
};
const contrast = {};
const measured = ['h1', '#status', '.examples button', 'fieldset span', '#send', '.mine .bubble',
  '.theirs .bubble', '.failed code', '.meta', '#wire-panel > summary'];
for (const selector of measured) {
  const element = document.querySelector(selector);
  const colors = [channels(getComputedStyle(element).color), background(element)];
  const [light, dark] = colors.map(luminance).sort((a, b) => b - a);
  contrast[selector] = (light + 0.05) / (dark + 0.05);
}
const { scrollWidth: width, scrollHeight: height } = document.documentElement;
return { width, height, contrast };
"""
