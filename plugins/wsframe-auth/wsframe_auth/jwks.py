"""JSON Web Key Sets from elsewhere: fetched beside the event loop, cached, seldom fetched again.

Which address is asked is the operator's decision alone. Nothing in a token leads anywhere: ``jku``,
``x5u`` and ``iss`` are never followed (RFC 8725 section 3.10), and neither are redirections.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    ProxyHandler,
    Request,
    build_opener,
)

import anyio
import anyio.to_thread

from .config import Config
from .errors import InvalidToken, KeysUnavailable
from .keys import Key, key_set

log = logging.getLogger("wsframe.plugins.auth")

_CHUNK_BYTES = 16_384


def check_url(url: str) -> None:
    """See that keys may come from there.

    Raises:
        ValueError: it is neither ``https`` nor on this machine, or has a password in it.
    """
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None or not parts.hostname:
        raise ValueError("jwks_url: write https://host/path, without a user in it")
    if parts.scheme != "https" and not (parts.scheme == "http" and _is_loopback(parts.hostname)):
        raise ValueError(
            "jwks_url: it must be https, so that nobody on the way can put his own keys into it"
        )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow nothing: the answer itself is then the error."""


class _Connections:
    """The connections of one fetch, so that they can be cut when its time is over.

    A timeout of a socket begins anew with each byte: a head that comes a byte at a time would keep
    a thread for days.
    """

    def __init__(self) -> None:
        self.were_cut = False
        self._opened: list[HTTPConnection] = []
        outer = self

        class Plain(HTTPHandler):
            def http_open(self, req: Request) -> Any:
                return self.do_open(outer._make(HTTPConnection), req)

        class Secure(HTTPSHandler):
            def https_open(self, req: Request) -> Any:
                return self.do_open(outer._make(HTTPSConnection), req)

        self.handlers = (Plain, Secure)

    def _make(self, kind: Callable[..., HTTPConnection]) -> Callable[..., HTTPConnection]:
        def make(*arguments: Any, **options: Any) -> HTTPConnection:
            made = kind(*arguments, **options)
            self._opened.append(made)
            connect = made.connect

            def connect_in_time() -> None:
                connect()
                if self.were_cut:  # before there was a socket that could be
                    self.cut()

            made.connect = connect_in_time  # type: ignore[method-assign]
            return made

        return make

    def cut(self) -> None:
        """End them; whoever reads from them finds their end."""
        self.were_cut = True
        for each in self._opened:
            found: Any = each.sock  # None: not connected yet, or the answer's body has it
            if found is not None:
                with suppress(OSError):  # the peer was faster
                    socket.socket.shutdown(found, socket.SHUT_RDWR)


def fetch(url: str, timeout_s: float, max_bytes: int) -> bytes:
    """Fetch a document; blocks, so it is run in a thread.

    Raises:
        OSError: it cannot be had in time.
        ValueError: it is too large.
    """
    deadline = time.monotonic() + timeout_s
    proxies = [ProxyHandler({})] if _is_loopback(urlsplit(url).hostname or "") else []
    connections = _Connections()
    opener = build_opener(_NoRedirects, *connections.handlers, *proxies)
    asked = Request(url, headers={"Accept": "application/json"})  # noqa: S310 - see check_url()
    end = threading.Timer(timeout_s, connections.cut)
    end.daemon = True
    end.start()
    try:
        with opener.open(asked, timeout=timeout_s) as response:
            document = b""
            while chunk := response.read1(_CHUNK_BYTES):
                document += chunk
                if len(document) > max_bytes:
                    raise ValueError(f"it has more than {max_bytes} bytes")
                if time.monotonic() > deadline:
                    raise _late(timeout_s)
        if connections.were_cut:  # a head without an end counts as one
            raise _late(timeout_s)
        return document
    except HTTPError as error:
        error.close()
        raise OSError(f"it is answered with status {error.code}") from None
    except HTTPException as error:
        if connections.were_cut:
            raise _late(timeout_s) from None
        raise OSError(f"what answers speaks no HTTP: {type(error).__name__}") from None
    except OSError:
        if connections.were_cut:  # while the request was written
            raise _late(timeout_s) from None
        raise
    finally:
        end.cancel()


def _late(timeout_s: float) -> TimeoutError:
    return TimeoutError(f"timed out: it takes longer than {timeout_s:g} s")


class JwksKeys:
    """The keys of one key set.

    Args:
        url: where it is.
        algorithms: those that count.
        config: how often, how long and how much is fetched.
        now: a steady clock, in seconds.
    """

    changes = True

    def __init__(
        self, url: str, algorithms: Collection[str], config: Config, now: Callable[[], float]
    ) -> None:
        self._url = url
        self._host = urlsplit(url).hostname
        self._algorithms = frozenset(algorithms)
        self._config = config
        self._now = now
        self._keys: list[Key] = []
        self._refresh_at: float | None = None  # None: at once
        self._may_fetch_at: float | None = None  # None: at once
        self._fetching: anyio.Event | None = None

    async def find(self, kid: str | None, algorithm: str) -> Key:
        """See :class:`~wsframe_auth.sources.Keys`."""
        if algorithm not in self._algorithms:
            raise InvalidToken("its algorithm does not count")
        key = self._look_up(kid, algorithm)
        if key is None:
            await self._fetch()
            key = self._look_up(kid, algorithm)
        if key is not None:
            return key
        if not self._keys:
            raise KeysUnavailable("there are no keys yet")
        raise InvalidToken("its key is not in the key set")

    def _look_up(self, kid: str | None, algorithm: str) -> Key | None:
        """The key of this name; without a name, the only key there is for the algorithm."""
        fitting = [
            key
            for key in self._keys
            if algorithm in key.algorithms and (kid is None or key.kid == kid)
        ]
        return fitting[0] if len(fitting) == 1 else None

    async def refresh(self) -> None:
        """Fetch the key set if it is old."""
        if self._refresh_at is None or self._now() >= self._refresh_at:
            await self._fetch()

    async def _fetch(self) -> None:
        """Fetch it, unless that was done just now; who comes meanwhile waits for the same fetch."""
        if self._fetching is not None:
            await self._fetching.wait()
            return
        if self._may_fetch_at is not None and self._now() < self._may_fetch_at:
            return
        fetched = self._fetching = anyio.Event()
        config = self._config
        self._may_fetch_at = self._refresh_at = self._now() + config.jwks_cooldown_s
        try:
            # Whoever asked first may leave; those who wait with him still want to know.
            with anyio.CancelScope(shield=True):
                document = await anyio.to_thread.run_sync(
                    fetch, self._url, config.jwks_timeout_s, config.jwks_max_bytes
                )
            self._keys = key_set(document, self._algorithms)
            self._refresh_at = self._now() + max(config.jwks_refresh_s, config.jwks_cooldown_s)
        except (OSError, ValueError) as error:
            kept = f"its {len(self._keys)} former keys stay" if self._keys else "there are none yet"
            log.warning("the key set of %s cannot be used, %s: %s", self._host, kept, error)
        finally:
            self._fetching = None
            fetched.set()
