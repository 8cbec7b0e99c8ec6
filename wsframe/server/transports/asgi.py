"""The ASGI transport: an application inside uvicorn, hypercorn, Starlette or FastAPI.

The ASGI server speaks HTTP and WebSocket; what is left here is to start, to answer requests, and to
hand messages over, which is :mod:`~wsframe.server.transports.asgi_link`.

With the lifespan protocol, or with ``FastAPI(lifespan=app.lifespan)`` around a mounted application,
the application starts and stops with the server. Without it, it starts with its first request and
ends with the event loop, without a drain.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import anyio
import sniffio

from ...errors import RequestRefused, StartError
from ...protocol.handshake import check_upgrade, choose_subprotocol
from ...protocol.http import Request, Response, refusal
from .asgi_link import AsgiLink, Receive, Send

if TYPE_CHECKING:
    from ..app import App
    from ..runtime import Runtime

log = logging.getLogger("wsframe.server")

Scope = MutableMapping[str, Any]

MAX_BODY_BYTES = 65_536


async def serve_asgi(app: App, scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one ASGI scope: lifespan, http or websocket."""
    kind = scope["type"]
    if kind == "lifespan":
        await _serve_lifespan(app, receive, send)
    elif kind == "http":
        runtime = await _runtime_of(app)
        await _serve_http(runtime, scope, receive, send)
    elif kind == "websocket":
        runtime = await _runtime_of(app)
        await _serve_websocket(runtime, scope, receive, send)
    else:
        raise ValueError(f"unknown ASGI scope type {kind!r}")


# Starting and stopping


@asynccontextmanager
async def running(app: App) -> AsyncIterator[None]:
    """Run an application while an ASGI server serves it."""
    runtime = app.prepare()
    failure: StartError | None = None
    try:
        async with anyio.create_task_group() as task_group:
            await task_group.start(runtime.node.run)
            try:
                await runtime.begin(app)
            except StartError as error:
                failure = error
            else:
                runtime.ready = True
                try:
                    yield
                finally:
                    with anyio.CancelScope(shield=True):
                        await runtime.drain()
                        await runtime.end(app)
            runtime.node.stop()
    finally:
        app.release()
    if failure is not None:
        raise failure


async def _serve_lifespan(app: App, receive: Receive, send: Send) -> None:
    await receive()
    try:
        async with running(app):
            await send({"type": "lifespan.startup.complete"})
            await receive()
    except StartError as error:
        log.critical("%s", error)
        await send({"type": "lifespan.startup.failed", "message": str(error)})
    else:
        await send({"type": "lifespan.shutdown.complete"})


async def _runtime_of(app: App) -> Runtime:
    """What runs; starts it in the background if no lifespan did."""
    background: _Background | None = app.background
    if background is None and app.runtime is None:
        background = app.background = _Background(app)
        background.start()
    if background is not None:
        await background.started.wait()
        if background.error is not None:
            raise background.error
    if app.runtime is None:
        raise RuntimeError("the application has stopped")
    return app.runtime


class _Background:
    """Runs an application that no lifespan event has started."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.started = anyio.Event()
        self._stopping = anyio.Event()
        self._ended = anyio.Event()
        self.error: StartError | None = None
        self._task: Any = None

    def start(self) -> None:
        if sniffio.current_async_library() == "asyncio":
            import asyncio

            self._task = asyncio.create_task(self._run(), name="wsframe")
        else:
            sys.modules["trio"].lowlevel.spawn_system_task(self._run)

    async def _run(self) -> None:
        try:
            async with running(self._app):
                self.started.set()
                await self._stopping.wait()
        except StartError as error:
            self.error = error
        finally:
            self.started.set()
            self._app.background = None
            self._ended.set()

    async def stop(self) -> None:
        self._stopping.set()
        await self._ended.wait()


# HTTP


def _request(scope: Scope, method: str, body: bytes = b"") -> Request:
    path: str = scope["path"]
    root: str = scope.get("root_path", "").rstrip("/")
    if root and f"{path}/".startswith(f"{root}/"):  # mounted: the server gives the whole path
        path = path[len(root) :] or "/"
    query = scope.get("query_string", b"").decode("latin-1")
    client = scope.get("client")
    raw_path = scope.get("raw_path") or quote(path).encode()
    return Request(
        method,
        raw_path.decode("latin-1"),
        [(n.decode("latin-1"), v.decode("latin-1")) for n, v in scope["headers"]],
        path=path,
        query=query,
        address=client[0] if client else "",
        secure=scope.get("scheme") in ("https", "wss"),
        body=body,
    )


async def _serve_http(runtime: Runtime, scope: Scope, receive: Receive, send: Send) -> None:
    try:
        request = _request(scope, scope["method"], await _body(receive))
        if request.path == runtime.config.path:
            check_upgrade(request)  # the server found none, so this says what is missing
        response = await runtime.doorway.respond(request)
    except RequestRefused as error:
        response = refusal(error)
    await _send_response(response, "http.response", scope["method"] == "HEAD", send)


async def _body(receive: Receive) -> bytes:
    body: bytes = b""
    while True:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise RequestRefused(400, "bad_request", "The request ended too early.")
        body += event.get("body", b"")
        if len(body) > MAX_BODY_BYTES:
            raise RequestRefused(413, "content_too_large", "The body is too large.")
        if not event.get("more_body"):
            return body


async def _send_response(response: Response, prefix: str, head_only: bool, send: Send) -> None:
    headers = [(n.lower().encode("ascii"), v.encode("ascii")) for n, v in response.headers]
    if response.body:
        headers.append((b"content-type", response.content_type.encode("ascii")))
    headers.append((b"content-length", str(len(response.body)).encode("ascii")))
    await send({"type": f"{prefix}.start", "status": response.status, "headers": headers})
    await send({"type": f"{prefix}.body", "body": b"" if head_only else response.body})


# WebSocket


async def _serve_websocket(runtime: Runtime, scope: Scope, receive: Receive, send: Send) -> None:
    event = await receive()
    if event["type"] != "websocket.connect":
        return
    request, began = _request(scope, "GET"), runtime.doorway.now()
    try:
        if request.path != runtime.config.path:
            raise RequestRefused(404, "not_found", "There is no WebSocket at this path.")
        runtime.doorway.check_capacity(request)
        identity = await runtime.doorway.identify(request)
        runtime.doorway.check_capacity(request)
    except RequestRefused as error:
        runtime.counters.refused_connections[error.status] += 1
        runtime.doorway.answered(request, error.status, began)
        if "websocket.http.response" in scope.get("extensions", {}):
            await _send_response(refusal(error), "websocket.http.response", False, send)
        else:
            await send({"type": "websocket.close", "code": 1008, "reason": error.message})
        return
    subprotocol = choose_subprotocol(scope.get("subprotocols", ()))
    link = AsgiLink(runtime, request, subprotocol, receive, send)
    runtime.doorway.opened(link, identity)
    runtime.doorway.answered(request, 101, began)
    await link.serve()
