"""Alerts to somebody else's server: beside everything, with a limit on time, attempts and number.

Whatever that server does, nobody here waits for it. Its address may be a secret (those of chat
services are), so no message names more of it than the host.
"""

from __future__ import annotations

import logging
import socket
from collections import deque
from datetime import UTC, datetime
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

import anyio
import anyio.to_thread
import msgspec

from .alerts import Alert
from .config import is_loopback

log = logging.getLogger("wsframe.plugins.monitoring")

MAX_WAITING = 32
"""Alerts that may wait for the webhook; then the oldest is given up."""
FIRST_PAUSE_S = 1.0
"""Between the first two attempts; then twice as long each time."""


class Webhook:
    """Sends alerts to one address.

    Args:
        url: where to.
        token: sent along as ``Authorization: Bearer``.
        timeout_s: of one attempt.
        attempts: for one alert.

    Attributes:
        lost: alerts that were given up.
    """

    def __init__(self, url: str, token: str | None, timeout_s: float, attempts: int) -> None:
        self._url = url
        self._host = urlsplit(url).hostname or ""
        self._token = token
        self._timeout_s = timeout_s
        self._attempts = attempts
        self._waiting: deque[Alert] = deque()
        self._wake = anyio.Event()
        self.lost = 0

    def send(self, alert: Alert) -> None:
        """Send an alert when its turn comes."""
        if len(self._waiting) >= MAX_WAITING:
            self._give_up(self._waiting.popleft(), "too many wait")
        self._waiting.append(alert)
        self._wake.set()

    async def run(self) -> None:
        """Send what comes, until cancelled."""
        while True:
            if not self._waiting:
                self._wake = anyio.Event()
                await self._wake.wait()
            await self._deliver(self._waiting.popleft())

    async def _deliver(self, alert: Alert) -> None:
        body = payload(alert)
        pause_s = FIRST_PAUSE_S
        problem = ""
        for attempt in range(self._attempts):
            if attempt:
                await anyio.sleep(pause_s)
                pause_s *= 2
            try:
                # The limit within does not count the time that a name takes to be resolved; a
                # thread that is left behind ends when that does.
                with anyio.fail_after(2 * self._timeout_s):
                    await anyio.to_thread.run_sync(
                        post, self._url, body, self._token, self._timeout_s, abandon_on_cancel=True
                    )
            except Exception as error:  # noqa: BLE001 - logged; nothing may end this task
                problem = f"{type(error).__name__}: {error}".replace(self._url, self._host)
                log.debug("the webhook at %s failed: %s", self._host, problem)
            else:
                return
        self._give_up(alert, problem)

    def _give_up(self, alert: Alert, problem: str) -> None:
        self.lost += 1
        log.error(
            "the webhook at %s was not told that %s was %s: %s",
            self._host,
            alert.name,
            alert.state,
            problem,
        )


def payload(alert: Alert) -> bytes:
    """An alert as JSON; ``text`` is what chat services show."""
    content: dict[str, Any] = {
        "text": f"{alert.name} {alert.state}: {alert.message}",
        "alert": alert.name,
        "state": alert.state,
        "value": alert.value,
        "threshold": alert.threshold,
        "clear": alert.clear,
        "windowS": alert.window_s,
        "at": datetime.fromtimestamp(alert.at, UTC).isoformat(timespec="milliseconds"),
        "host": socket.gethostname(),
    }
    return msgspec.json.encode(content)


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing: neither alerts nor tokens are for whoever is named there."""


def post(url: str, body: bytes, token: str | None, timeout_s: float) -> None:
    """Send ``body``; blocks, so it is run in a thread.

    Raises:
        OSError, ValueError, HTTPException: it was not taken.
    """
    headers = {"Content-Type": "application/json", "User-Agent": "wsframe-monitoring"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    proxies = [ProxyHandler({})] if is_loopback(urlsplit(url).hostname or "") else []
    opener = build_opener(_NoRedirects, *proxies)
    asked = Request(url, data=body, headers=headers)  # noqa: S310 - see check_webhook()
    try:
        opener.open(asked, timeout=timeout_s).close()
    except HTTPError as error:
        error.close()
        raise OSError(f"it answered with status {error.code}") from None
