"""What the router counts: each name, its labels, and that no word from outside becomes a label."""

import re

import pytest
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from router.documents.delivery import Status
from router.metrics import FINAL, MOST_HOSTS, OTHER_HOSTS, OUTCOMES, Metrics
from router.web.snapshot import ChannelSnapshot, FeedSnapshot, Snapshot

PREFIX = "notification_router_"
CHANNELS = ("matrix", "email")


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample that a scrape shows, by name (without our prefix) and labels."""
    body, _ = metrics.exposition()
    return {
        (sample.name.removeprefix(PREFIX), frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """One sample; None when there is none."""
    return samples(metrics).get((name, frozenset(labels.items())))


def test_messages() -> None:
    metrics = Metrics(CHANNELS)
    metrics.message("routed")
    metrics.message("routed")
    metrics.message("refused")
    assert value(metrics, "messages_total", result="routed") == 2
    assert value(metrics, "messages_total", result="refused") == 1
    assert value(metrics, "messages_total", result="unroutable") == 0


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_attempts(outcome: str) -> None:
    metrics = Metrics(CHANNELS)
    metrics.attempt("email", outcome, 0.3)  # type: ignore[arg-type]  # one of OUTCOMES
    assert value(metrics, "attempts_total", channel="email", outcome=outcome) == 1
    assert value(metrics, "attempt_duration_seconds_sum", channel="email") == pytest.approx(0.3)
    assert value(metrics, "attempt_duration_seconds_bucket", channel="email", le="0.25") == 0
    assert value(metrics, "attempt_duration_seconds_bucket", channel="email", le="0.5") == 1
    assert value(metrics, "attempts_total", channel="matrix", outcome=outcome) == 0


@pytest.mark.parametrize("status", Status)
def test_only_a_final_status_counts(status: Status) -> None:
    metrics = Metrics(CHANNELS)
    metrics.ended("matrix", status)
    expected = 1 if status.is_final else None
    assert value(metrics, "deliveries_total", channel="matrix", status=status.value) == expected


def test_what_else_is_counted() -> None:
    metrics = Metrics(CHANNELS)
    metrics.on_the_wire("matrix", 0.004)
    metrics.recorder_batch(7)
    metrics.recorder_refused(2)
    metrics.conflict_merged()
    metrics.conflict_merged(3)
    assert value(metrics, "document_to_wire_seconds_bucket", channel="matrix", le="0.0025") == 0
    assert value(metrics, "document_to_wire_seconds_bucket", channel="matrix", le="0.005") == 1
    assert value(metrics, "recorder_batch_documents_sum") == 7
    assert value(metrics, "recorder_batch_documents_bucket", le="10.0") == 1
    assert value(metrics, "recorder_refused_total") == 2
    assert value(metrics, "conflicts_merged_total") == 4


def test_a_channel_that_nobody_has_makes_no_label() -> None:
    metrics = Metrics(CHANNELS)
    before = set(samples(metrics))
    for name in ("matirx", "", "x" * 1000):
        metrics.attempt(name, "sent", 1)
        metrics.ended(name, Status.FAILED)
        metrics.on_the_wire(name, 1)
    assert set(samples(metrics)) == before
    assert value(metrics, "deliveries_total", channel="unknown", status="FAILED") == 3


def test_breakers() -> None:
    metrics = Metrics(CHANNELS)
    metrics.watch(lambda: Snapshot("active", channels={"email": ChannelSnapshot(breakers=metrics.breakers("email"))}))
    metrics.breaker("email", "", "open")
    assert metrics.breakers("email") == {"default": "open"}
    assert value(metrics, "breaker_state", channel="email", host="default", state="open") == 1
    assert value(metrics, "breaker_state", channel="email", host="default", state="closed") == 0
    metrics.breaker("email", "", "half_open")
    metrics.breaker("email", "", "open")
    assert value(metrics, "breaker_openings_total", channel="email", host="default") == 1
    metrics.breaker("email", "", "closed")
    assert value(metrics, "breaker_state", channel="email", host="default", state="closed") == 1
    metrics.breaker("email", "", "open")
    assert value(metrics, "breaker_openings_total", channel="email", host="default") == 2


def test_why_a_breaker_is_not_closed() -> None:
    metrics = Metrics(CHANNELS)
    assert metrics.breaker_reason("email") is None
    metrics.breaker("email", "one", "open", "refused")
    metrics.breaker("email", "two", "open", "no such host")
    assert metrics.breaker_reason("email") == "no such host"
    metrics.breaker("email", "one", "half_open")
    metrics.breaker("email", "one", "open", "still refused")
    metrics.breaker("email", "one", "half_open")
    assert metrics.breaker_reason("email") == "still refused"
    metrics.breaker("email", "one", "closed")
    assert metrics.breaker_reason("email") == "no such host"
    metrics.breaker("email", "two", "closed")
    assert metrics.breaker_reason("email") is None


def test_hosts_are_bounded() -> None:
    metrics = Metrics(CHANNELS)
    for number in range(MOST_HOSTS + 50):
        metrics.breaker("email", f"host{number}", "open")
    metrics.breaker("email", "host3", "closed")
    hosts = metrics.breakers("email")
    assert len(hosts) == MOST_HOSTS + 1
    assert hosts["host3"] == "closed"
    assert hosts[OTHER_HOSTS] == "open"


def test_two_routers_in_one_process_count_apart_and_nothing_is_global() -> None:
    one, other = Metrics(CHANNELS), Metrics(CHANNELS)
    one.message("routed")
    assert value(other, "messages_total", result="routed") == 0
    assert not any(family.name.startswith("notification_router") for family in REGISTRY.collect())


def test_the_gauges_come_from_the_snapshot_of_the_moment() -> None:
    metrics = Metrics(CHANNELS)
    assert value(metrics, "role", role="active") is None
    now = Snapshot("standby")
    metrics.watch(lambda: now)
    assert value(metrics, "role", role="standby") == 1
    assert value(metrics, "role", role="active") == 0
    assert value(metrics, "feed_lag_documents") is None
    now = Snapshot(
        "active",
        couchdb_trouble="it is away",
        mapping="INVALID",
        mapping_in_force="3-c",
        channels={"matrix": ChannelSnapshot("set it up", depth=3, room=7, paused_seconds=1.5)},
        feed=FeedSnapshot(connected=True, lag_documents=12, silent_seconds=4.5),
        checkpoint_age_seconds=0.5,
        pending={"matrix": 40},
        unroutable=2,
    )
    shown = samples(metrics)
    for name, labels, expected in (
        ("role", {"role": "active"}, 1),
        ("role", {"role": "standby"}, 0),
        ("couchdb_up", {}, 0),
        ("mapping_state", {"state": "INVALID"}, 1),
        ("mapping_state", {"state": "OK"}, 0),
        ("mapping_in_force", {}, 1),
        ("feed_connected", {}, 1),
        ("feed_lag_documents", {}, 12),
        ("feed_silent_seconds", {}, 4.5),
        ("checkpoint_age_seconds", {}, 0.5),
        ("pending_deliveries", {"channel": "matrix"}, 40),
        ("unroutable_waiting", {}, 2),
        ("channel_configured", {"channel": "matrix"}, 0),
        ("lane_depth", {"channel": "matrix"}, 3),
        ("lane_room", {"channel": "matrix"}, 7),
        ("channel_paused_seconds", {"channel": "matrix"}, 1.5),
    ):
        assert shown[name, frozenset(labels.items())] == expected, (name, labels)


def test_every_name_says_whose_it_is_and_no_sample_says_when_it_was_made() -> None:
    metrics = Metrics(CHANNELS)
    metrics.watch(lambda: Snapshot("active"))
    body, _ = metrics.exposition()
    names = set(re.findall(r"^(\w+)", body.decode(), flags=re.MULTILINE))
    assert all(name.startswith((PREFIX, "process_")) for name in names)
    assert not any(name.endswith("_created") for name in names)
    assert {
        family.name for family in text_string_to_metric_families(body.decode()) if not family.documentation
    } == set()


def test_the_format_is_the_one_that_is_asked_for() -> None:
    metrics = Metrics(CHANNELS)
    body, content_type = metrics.exposition()
    assert content_type.startswith("text/plain; version=0.0.4")
    body, content_type = metrics.exposition("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5")
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert body.endswith(b"# EOF\n")


def test_every_way_to_end_is_there_from_the_start() -> None:
    """A counter that appears with its first count has no increase to alert on."""
    shown = samples(Metrics(CHANNELS))
    for status in FINAL:
        assert shown["deliveries_total", frozenset({("channel", "email"), ("status", status.value)})] == 0
