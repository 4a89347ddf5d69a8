"""Traces, read where OpenTelemetry's SDK hands them over; and that there are none, at no cost, where nobody asks for them."""

import asyncio
import hashlib
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, StatusCode, get_tracer_provider

from router.channels.base import Rejected, Retry, Scope
from router.otel import OpenTelemetry
from router.settings import ChannelSettings, CouchDBSettings
from router.tracing import FLUSH_SECONDS, NoTracing, open_tracing
from tests.peers.postbox import Postbox, say
from tests.service.conftest import postbox
from tests.service.running import QUICK_RETRY, Desk, running, settings_for

__all__ = ["postbox"]


def traced(environment: Mapping[str, str] | None = None) -> tuple[OpenTelemetry, InMemorySpanExporter]:
    """A tracing, and where its spans arrive."""
    tracing, exporter = OpenTelemetry(environment or {}, FLUSH_SECONDS), InMemorySpanExporter()
    tracing.provider.add_span_processor(SimpleSpanProcessor(exporter))
    return tracing, exporter


def trace_of(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"{context.trace_id:032x}"


async def test_a_message_and_its_attempts_are_one_trace(
    couchdb_settings: CouchDBSettings, postbox: Postbox, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    kinds = {"postbox": postbox.kind()}
    postbox.answers["alice-of-old"] = [say(Retry("busy", code=503))]
    postbox.answers["mallory-of-new"] = [say(Rejected("no such room", Scope.TARGET, code="M_NOT_FOUND"))]
    await desk.map({"#a": {"postbox": ["alice-of-old", "mallory-of-new"]}})
    tracing, exporter = traced()
    settings = settings_for(couchdb_settings, kinds, ChannelSettings(retry=QUICK_RETRY))
    monkeypatch.setattr("router.operations.open_tracing", lambda: tracing)
    async with running(settings, kinds):
        await desk.write("order-42", "#a", body="confidential")
        await desk.until(lambda found: {d["status"] for d in found} == {"COMPLETE", "FAILED"})
    (routed,) = (span for span in _all(exporter) if span.name == "route message")
    attempts = [span for span in _all(exporter) if span.name == "attempt postbox"]
    assert len(_all(exporter)) == 1 + len(attempts) == 4
    assert trace_of(routed) == hashlib.sha256(b"order-42").hexdigest()[:32]
    assert dict(routed.attributes or {}) == {"notification.message.id": "order-42", "notification.targets": 2}
    assert routed.parent is None
    assert routed.kind is SpanKind.CONSUMER
    for attempt in attempts:
        assert trace_of(attempt) == trace_of(routed)
        assert attempt.parent is not None
        assert attempt.parent.span_id == routed.get_span_context().span_id  # type: ignore[union-attr]
        assert attempt.attributes
        assert attempt.attributes["notification.channel"] == "postbox"
        assert str(attempt.attributes["notification.delivery.id"]).startswith("delivery:order-42:postbox:")
    ended = [(dict(a.attributes or {})["notification.outcome"], a.status.status_code) for a in attempts]
    assert sorted(ended, key=str) == [
        ("rejected", StatusCode.ERROR),
        ("retry", StatusCode.ERROR),
        ("sent", StatusCode.UNSET),
    ]
    codes = {str((a.attributes or {}).get("notification.code")) for a in attempts}
    assert codes == {"503", "M_NOT_FOUND", "None"}
    shown = "".join(span.to_json() for span in _all(exporter))
    for secret in ("alice-of-old", "mallory-of-new", "confidential"):
        assert secret not in shown


def _all(exporter: InMemorySpanExporter) -> Sequence[ReadableSpan]:
    return exporter.get_finished_spans()


def test_a_retry_by_another_process_is_in_the_same_trace() -> None:
    one, seen_by_one = traced()
    other, seen_by_other = traced()
    one.routed("m", 1, 0.2)
    other.attempt("m", "delivery:m:email:1", "email", "sent", 250, 0.5)
    (routed,), (attempt,) = _all(seen_by_one), _all(seen_by_other)
    parent, context = attempt.parent, routed.get_span_context()
    assert parent is not None
    assert context is not None
    assert (parent.trace_id, parent.span_id) == (context.trace_id, context.span_id)
    assert attempt.end_time is not None
    assert attempt.start_time is not None
    assert (attempt.end_time - attempt.start_time) / 1e9 == pytest.approx(0.5)


def test_a_sample_is_of_whole_traces() -> None:
    tracing, exporter = traced()
    tracing.provider.sampler = ParentBased(TraceIdRatioBased(0.5))
    again, exporter_again = traced()
    again.provider.sampler = ParentBased(TraceIdRatioBased(0.5))
    # A tracer takes its provider's sampler when it is made.
    for each in (tracing, again):
        each._tracer = each.provider.get_tracer("router")
    ids = [f"message-{number}" for number in range(200)]
    for message_id in ids:
        tracing.routed(message_id, 1, 0)
        again.attempt(message_id, "d", "email", "sent", None, 0)
    routed = {trace_of(span) for span in _all(exporter)}
    attempted = {trace_of(span) for span in _all(exporter_again)}
    assert routed == attempted
    assert 60 < len(routed) < 140


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({}, "notification-router"),
        ({"OTEL_SERVICE_NAME": "alerts"}, "alerts"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=alerts,region=eu"}, "alerts"),
    ],
)
def test_whose_spans_they_are(environment: dict[str, str], name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    tracing, _ = traced(environment)
    assert tracing.provider.resource.attributes["service.name"] == name
    assert tracing.provider is not get_tracer_provider()


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"OTEL_SERVICE_NAME": "x"},
        {"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"},
        {"OTEL_TRACES_EXPORTER": "console", "OTEL_SDK_DISABLED": "true"},
    ],
)
async def test_nobody_asks_for_traces(environment: dict[str, str]) -> None:
    tracing = open_tracing(environment)
    assert isinstance(tracing, NoTracing)
    tracing.routed("m", 1, 0)
    tracing.attempt("m", "d", "email", "sent", None, 0)
    await tracing.close()


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "no such exporter is installed"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "otlp_proto_grpc",
        ),
    ],
)
def test_an_exporter_that_is_not_there(
    environment: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert isinstance(open_tracing(environment), NoTracing)
    assert said in capsys.readouterr().out


async def test_spans_leave_as_the_variables_have_it(unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[str] = []

    async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        heads.append(head.splitlines()[0])
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    endpoint = f"http://127.0.0.1:{unused_tcp_port}"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    async with await asyncio.start_server(collect, "127.0.0.1", unused_tcp_port):
        tracing = open_tracing({"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint})
        assert isinstance(tracing, OpenTelemetry)
        tracing.routed("m", 1, 0)
        await tracing.close()
    assert heads == ["POST /v1/traces HTTP/1.1"]


async def test_a_collector_that_hangs_does_not_hold_up_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    class Hanging(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 - it takes all
            return SpanExportResult.SUCCESS

        def shutdown(self) -> None:
            hanging.wait(20)

    hanging = threading.Event()
    tracing = OpenTelemetry({}, 0.2)
    tracing.provider.add_span_processor(SimpleSpanProcessor(Hanging()))
    try:
        async with asyncio.timeout(5):
            await tracing.close()
    finally:
        hanging.set()
    assert "the last traces were not taken in time" in capsys.readouterr().out


def test_without_the_packages_it_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['opentelemetry.sdk'] = None; from router.tracing import NoTracing, open_tracing;"
        "assert isinstance(open_tracing({'OTEL_TRACES_EXPORTER': 'otlp'}), NoTracing)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 0, said.stderr
    assert "pip install 'notification-router[otel]'" in said.stdout
