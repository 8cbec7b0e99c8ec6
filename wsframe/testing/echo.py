"""A raw echo server on wsframe's transports, without envelopes.

For conformance suites and load generators::

    python -m wsframe.testing.echo --host 127.0.0.1 --port 9001 [--transport asyncio|anyio]
        [--backend asyncio|uvloop|trio] [--no-hot-path] [--deflate]

It accepts any path and sends back every text and binary message, whole.
"""

from __future__ import annotations

from typing import Any

import anyio
import click

from ..config import Config
from ..errors import RequestRefused, StartError
from ..protocol.deflate import DeflateSettings, negotiate
from ..protocol.frames import encode_binary, encode_text
from ..protocol.handshake import accept_response, check_upgrade
from ..protocol.http import Request, refusal
from ..server.lifecycle import event_loop, make_listener
from ..server.link import StreamLink
from ..server.listening import describe, open_sockets
from ..server.node import Node


class Echo:
    """Sends back what it receives; stops reading from whoever does not read."""

    def __init__(self, deflate: DeflateSettings | None) -> None:
        self._deflate = deflate

    def request_received(self, link: StreamLink, request: Request) -> None:
        try:
            upgrade = check_upgrade(request)
        except RequestRefused as error:
            link.respond(refusal(error))
            return
        agreed = negotiate(upgrade.extensions, self._deflate) if self._deflate else None
        deflate, extensions = agreed if agreed is not None else (None, None)
        response = accept_response(upgrade, subprotocol=None, extensions=extensions)
        link.accept(response, subprotocol=None, deflate=deflate, opened=_nothing)

    def message_received(self, link: StreamLink, payload: str | bytes) -> None:
        if type(payload) is bytes:
            link.write(encode_binary(payload))
        else:
            link.write(encode_text(payload.encode()))  # type: ignore[union-attr]  # it is a str

    def writable_changed(self, link: StreamLink) -> None:
        if link.writable:
            link.resume_reading()
        else:
            link.pause_reading()

    def link_closed(self, link: Any, code: int, reason: str) -> None:
        pass


def _nothing() -> None:
    pass


async def serve(config: Config, *, hot_path: bool, deflate: bool) -> None:
    """Echo until cancelled; prints the address once it accepts."""
    settings = DeflateSettings.from_config(config) if deflate else None
    node = Node(config, Echo(settings), hot_path=hot_path)
    sockets = open_sockets(config)
    async with anyio.create_task_group() as task_group:
        await task_group.start(node.run)
        await make_listener(node, sockets, None).start()
        print(describe(sockets[0], secure=False, path="/"), flush=True)  # noqa: T201 - its output


@click.command(help="Echo every WebSocket message, on any path.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=9001, show_default=True)
@click.option("--transport", type=click.Choice(["asyncio", "anyio"]), default="asyncio")
@click.option("--backend", type=click.Choice(["auto", "asyncio", "uvloop", "trio"]), default="auto")
@click.option("--no-hot-path", is_flag=True, help="Send every frame through wsproto.")
@click.option("--deflate", is_flag=True, help="Accept permessage-deflate.")
@click.option("--max-message-bytes", default=64 * 2**20, show_default=True)
@click.option("--heartbeat-interval-s", default=30.0, show_default=True, help="0: no heartbeat.")
def main(
    *,
    host: str,
    port: int,
    transport: Any,
    backend: Any,
    no_hot_path: bool,
    deflate: bool,
    max_message_bytes: int,
    heartbeat_interval_s: float,
) -> None:
    """Run the echo server."""
    config = Config(
        host=host,
        port=port,
        transport="anyio" if backend == "trio" else transport,
        backend=backend,
        max_message_bytes=max_message_bytes,
        heartbeat_interval_s=heartbeat_interval_s,
        max_fragments=2**20,
        compression_context_takeover=True,
    )
    name, options = event_loop(config)
    try:
        anyio.run(
            lambda: serve(config, hot_path=not no_hot_path, deflate=deflate),
            backend=name,
            backend_options=options,
        )
    except StartError as error:
        raise click.ClickException(error.message) from error
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
