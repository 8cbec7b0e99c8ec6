"""The hooks: what is traced, from the handshake to what is sent.

::

    wsframe handshake                        connection_opening … connection_opened
    wsframe message <type>                   message_received … message_handled
    ├── wsframe handler <type>               the middleware: as often as the handler is tried
    │   └── whatever the handler calls
    └── wsframe send <type>                  message_sending; below the handler for what it sends
                                             while it runs

Nothing of a message's content, of headers, and of exceptions' texts gets into a span: only types,
ids, codes and names of classes. A failure in here, or in what was installed behind the API, is
logged, and the server goes on without spans: telemetry is no gate.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from typing import Any, Final, Literal

import msgspec
from opentelemetry import context as otel_context
from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from wsframe import (
    AnswerError,
    App,
    Connection,
    ConnectionClosed,
    Message,
    Outcome,
    Request,
    hookimpl,
)

from .metrics import Instruments, instruments_of
from .spans import NAME, NO_PARENT, Starter, unsampled_context

log = logging.getLogger("wsframe.plugins.otel")

MAX_OPEN: Final = 10_000
"""Messages, or handshakes, that are traced at a time; one more ends the oldest."""
LINK_KEY: Final = "wsframe_otel"
"""Of the handshake's span context among what is kept with a connection."""
LONGEST: Final = 512
"""Characters of a ``traceparent`` or ``tracestate`` that is looked at."""

_W3C: Final = TraceContextTextMapPropagator()
_FAILED: Final = frozenset({Outcome.FAILED, Outcome.TIMED_OUT, Outcome.INTERRUPTED})


class Config(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, frozen=True):
    """``[plugins.otel]``."""

    incoming: Literal["parent", "link", "ignore"] = "parent"
    """What to do with the trace that a client names in ``traceparent``: go on with it, begin a new
    one that links to it, or nothing."""
    outgoing: bool = True
    """Name the trace in the messages that are sent."""
    metrics: bool = True
    """Export what the server counts."""


