"""Alerts to somebody else's server, whatever that does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import anyio
import pytest
from wsframe_monitoring import Alert, webhook
from wsframe_monitoring.webhook import MAX_WAITING, Webhook

from wsframe import PluginError

ALERT = Alert(
    name="loop_lag", state="raised", value=0.75, threshold=0.5, clear=0.4, window_s=60.0,
    at=1_700_000_000.5, message="the event loop was late",
)  # fmt: skip
SECRET_PATH = "/services/T00/B00/secretsecret"
TIMEOUT_S = 60.0
"""For a receiver that answers: time is real while a thread asks it."""


class Receiver(HTTPServer):
    """Answers with the statuses that it is told, then with 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.statuses: list[int] = []
        self.received: list[tuple[str, dict[str, str], Any]] = []
        self.url = f"http://127.0.0.1:{self.server_port}{SECRET_PATH}"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append((self.path, headers, json.loads(body)))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


async def deliver(hook: Webhook, *alerts: Alert, within_s: float = 100) -> None:
    """Send alerts and let the webhook work on them."""
    from wsframe.testing.clocks import mind_threads

    mind_threads()
    async with anyio.create_task_group() as task_group:
        task_group.start_soon(hook.run)
        for alert in alerts:
            hook.send(alert)
        await anyio.sleep(within_s)
        task_group.cancel_scope.cancel()


@pytest.mark.anyio
async def test_an_alert_is_sent_as_json_with_the_token(receiver: Receiver) -> None:
    hook = Webhook(receiver.url, "a token", TIMEOUT_S, 3)
    await deliver(hook, ALERT)
    ((path, headers, content),) = receiver.received
    assert path == SECRET_PATH
    assert headers["authorization"] == "Bearer a token"
    assert headers["content-type"] == "application/json"
    assert content.pop("host")
    assert content == {
        "text": "loop_lag raised: the event loop was late",
        "alert": "loop_lag", "state": "raised", "value": 0.75, "threshold": 0.5, "clear": 0.4,
        "windowS": 60.0, "at": "2023-11-14T22:13:20.500+00:00",
    }  # fmt: skip
    assert hook.lost == 0


@pytest.mark.anyio
async def test_it_is_tried_again_so_often_and_no_oftener(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    hook = Webhook(receiver.url, None, TIMEOUT_S, 3)
    receiver.statuses = [500, 503]
    await deliver(hook, ALERT)
    assert len(receiver.received) == 3
    assert hook.lost == 0
    receiver.statuses = [500] * 9
    await deliver(hook, ALERT)
    assert len(receiver.received) == 6
    assert hook.lost == 1
    assert "was not told that loop_lag was raised: OSError: it answered with status 500" in (
        caplog.text
    )


@pytest.mark.anyio
async def test_a_redirection_is_not_followed(receiver: Receiver) -> None:
    receiver.statuses = [302, 307]
    hook = Webhook(receiver.url, "a token", TIMEOUT_S, 2)
    await deliver(hook, ALERT)
    assert [path for path, _, _ in receiver.received] == [SECRET_PATH] * 2
    assert hook.lost == 1


@pytest.mark.anyio
async def test_the_address_is_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    hook = Webhook(f"http://127.0.0.1:1{SECRET_PATH}", None, 5, 2)
    await deliver(hook, ALERT)
    assert hook.lost == 1
    assert "the webhook at 127.0.0.1" in caplog.text
    assert "secretsecret" not in caplog.text


@pytest.mark.anyio
async def test_what_hangs_is_given_up_and_nobody_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    released = threading.Event()
    begun: list[bool] = []
    given_up: list[bool] = []

    def hang(*_: Any) -> None:
        begun.append(True)
        given_up.append(released.wait(60))

    monkeypatch.setattr(webhook, "post", hang)
    hook = Webhook("https://example.invalid/", None, 0.02, 2)
    async with anyio.create_task_group() as task_group:
        task_group.start_soon(hook.run)
        hook.send(ALERT)
        while not hook.lost:
            await anyio.sleep(0.01)
        task_group.cancel_scope.cancel()
    assert given_up == []  # those threads hang still, and nobody waits for them
    released.set()
    while len(given_up) < len(begun):  # but no other test shall meet them
        await anyio.sleep(0.01)


@pytest.mark.anyio
async def test_a_limited_number_waits(caplog: pytest.LogCaptureFixture) -> None:
    hook = Webhook("https://example.invalid/", None, 5, 1)
    for _ in range(MAX_WAITING + 3):
        hook.send(ALERT)
    assert hook.lost == 3
    assert "too many wait" in caplog.text


async def test_the_plugin_sends_its_alerts(
    wsframe_client: Any, watched: Any, scrape: Any, receiver: Receiver, tmp_path: Path
) -> None:
    file = tmp_path / "url"
    file.write_text(receiver.url + "\n", encoding="utf-8")
    app = watched(webhook_url_file=str(file), webhook_timeout_s=TIMEOUT_S, interval_s=1.0)
    await wsframe_client(app)
    app.plugins[0]._watching.late(3.0)
    with anyio.fail_after(1_000):
        while not receiver.received:
            await anyio.sleep(0.1)
    await anyio.sleep(3)
    assert [content["alert"] for _, _, content in receiver.received] == ["loop_lag"]
    assert (await scrape(app))["wsframe_alerts_undelivered_total"] == 0


async def test_a_bad_address_in_a_file_stops_the_start(
    wsframe_client: Any, watched: Any, tmp_path: Path
) -> None:
    file = tmp_path / "url"
    file.write_text("http://chat.example/secretsecret", encoding="utf-8")
    with pytest.raises(PluginError, match="must be https") as refused:
        await wsframe_client(watched(webhook_url_file=str(file)))
    assert "secretsecret" not in str(refused.value)
