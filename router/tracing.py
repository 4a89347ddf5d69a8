"""Traces, where OpenTelemetry is installed (`pip install 'notification-router[otel]'`) and set up by its `OTEL_…` variables."""

import os
from collections.abc import Mapping
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final, Protocol

import structlog

from router.channels.base import Code
from router.documents.delivery import AttemptOutcome

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

log = structlog.stdlib.get_logger("router.tracing")

FLUSH_SECONDS: Final = 2.0
"""How long the last spans may take to get away when the router stops."""
EXPORTERS: Final = "opentelemetry_traces_exporter"
"""The entry-point group in which OpenTelemetry's packages name their exporters."""
SWITCHES: Final = ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
"""Traces are made when one of these is set."""


class Tracing(Protocol):
    """Where spans go. All of a message's spans make one trace, whose id is made from the message's: those of a retry after a
    restart, or by another router, too. No span holds a target, or what a message says."""

    def routed(self, message_id: str, targets: int, seconds: float) -> None:
        """A message has just been handed on to so many targets, so long after it was read from the feed."""
        ...

    def attempt(
        self, message_id: str, delivery_id: str, channel: str, outcome: AttemptOutcome, code: Code, seconds: float
    ) -> None:
        """An attempt that took so long has just ended. `code` is the other side's own."""
        ...

    async def close(self) -> None:
        """Send what is left, within FLUSH_SECONDS."""
        ...


class NoTracing:
    """Makes no spans, at no cost."""

    def routed(self, message_id: str, targets: int, seconds: float) -> None:
        """Nothing."""

    def attempt(
        self, message_id: str, delivery_id: str, channel: str, outcome: AttemptOutcome, code: Code, seconds: float
    ) -> None:
        """Nothing."""

    async def close(self) -> None:
        """Nothing."""


def open_tracing(environment: Mapping[str, str] = os.environ) -> Tracing:
    """Spans as the `OTEL_…` variables have it; none without one of SWITCHES. What is wrong with them is logged, and costs no more
    than the traces."""
    if not any(environment.get(name) for name in SWITCHES):
        return NoTracing()
    if environment.get("OTEL_SDK_DISABLED", "").lower() == "true" or environment.get("OTEL_TRACES_EXPORTER") == "none":
        return NoTracing()
    try:
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        from router.otel import OpenTelemetry
    except ImportError:
        log.warning(
            "no traces: OTEL_… variables are set, but OpenTelemetry is not installed; "
            "pip install 'notification-router[otel]'"
        )
        return NoTracing()
    exporters = [exporter for name in _wanted(environment) if (exporter := _exporter(name)) is not None]
    if not exporters:
        return NoTracing()
    tracing = OpenTelemetry(environment, FLUSH_SECONDS)
    for exporter in exporters:
        tracing.provider.add_span_processor(BatchSpanProcessor(exporter))
    return tracing


def _wanted(environment: Mapping[str, str]) -> list[str]:
    """The entry points of the exporters in OTEL_TRACES_EXPORTER, `otlp` by its protocol."""
    protocol = (
        environment.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
        or environment.get("OTEL_EXPORTER_OTLP_PROTOCOL")
        or "http/protobuf"
    )
    otlp = "otlp_proto_grpc" if protocol == "grpc" else "otlp_proto_http"
    names = [name.strip() for name in (environment.get("OTEL_TRACES_EXPORTER") or "otlp").split(",")]
    return [otlp if name == "otlp" else name for name in names if name]


def _exporter(name: str) -> "SpanExporter | None":
    for entry in entry_points(group=EXPORTERS, name=name):
        try:
            exporter: SpanExporter = entry.load()()
        except Exception as error:  # noqa: BLE001 - a third party's, which may raise anything; no message may be held up by it
            log.warning("no traces: the exporter cannot be made", exporter=name, reason=str(error))
            return None
        return exporter
    log.warning(
        "no traces: no such exporter is installed; OTEL_TRACES_EXPORTER and OTEL_EXPORTER_OTLP_PROTOCOL name it",
        exporter=name,
    )
    return None
