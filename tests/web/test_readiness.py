"""When the router is ready, case by case: pure."""

import pytest

from router.web.ops import readiness
from router.web.snapshot import ChannelSnapshot, FeedSnapshot, Role, Snapshot

AWAY = "CouchDB at http://127.0.0.1:5984 cannot be reached"
HEARD = FeedSnapshot(connected=True, lag_documents=0, silent_seconds=3.0)
SILENT = FeedSnapshot(connected=False, silent_seconds=45.0, is_silent=True)


def active(
    trouble: str | None = None, in_force: str | None = "1-a", feed: FeedSnapshot = HEARD, **channels: ChannelSnapshot
) -> Snapshot:
    """An active router."""
    return Snapshot(
        "active", couchdb_trouble=trouble, mapping="OK", mapping_in_force=in_force, channels=channels, feed=feed
    )


@pytest.mark.parametrize(
    ("snapshot", "status", "reasons"),
    [
        (active(), "active", []),
        (Snapshot("standby"), "standby", []),
        (Snapshot("standby", couchdb_trouble=AWAY), "not ready", [AWAY]),
        (Snapshot("starting"), "not ready", ["the router is starting"]),
        (Snapshot("starting", couchdb_trouble=AWAY), "not ready", ["the router is starting", AWAY]),
        (Snapshot("stopping"), "not ready", ["the router is stopping"]),
        (active(trouble=AWAY), "not ready", [AWAY]),
        (
            active(in_force=None),
            "not ready",
            ["there is no mapping to route by: write one with `router mapping push`, or mend the one that is there"],
        ),
        (active(feed=SILENT), "not ready", ["nothing is heard of CouchDB's changes feed: the router's log says why"]),
        # That CouchDB is away says it all.
        (active(trouble=AWAY, feed=SILENT), "not ready", [AWAY]),
        # Opened anew just now, and not connected for a moment.
        (active(feed=FeedSnapshot(connected=False, silent_seconds=1.0)), "active", []),
        # One channel that does not work is no reason to take the router out of service.
        (active(slack=ChannelSnapshot("set ROUTER_SLACK__BOT_TOKEN", breakers={"default": "open"})), "active", []),
        # Nor is an edit that is not in force.
        (Snapshot("active", mapping="INVALID", mapping_in_force="1-a", feed=HEARD), "active", []),
        (Snapshot("active", mapping="MISSING", mapping_in_force="1-a", feed=HEARD), "active", []),
    ],
)
def test_ready_or_why_not(snapshot: Snapshot, status: str, reasons: list[str]) -> None:
    body = readiness(snapshot)
    assert (body["status"], body["reasons"]) == (status, reasons)
    assert body["role"] == snapshot.role


def test_what_is_shown_of_the_rest() -> None:
    body = readiness(
        active(
            slack=ChannelSnapshot(
                depth=3,
                room=7,
                paused_seconds=1.5,
                breakers={"hooks.slack.com": "open", "slack.com": "closed"},
                trouble="no connection",
            ),
            email=ChannelSnapshot(depth=0, room=750, breakers={"default": "closed"}),
            sphinx=ChannelSnapshot("set ROUTER_SPHINX__URL"),
        )
    )
    assert body["couchdb"] == {"reachable": True}
    assert body["mapping"] == {"state": "OK", "in_force_rev": "1-a"}
    assert body["feed"] == {"connected": True, "lag_documents": 0, "silent_seconds": 3.0}
    assert body["channels"] == {
        "slack": {
            "state": "troubled",
            "reason": "no connection",
            "depth": 3,
            "room": 7,
            "paused_seconds": 1.5,
            "breakers": {"hooks.slack.com": "open", "slack.com": "closed"},
        },
        "email": {
            "state": "ready",
            "reason": None,
            "depth": 0,
            "room": 750,
            "paused_seconds": 0.0,
            "breakers": {"default": "closed"},
        },
        "sphinx": {
            "state": "not configured",
            "reason": "set ROUTER_SPHINX__URL",
            "depth": 0,
            "room": 0,
            "paused_seconds": 0.0,
            "breakers": {},
        },
    }


@pytest.mark.parametrize("role", ["starting", "standby", "stopping"])
def test_who_does_not_route_has_no_feed_to_show(role: Role) -> None:
    body = readiness(Snapshot(role))
    assert body["feed"] is None
    assert body["channels"] == {}
