"""Every hook of wsframe: when it is called, what its result means, what an exception does.

``def`` hooks run while the program starts, ``async def`` hooks while it serves. An implementation
has the same colour and may leave out arguments that it does not need. Implementations are called
one after the other, by plugin name, those marked ``tryfirst`` before and those marked ``trylast``
behind the others.

Costs are per call, measured on CPython 3.11 with three arguments: a hook without implementations
costs the test of an empty tuple (0.03 µs), one with implementations about 0.1-0.3 µs for each, plus
what the implementation itself does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from .markers import Policy, Spec, spec

if TYPE_CHECKING:
    import click

    from wsframe.config import Config
    from wsframe.messages import Message
    from wsframe.protocol.http import Request
    from wsframe.session import Identity, Outcome, Session

    from .types import App, Connection


@spec(Policy.NOTIFY, fails_start=True)
def setup(app: App) -> None:
    """Add to the application: handlers, middleware, HTTP endpoints, schemas, event listeners.

    When: once per plugin, while the application starts, before it listens; and when a plugin that
    was disabled is enabled at run time. Order: by plugin name.
    Result: ignored.
    Exception: the server does not start.
    Cost: none while serving.
    """


@spec(Policy.NOTIFY)
def register_commands(cli: click.Group) -> None:
    """Add click commands to the ``wsframe`` command line.

    When: the command line is asked for a command that is not wsframe's own. There is no application
    then, and no event loop. Order: by plugin name.
    Result: ignored.
    Exception: reported on standard error; the other commands work.
    Cost: none while serving.
    """


@spec(Policy.FIRST, fails_start=True)
def make_store(url: str, config: Config) -> Any | None:
    """Make the session store that ``url`` names, e.g. ``redis://127.0.0.1:6379/0``.

    When: once, while the application starts, for a scheme that wsframe does not know itself.
    Result: a :class:`wsframe.stores.Store`, or None when the scheme is not this plugin's. The first
    store wins; when nobody makes one, the server does not start.
    Exception: the server does not start.
    Cost: none while serving.
    """


@spec(Policy.FIRST, fails_start=True)
def make_broker(url: str, config: Config) -> Any | None:
    """Make the broker between nodes that ``url`` names, e.g. ``nats://127.0.0.1:4222``.

    When: once, while the application starts, for a scheme that wsframe does not know itself. Not
    called by this version, which runs on one node.
    Result: a broker, or None when the scheme is not this plugin's. The first broker wins; when
    nobody makes one, the server does not start.
    Exception: the server does not start.
    Cost: none while serving.
    """


@spec(Policy.NOTIFY, fails_start=True)
async def started(app: App) -> None:
    """Open what needs a running event loop: pools, subscriptions, background tasks.

    When: once, in the event loop, after ``setup`` and before the first connection is accepted.
    Where the plugin is enabled at run time: before any other of its runtime hooks.
    Result: ignored.
    Exception: the server does not start, or the plugin is not enabled; ``stopping`` is called, so
    that what is open is closed.
    Cost: none while serving.
    """


@spec(Policy.NOTIFY)
async def stopping(app: App) -> None:
    """Close what ``started`` opened.

    When: once, after the last connection is closed, or when the plugin is disabled at run time.
    Also when the start failed half-way: an implementation must bear that its ``started`` has not
    run.
    Result: ignored.
    Exception: logged and counted; the other plugins are still called.
    Cost: none while serving.
    """


@spec(Policy.FIRST)
async def authenticate(request: Request) -> Identity | None:
    """Find out at the handshake who the client is.

    When: for each upgrade request, after ``connection_opening``, before the answer to it.
    Result: an identity; the first one wins and the others are not asked. None: this plugin has
    nothing to say. Nobody says anything: the session is anonymous.
    Exception: ``RequestRefused`` is the HTTP answer; ``Refused`` likewise, with the status that
    fits its code; anything else is logged, counted, and answered 500 ``internal``.
    Cost: once per connection.
    """


@spec(Policy.GATE)
async def connection_opening(request: Request) -> None:
    """Refuse a connection before the upgrade: Origin, bans, limits per address.

    When: first of all hooks, for each upgrade request that is well-formed, before ``authenticate``.
    Result: ignored.
    Exception: ``RequestRefused(403, "forbidden", "…")`` is the HTTP answer; ``Refused`` likewise,
    with the status that fits its code; anything else is logged, counted, and answered 500
    ``internal``. Implementations behind it are not called.
    Cost: once per connection.
    """


@spec(Policy.GATE)
async def session_opening(connection: Connection, init: Message[Any]) -> None:
    """Let a session begin, or refuse it; authenticate by the token in ``init``.

    When: for each well-formed ``init`` message, before its answer; so also when a client comes back
    to its session, which goes on only if the identity is the same. ``init.content`` may hold
    ``token``, and holds ``resume`` then. An implementation that authenticates sets
    ``connection.identity``. Never called for a client that sends no ``init``.
    Result: ignored.
    Exception: ``Refused`` is the answer to ``init``, and then the connection is closed: with 4403
    for ``forbidden``, with 1013 if it is retryable, with 4401 for any other code.
    ``CloseConnection`` chooses the close code itself. Anything else is logged, counted, and refused
    as ``internal``. Implementations behind it
    are not called.
    Cost: once per connection.
    """


@spec(Policy.NOTIFY)
async def connection_opened(connection: Connection) -> None:
    """Know of a connection that is now open.

    When: after the upgrade, before the first message of this connection is handled. Everything
    that happens at the opening has ``handshake_timeout_s``; then it is stopped and the connection
    closed with 1013.
    Result: ignored.
    Exception: logged and counted; the other plugins are still called.
    Cost: once per connection.
    """


@spec(Policy.NOTIFY)
async def connection_closed(connection: Connection, code: int, reason: str) -> None:
    """Know of a connection that is gone.

    When: once for each connection that ``connection_opened`` was called for, after its last
    message. ``code`` and ``reason`` are those of the close frame; 1006 when there was none.
    Result: ignored.
    Exception: logged and counted; the other plugins are still called.
    Cost: once per connection.
    """


@spec(Policy.NOTIFY)
async def session_resumed(session: Session[Any], gap: Mapping[str, int] | None) -> None:
    """Know of a session that goes on over a new connection.

    When: after the answer to the ``init`` that resumed it, also after a restart of the server.
    ``gap`` is ``{"from": …, "to": …}``, the numbers of the messages that are lost, or None.
    Result: ignored.
    Exception: logged and counted; the other plugins are still called.
    Cost: once per resumed session.
    """


@spec(Policy.NOTIFY)
async def session_expired(session: Session[Any]) -> None:
    """Know of a session that has ended for good.

    When: it was not resumed in time, or its connection was closed with 1000, or it has no ``init``
    and its connection is gone, or the server stops and nothing is stored. Not for a session of an
    earlier process that nobody has resumed in this one: only the store knows of it.
    Result: ignored.
    Exception: logged and counted; the other plugins are still called.
    Cost: once per session.
    """


@spec(Policy.GATE)
async def message_received(connection: Connection, message: Message[Any]) -> None:
    """Refuse a message: rate, permission, validity of its content.

    When: for each message of an application's type, known or not, after the ledger has accepted it
    and before the middleware. Not for ``init``, ``ping``, ``ack``, ``cancel``, ``join`` and
    ``leave``, and not for a message that was accepted before. The time it takes is part of
    ``message_timeout_s``.
    Result: ignored.
    Exception: ``Refused(code, …)`` is the answer to the message; ``CloseConnection`` closes the
    connection, after its ``answer``; anything else is logged, counted, and answered ``internal``.
    Implementations behind it are not called, the handler does not run.
    Cost: on the path of every message.
    """


@spec(Policy.TRANSFORM)
async def message_sending(
    connection: Connection | None, message: Message[Any]
) -> Message[Any] | None:
    """Change a message on its way out: redaction, validation of what handlers send.

    When: for each answer of an application's handler, each part and each pushed message, before it
    is numbered and encoded; not for ``error`` and for what built-in types are answered. For a
    broadcast or a room once, with ``connection`` None, unless an implementation names the argument
    ``connection``: then once for each receiver.
    Result: the message to send, a new one (``msgspec.structs.replace``) or the same; None leaves it
    as it is. The next implementation gets the result.
    Exception: the message is not sent. Raised is the ``Refused`` or ``HandlerError`` itself, or
    ``Refused("internal")`` for anything else, which is logged and counted: an answer becomes that
    error, a pushed message raises it where it was sent. Errors do not pass through this hook.
    Cost: on the path of every message.
    """


@spec(Policy.NOTIFY)
async def message_sent(connection: Connection | None, message: Message[Any]) -> None:
    """Know of a message that was handed to a connection, or to many.

    When: after ``message_sending`` and encoding. For a broadcast or a room once, with
    ``connection`` None, unless ``message_sending`` ran for each receiver: then so does this.
    Result: ignored.
    Exception: logged and counted; the other plugins are still called.
    Cost: on the path of every message.
    """


@spec(Policy.NOTIFY)
async def message_handled(
    connection: Connection, message: Message[Any], outcome: Outcome, elapsed_s: float
) -> None:
    """Know how a client's message ended.

    When: once for each accepted message, after its final answer, those that a gate refused
    included.
    ``elapsed_s`` is the time in seconds from its acceptance to its final answer: also while it
    waited behind other messages of its connection, and not only while its handler ran. The
    connection may be closed by then.
    Result: ignored.
    Exception: logged and counted; the other plugins are still called.
    Cost: on the path of every message.
    """


@spec(Policy.GATE)
async def room_joining(session: Session[Any], room: str) -> bool | None:
    """Allow or refuse that a session joins a room.

    When: for each ``join`` message and each ``connection.join(room)``.
    Result: True allows what a client asks for with ``join``, which is otherwise refused as
    ``forbidden``; None and False have no opinion. The application's own ``connection.join`` needs
    no True.
    Exception: ``Refused("forbidden")`` is the answer to ``join``, or is raised by
    ``connection.join``; anything else is logged, counted, and refused as ``internal``.
    Implementations behind it are not called.
    Cost: once per join.
    """


@spec(Policy.NOTIFY)
async def error_raised(
    error: BaseException, connection: Connection | None, message: Message[Any] | None
) -> None:
    """Know of an unexpected error: in a handler, in middleware, in a connection's own machinery.

    When: after the client has its answer. Not for errors that are answers (``HandlerError``,
    ``Refused``), and not for errors of ``error_raised`` itself. ``connection`` or ``message`` is
    None where the error belongs to none.
    Result: ignored.
    Exception: logged and counted; the other plugins are still called.
    Cost: once per error.
    """


SPECS: Final[Mapping[str, Spec]] = {
    name: value.wsframe_hook
    for name, value in list(globals().items())
    if isinstance(getattr(value, "wsframe_hook", None), Spec)
}
"""Every hook by name, in the order of this module."""
