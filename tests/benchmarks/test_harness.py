"""That the harness works, on little: a backlog, a steady flow and pending deliveries, with real processes throughout."""

from datetime import timedelta
from pathlib import Path

import pytest

from benchmarks.couchdb import CouchServer as Server
from benchmarks.couchdb import bed
from benchmarks.drain import drain_once
from benchmarks.inbox import notifications
from benchmarks.latency import waits
from benchmarks.peer import peers
from benchmarks.pending import left_pending
from benchmarks.stage import Stage
from benchmarks.traffic import CHANNELS, mapping
from router.couch import design
from router.documents.reading import read_delivery
from router.documents.timestamps import utc_now
from router.inbox.caller import Caller
from router.inbox.service import InboxService
from tests.servers.couchdb import CouchServer


@pytest.fixture
def stage(couchdb_server: CouchServer, tmp_path: Path) -> Stage:
    server = Server(couchdb_server.url, couchdb_server.admin, couchdb_server.password, "a CouchDB")
    return Stage(server, tmp_path, runs=1, quick=True, full=False, say=lambda _: None)


async def test_a_backlog_is_drained_by_the_router_and_by_the_bare_loop_with_the_same_requests(stage: Stage) -> None:
    count = 30
    async with peers(CHANNELS, stage.folder) as all_peers:
        run, curves = await drain_once(stage, list(all_peers.values()), count)
        # The last to use them was the bare loop.
        bare = {channel: await peer.arrivals() for channel, peer in all_peers.items()}
    for figure in ("router_per_second", "loop_per_second", "loop_with_documents_per_second", "write_per_second"):
        assert float(str(run[figure])) > 0
    assert [curve.label for curve in curves] == [
        "router",
        *(f"router: {channel}" for channel in CHANNELS),
        "bare client loop",
    ]
    for channel, arrivals in bare.items():
        assert arrivals.distinct() == count, channel
    assert bare["matrix"].requests.get("state", 0) == pytest.approx(float(str(run["matrix_looks"])) * count, abs=1)
    assert bare["sphinx"].requests.get("contact", 0) == pytest.approx(float(str(run["sphinx_looks"])) * count, abs=1)


async def test_the_bare_follower_posts_what_the_writer_writes(stage: Stage) -> None:
    async with peers(["slack"], stage.folder) as all_peers:
        found = await waits(stage, all_peers["slack"], "floor", rate=40, count=50)
    assert len(found) == 10
    assert all(-100 < each < 5000 for each in found)


async def test_pending_deliveries_are_such_as_the_router_reads_back(stage: Stage) -> None:
    documents = left_pending(CHANNELS, range(3), timedelta(hours=1), timedelta(hours=3))
    async with bed(stage.server, mapping(CHANNELS), documents) as main:
        rows = await main.database.view(design.NAME, design.UNFINISHED, include_docs=True)
        statuses = await main.statuses()
    assert statuses == {"PENDING": 12}
    assert len(rows) == 12
    for row in rows:
        assert row.document is not None
        delivery = read_delivery(row.document)
        assert delivery.to_document() == row.document
        assert delivery.next_attempt_at is not None
        assert delivery.next_attempt_at > utc_now() + timedelta(minutes=59)


async def test_the_notifications_of_an_inbox_are_such_as_its_service_shows(stage: Stage) -> None:
    async with bed(stage.server, None, notifications("few", 10) + notifications("many", 40)) as main:
        inbox = InboxService(main.database)
        for user, count in (("few", 10), ("many", 40)):
            assert await inbox.unread_count(Caller(user)) == count // 2
            assert (await inbox.page(Caller(user))).total == count
            seen = await inbox.page(Caller(user, frozenset({"acme", "globex"})))
            assert 0 < seen.total < count
