"""What the tests of threats 10 to 19 share: keys, tokens, and a server that checks them."""

from __future__ import annotations

import base64
import functools
import http.server
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import RSAAlgorithm
from wsframe_auth import AuthPlugin, Config

from wsframe import App

SECRET = "a secret of at least thirty-two bytes"
ISSUER = "https://id.example"


@functools.cache
def rsa_key(number: int = 0) -> rsa.RSAPrivateKey:
    """One of some key pairs, made once."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


def public_pem(number: int = 0) -> str:
    public = rsa_key(number).public_key()
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def jwk(kid: str | None, number: int = 0, **members: Any) -> dict[str, Any]:
    """The public half of a key pair, as an entry of a key set."""
    entry: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(rsa_key(number).public_key()))
    named = {} if kid is None else {"kid": kid}
    return {**{name: entry[name] for name in ("kty", "n", "e")}, **named, **members}


def claims(**changes: Any) -> dict[str, Any]:
    """Claims that count for an hour; a change to ``...`` takes one away.

    They were made a minute ago: where a test runs in virtual time, the server's clock stands still
    while the machine is busy, and a token of this very second would be from its future.
    """
    now = int(time.time())
    every = {"sub": "ann", "iat": now - 60, "exp": now + 3600, **changes}
    return {name: value for name, value in every.items() if value is not ...}


def hs_token(headers: Mapping[str, Any] | None = None, secret: str = SECRET, **changes: Any) -> str:
    return jwt.encode(claims(**changes), secret, algorithm="HS256", headers=dict(headers or {}))


def rs_token(kid: str | None = None, number: int = 0, **changes: Any) -> str:
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims(**changes), rsa_key(number), algorithm="RS256", headers=headers)


def segment(value: Any) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def guarded(handlers: Sequence[str] = ("echo",), **settings: Any) -> App:
    """An application behind the plugin, which knows the shared secret unless told otherwise."""
    material = {"secret", "public_key", "jwks_url", "issuers", "secret_file", "public_key_file"}
    if not material & settings.keys():
        settings = {"secret": SECRET, "algorithms": ("HS256",), **settings}
    # Time is real while a thread fetches keys: a busy machine is no reason to refuse anybody.
    if "jwks_url" in settings:
        settings = {"jwks_timeout_s": 60, **settings}
    app = App(plugins=[AuthPlugin(Config(**settings))], handshake_timeout_s=300)

    async def echo(message: Any, connection: Any) -> Any:
        return {"subject": connection.identity.subject, **message.content}

    for name in handlers:
        app.add_handler(name, echo)
    return app


class KeyServer:
    """Serves key sets on this machine, and counts who asks."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.keys: list[dict[str, Any]] = []
        self.status = 200
        self.body: bytes | None = None
        self.location: str | None = None
        self.let_go = threading.Event()
        """While it is not set, nobody gets an answer."""
        self.let_go.set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append(self.path)
                outer.let_go.wait(120)
                body = outer.body
                if body is None:
                    body = json.dumps({"keys": outer.keys}).encode()
                self.send_response(outer.status)
                if outer.location is not None:
                    self.send_header("Location", outer.location)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                with suppress(ConnectionError):  # whoever asked may have left
                    self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/keys"

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@contextmanager
def key_server(*keys: dict[str, Any]) -> Iterator[KeyServer]:
    server = KeyServer()
    server.keys = list(keys)
    server.start()
    try:
        yield server
    finally:
        server.stop()
