"""A WebSocket client that sends back every message it gets, until it is closed.

For conformance suites that play the server::

    python -m wsframe.testing.echo_client ws://127.0.0.1:9001/path … [--deflate]
        [--no-hot-path] [--backend asyncio|uvloop|trio] [--max-message-bytes N]

Several URLs are visited one after the other. It exits with 0 however the connections end, and with
1 when one of them did not come about.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.abc
import click

from ..config import Config
from ..errors import ProtocolError, RequestRefused, StartError
from ..protocol.client_handshake import ClientHandshake
from ..protocol.connection import Role, State, WebSocket
from ..protocol.deflate import Deflate, DeflateSettings, accept_response, offer
from ..protocol.events import Ping
from ..protocol.frames import BINARY, TEXT, encode_frame
from ..server.lifecycle import event_loop

READ_BYTES = 65_536
CLOSE_TIMEOUT_S = 5.0
"""A server that was told of the end has so long to close the stream."""

_STREAM_ERRORS = (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream)


async def echo(
    url: str, *, deflate: DeflateSettings | None, max_message_bytes: int, hot_path: bool = True
) -> None:
    """Connect to ``url`` and echo until the connection ends.

    Args:
        url: ``ws://host:port/path?query``.
        deflate: offer permessage-deflate with these settings.
        max_message_bytes: of one message.
        hot_path: False sends every frame through wsproto.

    Raises:
        OSError: nobody listens there.
        RequestRefused, ProtocolError: the handshake failed.
    """
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    handshake: ClientHandshake[Deflate] = ClientHandshake(
        parts.netloc,
        target,
        key=secrets.token_bytes(16),
        extensions=offer(deflate) if deflate else None,
        accept_extensions=partial(accept_response, settings=deflate) if deflate else None,
    )
    async with await anyio.connect_tcp(parts.hostname or "", parts.port or 80) as stream:
        await stream.send(handshake.request())
        while (accepted := handshake.receive_data(await _receive(stream))) is None:
            pass
        websocket = WebSocket(
            Role.CLIENT,
            max_message_bytes=max_message_bytes,
            max_fragments=2**20,
            deflate=accepted.extension,
            hot_path=hot_path,
            mask_key=partial(secrets.token_bytes, 4),
        )
        try:
            await _echo(websocket, stream, handshake.trailing)
        except _STREAM_ERRORS:  # the server is gone; there is nobody to be told
            return


async def _echo(websocket: WebSocket, stream: anyio.abc.ByteStream, data: bytes) -> None:
    while websocket.state is State.OPEN:
        events = websocket.receive_data(data)
        answers = []
        for event in events:
            if isinstance(event, (str, bytes)):
                answers.append(_echoed(websocket, event))
            elif isinstance(event, Ping) and websocket.output:
                answers.append(websocket.output.pop(0))  # its pong, in its place
        answers += websocket.output
        websocket.output.clear()
        if answers:
            await stream.send(b"".join(answers))
        if websocket.state is State.OPEN:
            data = await stream.receive(READ_BYTES)
    await stream.send_eof()
    with anyio.move_on_after(CLOSE_TIMEOUT_S):  # the server closes first (RFC 6455 section 7.1.1)
        while True:
            await stream.receive(READ_BYTES)


def _echoed(websocket: WebSocket, message: str | bytes) -> bytes:
    opcode, payload = (BINARY, message) if isinstance(message, bytes) else (TEXT, message.encode())
    if websocket.state is State.OPEN:
        return (websocket.send_binary if opcode == BINARY else websocket.send_text)(payload)
    # A close frame came right behind it. Its answer has not been written yet, so that the echo can
    # still go before it (RFC 6455 section 5.5.1).
    return encode_frame(opcode, payload, mask=secrets.token_bytes(4))


async def _receive(stream: anyio.abc.ByteStream) -> bytes:
    try:
        return await stream.receive(READ_BYTES)
    except _STREAM_ERRORS:
        raise ProtocolError(1006, "the server closed the connection during the handshake") from None


async def echo_each(urls: Sequence[str], **settings: Any) -> bool:
    """Call :func:`echo` for one URL after the other; returns whether all connections came about."""
    good = True
    for url in urls:
        try:
            await echo(url, **settings)
        except (OSError, ValueError, RequestRefused, ProtocolError) as error:
            click.echo(f"{url}: {error}", err=True)
            good = False
    return good


@click.command(help="Connect to each URL in turn and echo every WebSocket message until closed.")
@click.argument("urls", metavar="URL...", nargs=-1, required=True)
@click.option("--deflate", is_flag=True, help="Offer permessage-deflate.")
@click.option("--no-hot-path", is_flag=True, help="Send every frame through wsproto.")
@click.option("--backend", type=click.Choice(["auto", "asyncio", "uvloop", "trio"]), default="auto")
@click.option("--max-message-bytes", default=64 * 2**20, show_default=True)
def main(
    *,
    urls: tuple[str, ...],
    deflate: bool,
    no_hot_path: bool,
    backend: Any,
    max_message_bytes: int,
) -> None:
    """Run the echo client."""
    try:
        name, options = event_loop(Config(backend=backend))
    except StartError as error:
        raise click.ClickException(error.message) from error
    visit = partial(
        echo_each,
        urls,
        deflate=DeflateSettings(takeover=True) if deflate else None,
        max_message_bytes=max_message_bytes,
        hot_path=not no_hot_path,
    )
    good = anyio.run(visit, backend=name, backend_options=options)
    raise SystemExit(0 if good else 1)


if __name__ == "__main__":
    main()
