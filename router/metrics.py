"""What the router counts and measures, in Prometheus' form."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from router.documents.delivery import AttemptOutcome, Status
from router.tracing import NoTracing, Tracing
from router.web.gauges import PREFIX, build_info, gauges_of
from router.web.snapshot import BreakerState, Snapshot

OUTCOMES: Final[tuple[AttemptOutcome, ...]] = ("sent", "retry", "rejected", "uncertain", "waiting")
"""How an attempt may end."""
FINAL: Final = tuple(status for status in Status if status.is_final)
"""What may become of a delivery."""
MESSAGES: Final = ("routed", "unroutable", "refused")

UNKNOWN: Final = "unknown"
"""The label of every channel that the registry does not have: a mistyped name in the mapping must not make a label."""
ONLY_HOST: Final = "default"
"""The label of a channel's only host, which has no name."""
OTHER_HOSTS: Final = "other"
MOST_HOSTS: Final = 20
"""Hosts of one channel with a label of their own; the rest share `other`."""

ATTEMPT_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
TO_WIRE_BUCKETS: Final = (0.001, 0.0025, *ATTEMPT_BUCKETS, 300.0)
BATCH_BUCKETS: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500)


class _Channel:
    """One channel's counters, looked up once."""

    __slots__ = ("duration", "ended", "outcomes", "to_wire")

    def __init__(
        self, name: str, attempts: Counter, deliveries: Counter, duration: Histogram, to_wire: Histogram
    ) -> None:
        self.outcomes = {outcome: attempts.labels(name, outcome) for outcome in OUTCOMES}
        self.ended = {status: deliveries.labels(name, status.value) for status in FINAL}
        self.duration = duration.labels(name)
        self.to_wire = to_wire.labels(name)


class _Gauges(Collector):
    """What is read when somebody asks."""

    source: Callable[[], Snapshot] | None = None

    def collect(self) -> Iterator[Metric]:
        yield build_info()
        if self.source is not None:
            yield from gauges_of(self.source())


class _WithoutCreated(Collector):
    """All metrics but for the moment at which each was made: as many lines again, which nobody asked for."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric


class Metrics:
    """The router's metrics, in a registry of their own. Each call costs about a microsecond, and none of them fails.

    Labels are bounded: channels are those named at the start, the rest are words of ours. No label holds a target or a secret.
    """

    def __init__(self, channels: Iterable[str] = ()) -> None:
        """`channels` are the names in the registry of channels; all others count as `unknown`."""
        self.tracing: Tracing = NoTracing()
        """Where the spans of messages and attempts go; the service puts another one here."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        messages = self._counter("messages", "Messages, by what was made of them.", "result")
        self._messages = {result: messages.labels(result) for result in MESSAGES}
        attempts = self._counter("attempts", "Attempts to deliver, by how they ended.", "channel", "outcome")
        deliveries = self._counter(
            "deliveries", "Deliveries that came to an end, by their status.", "channel", "status"
        )
        duration = self._histogram("attempt_duration_seconds", "How long an attempt took.", ATTEMPT_BUCKETS, "channel")
        to_wire = self._histogram(
            "document_to_wire_seconds",
            "From the moment a message was read from the feed to the beginning of a delivery's first attempt.",
            TO_WIRE_BUCKETS,
            "channel",
        )
        self._unknown = _Channel(UNKNOWN, attempts, deliveries, duration, to_wire)
        self._channels = {name: _Channel(name, attempts, deliveries, duration, to_wire) for name in channels}
        self._batches = self._histogram("recorder_batch_documents", "Documents in one write to CouchDB.", BATCH_BUCKETS)
        self._refused = self._counter("recorder_refused", "Delivery documents that CouchDB refused to write.")
        self._conflicts = self._counter(
            "conflicts_merged", "Delivery documents that somebody else wrote too, merged and written again."
        )
        self._breaker_openings = self._counter(
            "breaker_openings", "How often a host's breaker opened.", "channel", "host"
        )
        self._breakers: dict[str, dict[str, BreakerState]] = {}
        self._breaker_reasons: dict[str, dict[str, str]] = {}
        self._gauges = _Gauges()
        self.registry.register(self._gauges)

    # --- what the engine calls

    def message(self, result: Literal["routed", "unroutable", "refused"]) -> None:
        """A message was routed to its targets; waits for a mapping that has its group; or was refused for what it says."""
        self._messages[result].inc()

    def attempt(self, channel: str, outcome: AttemptOutcome, seconds: float) -> None:
        """An attempt ended so after so long."""
        of = self._channels.get(channel, self._unknown)
        of.outcomes[outcome].inc()
        of.duration.observe(seconds)

    def ended(self, channel: str, status: Status) -> None:
        """A delivery has this status now. Only a final one counts, so it may be called with each."""
        counter = self._channels.get(channel, self._unknown).ended.get(status)
        if counter is not None:
            counter.inc()

    def on_the_wire(self, channel: str, seconds: float) -> None:
        """The first attempt of a delivery began so long after its message was read from the feed."""
        self._channels.get(channel, self._unknown).to_wire.observe(seconds)

    def recorder_batch(self, size: int) -> None:
        """So many documents were written in one request."""
        self._batches.observe(size)

    def recorder_refused(self, count: int = 1) -> None:
        """CouchDB refused to write so many delivery documents; they are offered again later."""
        self._refused.inc(count)

    def conflict_merged(self, count: int = 1) -> None:
        """So many delivery documents that somebody else had written too, or that replication left in several revisions, were
        merged."""
        self._conflicts.inc(count)

    def breaker(self, channel: str, host: str, state: BreakerState, reason: str | None = None) -> None:
        """The breaker of `host` (empty for a channel's only one) is in this state now, and why it opened. To be called when
        it changes."""
        channel = channel if channel in self._channels else UNKNOWN
        hosts = self._breakers.setdefault(channel, {})
        host = host or ONLY_HOST
        if host not in hosts and len(hosts) >= MOST_HOSTS:
            host = OTHER_HOSTS
        before, hosts[host] = hosts.get(host), state
        openings = self._breaker_openings.labels(channel, host)
        if state == "open" and before in (None, "closed"):
            openings.inc()
        reasons = self._breaker_reasons.setdefault(channel, {})
        if reason is not None or state == "closed":
            reasons.pop(host, None)
        if reason is not None:
            reasons[host] = reason  # The newest one stands last.

    def breakers(self, channel: str) -> dict[str, BreakerState]:
        """The state of each breaker of a channel that has been told of, by host."""
        return dict(self._breakers.get(channel, {}))

    def breaker_reason(self, channel: str) -> str | None:
        """Why the breaker of the channel that opened last did; None while all are closed."""
        return next(reversed(self._breaker_reasons.get(channel, {}).values()), None)

    # --- what is read when somebody asks

    def watch(self, snapshot: Callable[[], Snapshot]) -> None:
        """Where the gauges come from. It is called at each scrape, in the event loop, and must not block."""
        self._gauges.source = snapshot

    def exposition(self, accept: str = "") -> tuple[bytes, str]:
        """All metrics as text, and the text's content type, in a format that `accept` (the header) allows."""
        encode, content_type = choose_encoder(accept)
        return encode(_WithoutCreated(self.registry)), content_type

    # --- making them

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", what, labels, registry=self.registry)

    def _histogram(self, name: str, what: str, buckets: Iterable[float], *labels: str) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", what, labels, registry=self.registry, buckets=tuple(buckets))
