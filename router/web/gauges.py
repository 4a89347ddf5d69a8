"""Pure: a snapshot as gauges in Prometheus' form."""

import platform
from collections.abc import Iterator
from typing import Final

from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric

from router import __version__
from router.web.snapshot import BREAKER_STATES, MAPPING_STATES, ROLES, ChannelSnapshot, FeedSnapshot, Snapshot

PREFIX: Final = "notification_router"


def build_info() -> Metric:
    """Which router this is."""
    family = InfoMetricFamily(f"{PREFIX}_build", "Version of the router, and of the Python that it runs on.")
    family.add_metric([], {"version": __version__, "python": platform.python_version()})
    return family


def gauges_of(snapshot: Snapshot) -> Iterator[Metric]:
    """What `snapshot` says. What is not known has no sample, rather than one that is wrong."""
    yield _one_of("role", "What this router is doing: 1 for the role it has.", "role", ROLES, snapshot.role)
    yield _single("couchdb_up", "Whether CouchDB answers.", snapshot.couchdb_trouble is None)
    yield _one_of(
        "mapping_state",
        "The mapping document as it stands in CouchDB: 1 for the state it is in.",
        "state",
        MAPPING_STATES,
        snapshot.mapping,
    )
    yield _single("mapping_in_force", "Whether there is a mapping to route by.", snapshot.mapping_in_force is not None)
    yield from _feed(snapshot.feed)
    yield _single(
        "checkpoint_age_seconds",
        "Since the checkpoint was last saved, or found to have nothing behind it.",
        snapshot.checkpoint_age_seconds,
    )
    yield _pending(snapshot)
    yield _single("unroutable_waiting", "Messages that wait for a mapping that has their group.", snapshot.unroutable)
    yield from _channels(dict(snapshot.channels))


def _feed(feed: FeedSnapshot | None) -> Iterator[Metric]:
    connected, lag, silent = (feed.connected, feed.lag_documents, feed.silent_seconds) if feed else (None, None, None)
    yield _single("feed_connected", "Whether the changes feed is open.", connected)
    yield _single("feed_lag_documents", "Changes in CouchDB that are not done with yet.", lag)
    yield _single("feed_silent_seconds", "Since the feed's last byte, heartbeats included.", silent)


def _pending(snapshot: Snapshot) -> Metric:
    family = GaugeMetricFamily(
        f"{PREFIX}_pending_deliveries", "Deliveries that CouchDB holds and that are not done.", labels=["channel"]
    )
    for channel, count in snapshot.pending.items():
        family.add_metric([channel], count)
    return family


def _channels(channels: dict[str, ChannelSnapshot]) -> Iterator[Metric]:
    configured = _by_channel("channel_configured", "Whether the channel has the settings that it needs.")
    depth = _by_channel("lane_depth", "Deliveries that the lane holds in memory.")
    room = _by_channel("lane_room", "Deliveries that the lane has room for.")
    paused = _by_channel(
        "channel_paused_seconds", "For how long the channel still waits, by its rate or because it was asked to."
    )
    breakers = GaugeMetricFamily(
        f"{PREFIX}_breaker_state",
        "Circuit breaker of a host: 1 for the state that it is in.",
        labels=["channel", "host", "state"],
    )
    for name, channel in channels.items():
        configured.add_metric([name], channel.not_configured is None)
        depth.add_metric([name], channel.depth)
        room.add_metric([name], channel.room)
        paused.add_metric([name], channel.paused_seconds)
        for host, state in channel.breakers.items():
            for each in BREAKER_STATES:
                breakers.add_metric([name, host, each], each == state)
    yield from (configured, depth, room, paused, breakers)


def _single(name: str, what: str, value: float | None) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", what)
    if value is not None:
        family.add_metric([], value)
    return family


def _one_of(name: str, what: str, label: str, words: tuple[str, ...], current: str | None) -> Metric:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", what, labels=[label])
    for word in words:
        family.add_metric([word], word == current)
    return family


def _by_channel(name: str, what: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", what, labels=["channel"])
