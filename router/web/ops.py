"""The routes for whoever operates the router: is it alive, is it ready, what does it count."""

from collections.abc import Callable, Iterator
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from router import __version__
from router.documents.json_types import JsonObject
from router.metrics import Metrics
from router.web.snapshot import ChannelSnapshot, Snapshot

NOT_READY: Final = 503
NEVER_KEPT: Final = {"Cache-Control": "no-store"}


def ops_routes(snapshot: Callable[[], Snapshot], metrics: Metrics) -> APIRouter:
    """`/healthz`, `/readyz` and `/metrics` of the router that `snapshot` and `metrics` speak of."""
    routes = APIRouter()

    @routes.get("/healthz")
    async def healthz() -> JSONResponse:
        """The event loop turns: that is all that a restart could mend."""
        return JSONResponse({"status": "ok", "version": __version__}, headers=NEVER_KEPT)

    @routes.get("/readyz")
    async def readyz() -> JSONResponse:
        """Whether it does its part, and if not, why."""
        body = readiness(snapshot())
        return JSONResponse(body, NOT_READY if body["reasons"] else 200, headers=NEVER_KEPT)

    @routes.get("/metrics")
    async def all_metrics(request: Request) -> Response:
        """All metrics, as Prometheus reads them."""
        body, content_type = metrics.exposition(request.headers.get("accept", ""))
        return Response(body, media_type=content_type)

    return routes


def readiness(snapshot: Snapshot) -> JsonObject:
    """Pure: the body of `/readyz`; with `reasons` when the router is not ready.

    A standby is ready: it does its part, which is to wait. Otherwise Kubernetes would hold up a rollout of two routers for ever.
    What ails a single channel, or an edit of the mapping that is not in force, does not make it unready: taking the router out
    of service would mend neither.
    """
    reasons = list(_reasons(snapshot))
    feed = snapshot.feed
    return {
        "status": "not ready" if reasons else snapshot.role,
        "reasons": [*reasons],
        "role": snapshot.role,
        "couchdb": {"reachable": snapshot.couchdb_trouble is None},
        "mapping": {"state": snapshot.mapping, "in_force_rev": snapshot.mapping_in_force},
        "feed": None
        if feed is None
        else {"connected": feed.connected, "lag_documents": feed.lag_documents, "silent_seconds": feed.silent_seconds},
        "checkpoint_age_seconds": snapshot.checkpoint_age_seconds,
        "channels": {name: _channel(channel) for name, channel in snapshot.channels.items()},
    }


def _reasons(snapshot: Snapshot) -> Iterator[str]:
    if snapshot.role == "starting":
        yield "the router is starting"
    if snapshot.role == "stopping":
        yield "the router is stopping"
    if snapshot.couchdb_trouble is not None:
        yield snapshot.couchdb_trouble
    if snapshot.role != "active":
        return
    if snapshot.mapping_in_force is None:
        yield "there is no mapping to route by: write one with `router mapping push`, or mend the one that is there"
    if snapshot.feed is not None and snapshot.feed.is_silent and snapshot.couchdb_trouble is None:
        yield "nothing is heard of CouchDB's changes feed: the router's log says why"


def _channel(channel: ChannelSnapshot) -> JsonObject:
    return {
        "state": channel.state,
        "reason": channel.not_configured or channel.trouble,
        "depth": channel.depth,
        "room": channel.room,
        "paused_seconds": channel.paused_seconds,
        "breakers": {**channel.breakers},
    }
