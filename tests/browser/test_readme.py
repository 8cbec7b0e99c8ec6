"""The page's code of the README runs in headless Chromium, against the README's own server."""

from __future__ import annotations

from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from tests.docs.pages import read_page
from tests.running_server import RunningServer

pytestmark = pytest.mark.browser


def test_the_code_for_a_page_logs_what_it_says(
    browser: Chrome, source_tree: Path, tmp_path: Path
) -> None:
    page = read_page(source_tree, source_tree / "README.md")
    (application,) = (each.text for each in page.blocks if each.text.startswith("# chat.py"))
    (code,) = (each.text for each in page.blocks if each.language == "js")
    (tmp_path / "chat.py").write_text(application, encoding="utf-8")
    with RunningServer(["wsframe", "run", "chat:app", "--port", "0"], cwd=tmp_path) as server:
        browser.get(f"{server.http_url}/healthz")
        logged = browser.execute_async_script(
            "const [report] = arguments; const lines = [];"
            "const console = { log: (line) => lines.push(line) };"
            f"(async () => {{ {code}; client.close(); }})()"
            ".then(() => report(lines), (error) => report([String(error)]));"
        )
    assert logged == ["connecting", "open", "Echo: Hi", "tell", "me", "more", "closed"]
