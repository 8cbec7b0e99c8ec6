"""Starting spans, and asking the sampler before anything is made.

The SDK makes ids, a context and a span object for each span that its sampler then drops, and that
costs as much as a message does. So the sampler is asked here first. Only where it wants a span is
the SDK's tracer called, with a sampler and an id generator that give it what was decided.
"""

from __future__ import annotations

import copy
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, TraceFlags

Attributes = Mapping[str, str | bool | int | float]

NAME: Final = "wsframe_otel"
NO_PARENT: Final = Context()
_LOW_HALF: Final = (1 << 64) - 1


class Starter:
    """Starts the spans of messages and handshakes.

    Args:
        tracer: of the API, or of the SDK.
    """

    def __init__(self, tracer: trace.Tracer) -> None:
        self.tracer = tracer
        self._presampled: _Presampled | None = None
        sampler = getattr(tracer, "sampler", None)
        ids = getattr(tracer, "id_generator", None)
        if hasattr(sampler, "should_sample") and hasattr(ids, "generate_trace_id"):
            # A tracer of our own: the SDK keeps one for all who ask by the same name.
            mine: Any = copy.copy(tracer)
            self._presampled = mine.sampler = mine.id_generator = _Presampled(sampler, ids)
            self.tracer = mine

    def start(
        self,
        name: str,
        parent: Context,
        attributes: Attributes,
        *,
        links: Sequence[Link] = (),
        start_time: int | None = None,
    ) -> Span | None:
        """Start a span that may be the first of its trace on this server.

        Args:
            name: of the span.
            parent: with the parent's span in it, or with none.
            start_time: nanoseconds since the epoch. None: now.

        Returns:
            None: it is not to be recorded.
        """
        presampled = self._presampled
        if presampled is not None and not presampled.wants(name, parent, attributes, links):
            return None
        span = self.tracer.start_span(
            name,
            context=parent,
            kind=SpanKind.SERVER,
            attributes=attributes,
            links=links,
            start_time=start_time,
            record_exception=False,
            set_status_on_exception=False,
        )
        return span if span.is_recording() else None

    def child(self, name: str, parent: Span, kind: SpanKind, attributes: Attributes) -> Span:
        """Start a span below one of ours."""
        if self._presampled is not None:
            self._presampled.decision = None
        return self.tracer.start_span(
            name,
            context=trace.set_span_in_context(parent),
            kind=kind,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        )


class _Presampled:
    """In the place of a tracer's sampler and id generator: answers as was decided before."""

    def __init__(self, sampler: Any, ids: Any) -> None:
        self._sampler = sampler
        self._ids = ids
        self._bound = ratio_bound(sampler)
        self.decision: Any = None
        self._trace_id = 0
        self.generate_span_id = ids.generate_span_id
        self.is_trace_id_random = getattr(ids, "is_trace_id_random", bool)

    def wants(
        self, name: str, parent: Context, attributes: Attributes, links: Sequence[Link]
    ) -> bool:
        """Ask the sampler."""
        above = None if parent is NO_PARENT else trace.get_current_span(parent).get_span_context()
        if above is not None and above.is_valid:
            self._trace_id = above.trace_id
        else:
            self._trace_id = trace_id = self._ids.generate_trace_id()
            if self._bound is not None and trace_id & _LOW_HALF >= self._bound:
                return False
        self.decision = self._sampler.should_sample(
            parent, self._trace_id, name, SpanKind.SERVER, attributes, links
        )
        wanted: bool = self.decision.decision.is_recording()
        return wanted

    # What the SDK's tracer calls

    def should_sample(self, *arguments: Any, **named: Any) -> Any:
        """What was decided; a span that was not asked about is."""
        decision, self.decision = self.decision, None
        if decision is None:
            return self._sampler.should_sample(*arguments, **named)
        return decision

    def generate_trace_id(self) -> int:
        """The trace that was decided about."""
        return self._trace_id

    def get_description(self) -> str:
        """Of the sampler."""
        description: str = self._sampler.get_description()
        return description


def ratio_bound(sampler: Any) -> int | None:
    """From where on the low half of a trace's id means that a new trace is not sampled.

    The SDK's samplers by ratio are what most servers have, and making their answer takes them long.

    Returns:
        None: it is another sampler; only it knows.
    """
    kind = type(sampler)
    if kind.__module__ != "opentelemetry.sdk.trace.sampling":
        return None
    if kind.__name__ in {"ParentBased", "ParentBasedTraceIdRatio"}:
        return ratio_bound(getattr(sampler, "_root", None))
    bound = getattr(sampler, "bound", None) if kind.__name__ == "TraceIdRatioBased" else None
    return bound if isinstance(bound, int) else None


def unsampled_context(above: SpanContext | None = None) -> Context:
    """A context in which nothing below is sampled, by samplers that go by the parent.

    Args:
        above: the trace that a client has named. None: one of nobody.
    """
    context = SpanContext(
        trace_id=secrets.randbits(128) | 1 if above is None else above.trace_id,
        span_id=secrets.randbits(64) | 1 if above is None else above.span_id,
        is_remote=False,
        trace_flags=TraceFlags(TraceFlags.DEFAULT),
        trace_state=None if above is None else above.trace_state,
    )
    return trace.set_span_in_context(trace.NonRecordingSpan(context), Context())
