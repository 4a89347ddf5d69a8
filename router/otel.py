"""Spans by OpenTelemetry's SDK. Only `open_tracing` imports this, since the SDK is an optional extra."""

import asyncio
import hashlib
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import structlog
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from router import __version__
from router.channels.base import Code
from router.documents.delivery import AttemptOutcome

log = structlog.stdlib.get_logger("router.tracing")

SERVICE: Final = "notification-router"
ROUTED: Final = "route message"
"""The name of a message's own span."""


class _Ids(RandomIdGenerator):
    """Random ids, but for a message's own span."""

    next: tuple[int, int] | None = None

    def generate_trace_id(self) -> int:
        return super().generate_trace_id() if self.next is None else self.next[0]

    def generate_span_id(self) -> int:
        return super().generate_span_id() if self.next is None else self.next[1]


class OpenTelemetry:
    """The `Tracing` that makes spans, with a provider of its own: what else in this process makes spans does not get in here."""

    def __init__(self, environment: Mapping[str, str], flush_seconds: float) -> None:
        """Exports nothing yet: `provider.add_span_processor` has it do so."""
        named = "OTEL_SERVICE_NAME" in environment or "service.name=" in environment.get("OTEL_RESOURCE_ATTRIBUTES", "")
        own = {"service.version": __version__} | ({} if named else {"service.name": SERVICE})
        self._flush_seconds = flush_seconds
        self._ids = _Ids()
        self.provider = TracerProvider(resource=Resource.create(own), id_generator=self._ids, shutdown_on_exit=False)
        self._tracer = self.provider.get_tracer(SERVICE, __version__)

    def routed(self, message_id: str, targets: int, seconds: float) -> None:
        """See Tracing."""
        end_ns = time.time_ns()
        self._ids.next = _ids_of(message_id)
        try:
            span = self._tracer.start_span(
                ROUTED, Context(), SpanKind.CONSUMER, start_time=end_ns - round(seconds * 1e9)
            )
        finally:
            self._ids.next = None
        span.set_attributes({"notification.message.id": message_id, "notification.targets": targets})
        span.end(end_ns)

    def attempt(
        self, message_id: str, delivery_id: str, channel: str, outcome: AttemptOutcome, code: Code, seconds: float
    ) -> None:
        """See Tracing."""
        end_ns = time.time_ns()
        parent = NonRecordingSpan(self._span_of(message_id))
        span = self._tracer.start_span(
            f"attempt {channel}",
            set_span_in_context(parent, Context()),
            SpanKind.CLIENT,
            start_time=end_ns - round(seconds * 1e9),
        )
        span.set_attributes(
            {
                "notification.message.id": message_id,
                "notification.delivery.id": delivery_id,
                "notification.channel": channel,
                "notification.outcome": outcome,
            }
        )
        if code is not None:
            span.set_attribute("notification.code", str(code))
        if outcome not in ("sent", "waiting"):
            span.set_status(Status(StatusCode.ERROR, outcome))
        span.end(end_ns)

    def _span_of(self, message_id: str) -> SpanContext:
        """The message's own span, though it may have been made by another process, long ago."""
        trace_id, span_id = _ids_of(message_id)
        # Whether that was sampled is asked of the sampler once more: by the trace id it says the same as then.
        said = self.provider.sampler.should_sample(Context(), trace_id, ROUTED, SpanKind.CONSUMER)
        is_sampled = said.decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags(TraceFlags.SAMPLED if is_sampled else TraceFlags.DEFAULT)
        return SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags)

    async def close(self) -> None:
        """See Tracing."""
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self.provider.shutdown()
            with suppress(RuntimeError):  # The loop has ended long ago.
                loop.call_soon_threadsafe(done.set)

        # A collector that does not answer holds this thread up for longer than we wait; as a daemon it ends with the process.
        threading.Thread(target=shut_down, name="last spans", daemon=True).start()
        try:
            async with asyncio.timeout(self._flush_seconds):
                await done.wait()
        except TimeoutError:
            log.warning("the last traces were not taken in time", seconds=self._flush_seconds)


def _ids_of(message_id: str) -> tuple[int, int]:
    """The trace id and the span id of a message; never 0, which would make them invalid."""
    digest = hashlib.sha256(message_id.encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:16]) or 1, int.from_bytes(digest[16:24]) or 1