class OtelPlugin:
    """Traces messages, where the application has set up OpenTelemetry.

    Args:
        config: its settings.
        tracer_provider: makes the spans. None: the global one at the application's start.
        meter_provider: takes the metrics. None: likewise.
    """

    Config = Config

    def __init__(
        self,
        config: Any,
        *,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self.config: Config = config
        self._messages: OrderedDict[tuple[str, str], Span] = OrderedDict()
        """Sampled messages that are not answered, by session and id."""
        self._handshakes: OrderedDict[int, int] = OrderedDict()
        """Since when requests are being decided, by ``id()``: the next one to have the same begins
        anew, so those that were refused do no harm."""
        self._unsampled = unsampled_context()
        self._complained_at = 0.0
        self._instruments: Instruments | None = None
        self._meter_provider = _in_use_for_metrics(meter_provider) if config.metrics else None
        tracer = _tracer(tracer_provider)
        if tracer is None:
            self._tracing = False
            for hook in _HOOKS:  # nobody is told what nobody wants to know
                setattr(self, hook, None)
        else:
            self._tracing = True
            self._spans = Starter(tracer)

    @hookimpl
    def setup(self, app: App) -> None:
        """Stand around the handlers, if anything is traced."""
        if self._tracing:
            app.use(self._handler)
            log.info("messages are traced")

    @hookimpl
    async def started(self, app: App) -> None:
        """Let the metrics of this application be read."""
        if self._meter_provider is not None:
            self._instruments = instruments_of(self._meter_provider)
            self._instruments.apps.append(app)

    @hookimpl
    async def stopping(self, app: App) -> None:
        """End what is open, and let the metrics of this application be."""
        instruments, self._instruments = self._instruments, None
        if instruments is not None:
            instruments.apps.remove(app)
        while self._messages:
            _, span = self._messages.popitem(last=False)
            self._end(span)

    # The handshake

    @hookimpl(tryfirst=True)
    async def connection_opening(self, request: Request) -> None:
        """Note when a handshake begins; whether it is traced is asked once it has succeeded."""
        self._handshakes[id(request)] = time.time_ns()
        if len(self._handshakes) > MAX_OPEN:
            self._handshakes.popitem(last=False)

    @hookimpl(tryfirst=True)
    async def connection_opened(self, connection: Connection) -> None:
        """Record the handshake that has led to a connection."""
        try:
            request = connection.request
            began = self._handshakes.pop(id(request), None)
            parent, links = self._parent(
                request.header("traceparent"), request.header("tracestate")
            )
            span = self._spans.start(
                "wsframe handshake",
                parent,
                {"network.protocol.name": "websocket", "wsframe.connection.id": connection.id},
                links=links,
                start_time=began,
            )
            if span is not None:
                connection.metadata[LINK_KEY] = Link(span.get_span_context())
                span.end()
        except Exception as error:  # noqa: BLE001 - see above: it is logged
            self._complain(error)

    # Messages

    @hookimpl
    async def message_received(self, connection: Connection, message: Message[Any]) -> None:
        """Begin a message's span, if the sampler wants it, in the context of all that follows."""
        try:
            parent, links = self._parent(message.traceparent, message.tracestate)
            span = self._spans.start(
                "wsframe message",
                parent,
                {"wsframe.message.type": message.type},
                links=links,
            )
            if span is None:
                self._attach_unsampled(message)
                return
            otel_context.attach(trace.set_span_in_context(span))
            key = (connection.session_id, message.id or "")
            self._keep(key, span)
            span.set_attribute("wsframe.message.id", key[1])
            span.set_attribute("wsframe.session.id", key[0])
            span.set_attribute("wsframe.connection.id", connection.id)
            handshake = connection.metadata.get(LINK_KEY)
            if handshake is not None:
                span.add_link(handshake.context)
        except Exception as error:  # noqa: BLE001 - telemetry is no gate
            self._complain(error)

    async def _handler(self, message: Message[Any], connection: Connection, call_next: Any) -> Any:
        """Record the handler."""
        span = self._begin_handler(message, connection)
        if span is None:
            return await call_next(message, connection)
        try:
            return await call_next(message, connection)
        except BaseException as error:
            self._blame(span, error)
            raise
        finally:
            self._end_handler(span, message, connection)

    def _begin_handler(self, message: Message[Any], connection: Connection) -> Span | None:
        try:
            above = self._messages.get((connection.session_id, message.id or ""))
            if above is None:
                self._attach_unsampled(message)  # a concurrent handler has a context of its own
                return None
            # Only now the type is known to be one of the application's: a client cannot make up
            # names of spans without end.
            above.update_name(f"wsframe message {message.type}")
            span = self._spans.child(
                f"wsframe handler {message.type}",
                above,
                SpanKind.INTERNAL,
                {"wsframe.message.type": message.type},
            )
            otel_context.attach(trace.set_span_in_context(span))
            return span
        except Exception as error:  # noqa: BLE001 - likewise
            self._complain(error)
            return None

    def _end_handler(self, span: Span, message: Message[Any], connection: Connection) -> None:
        try:
            span.end()
            above = self._messages.get((connection.session_id, message.id or ""))
            if above is not None:  # the answer is the message's, not the handler's
                otel_context.attach(trace.set_span_in_context(above))
        except Exception as error:  # noqa: BLE001 - likewise
            self._complain(error)

    def _blame(self, span: Span, error: BaseException) -> None:
        """Say what a handler raised: a code or a class, never a text, which may quote a content."""
        try:
            if isinstance(error, AnswerError):
                span.set_attribute("error.type", error.code)
            elif isinstance(error, Exception) and not isinstance(error, ConnectionClosed):
                span.set_attribute("error.type", type(error).__qualname__)
                span.set_status(Status(StatusCode.ERROR))
        except Exception as failure:  # noqa: BLE001 - likewise
            self._complain(failure)

    @hookimpl
    async def message_handled(
        self, connection: Connection, message: Message[Any], outcome: Outcome
    ) -> None:
        """End a message's span."""
        if not self._messages:
            return
        span = self._messages.pop((connection.session_id, message.id or ""), None)
        if span is not None:
            try:
                span.set_attribute("wsframe.outcome", outcome.value)
                if outcome in _FAILED:
                    span.set_status(Status(StatusCode.ERROR))
                span.end()
            except Exception as error:  # noqa: BLE001 - likewise
                self._complain(error)

    # What is sent

    @hookimpl(trylast=True)
    async def message_sending(self, message: Message[Any]) -> Message[Any] | None:
        """Record a message that is sent while something is traced, and name the trace in it."""
        try:
            above = trace.get_current_span()
            if not above.is_recording():
                return None
            span = self._spans.child(
                f"wsframe send {message.type}",
                above,
                SpanKind.PRODUCER,
                {"wsframe.message.type": message.type, "wsframe.message.id": message.id or ""},
            )
            span.end()  # it leaves at once; to be told so would cost every message
            if not self.config.outgoing:
                return None
            carrier: dict[str, str] = {}
            _W3C.inject(carrier, trace.set_span_in_context(span))
            return msgspec.structs.replace(message, **carrier)
        except Exception as error:  # noqa: BLE001 - likewise
            self._complain(error)
            return None

    # The rest

    def _parent(
        self, traceparent: str | None, tracestate: str | None
    ) -> tuple[Context, tuple[Link, ...]]:
        """What a client says of its trace, as far as it counts."""
        if traceparent is None or len(traceparent) > LONGEST or self.config.incoming == "ignore":
            return NO_PARENT, ()
        carrier = {"traceparent": traceparent}
        if tracestate is not None and len(tracestate) <= LONGEST:
            carrier["tracestate"] = tracestate
        found = _W3C.extract(carrier, NO_PARENT)
        if self.config.incoming == "parent":
            return found, ()
        named = trace.get_current_span(found).get_span_context()
        return NO_PARENT, (Link(named),) if named.is_valid else ()

    def _attach_unsampled(self, message: Message[Any]) -> None:
        """Let nothing below be sampled that goes by its parent."""
        if message.traceparent is None or self.config.incoming != "parent":
            otel_context.attach(self._unsampled)
            return
        parent, _ = self._parent(message.traceparent, message.tracestate)
        named = trace.get_current_span(parent).get_span_context()
        otel_context.attach(unsampled_context(named) if named.is_valid else self._unsampled)

    def _keep(self, key: tuple[str, str], span: Span) -> None:
        self._messages[key] = span
        if len(self._messages) > MAX_OPEN:
            _, forgotten = self._messages.popitem(last=False)
            self._end(forgotten)

    def _end(self, span: Span) -> None:
        try:
            span.end()
        except Exception as error:  # noqa: BLE001 - likewise
            self._complain(error)

    def _complain(self, error: Exception) -> None:
        """Log a failure of telemetry, once a minute."""
        now = time.monotonic()
        if not self._complained_at or now - self._complained_at >= 60.0:
            self._complained_at = now
            log.error(
                "tracing fails, and serving goes on without: %s", type(error).__name__,
                exc_info=error,
            )  # fmt: skip


_HOOKS: Final = (
    "connection_opening",
    "connection_opened",
    "message_received",
    "message_handled",
    "message_sending",
)


def _tracer(provider: trace.TracerProvider | None) -> trace.Tracer | None:
    """The tracer to use; None: nobody has set up one that records anything."""
    found = trace.get_tracer_provider() if provider is None else provider
    if isinstance(found, trace.ProxyTracerProvider | trace.NoOpTracerProvider):
        return None
    tracer = found.get_tracer(NAME)
    return None if isinstance(tracer, trace.NoOpTracer) else tracer


def _in_use_for_metrics(provider: metrics.MeterProvider | None) -> metrics.MeterProvider | None:
    """The meter provider to use; None: nobody has set up one that exports anything."""
    found = metrics.get_meter_provider() if provider is None else provider
    idle = isinstance(found, metrics.NoOpMeterProvider) or type(found).__name__.startswith("_Proxy")
    return None if idle else found
