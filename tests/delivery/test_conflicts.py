"""Delivery documents that replication left in several revisions become one, in which nothing that happened is lost."""

from collections.abc import Awaitable, Callable, Iterable, Sequence

import pytest
from structlog.testing import capture_logs

from router.couch.database import BulkResult, Database
from router.couch.errors import Unreachable
from router.couch.patience import Patience
from router.delivery.conflicts import Conflicts
from router.documents.delivery import Delivery, delivery_id
from router.documents.json_types import JsonObject
from router.documents.reading import read_delivery
from router.settings import CouchDBSettings, FeedSettings
from tests.delivery.making import THE_ID, after, attempt, delivery
from tests.servers.couchdb import CouchServer

Replicate = Callable[..., Awaitable[None]]


@pytest.fixture
def replicate(couchdb_server: CouchServer) -> Replicate:
    """Write revisions as a replication does: side by side."""

    async def write(database: Database, *leaves: tuple[str, Delivery]) -> None:
        docs = [{**leaf.to_document(), "_rev": rev} for rev, leaf in leaves]
        async with couchdb_server.async_http() as http:
            answer = await http.post(f"/{database.name}/_bulk_docs", json={"new_edits": False, "docs": docs})
            answer.raise_for_status()

    return write


def patience() -> Patience:
    return Patience(FeedSettings(backoff_base_seconds=0.01, backoff_max_seconds=0.05))


async def only_leaf(database: Database, doc_id: str = THE_ID) -> Delivery:
    [leaf] = (await database.leaves([doc_id]))[doc_id]
    return read_delivery(leaf)


OURS = delivery(status="FAILED", retries=3, attempts=[attempt(1), attempt(5)], updated_at=after(6))
THEIRS = delivery(
    status="COMPLETE",
    attempts=[attempt(1), attempt(3, "sent")],
    reference="$e",
    updated_at=after(4),
    next_attempt_at=None,
)


@pytest.mark.parametrize("winner", ["OURS", "THEIRS"])
async def test_attempts_of_both_and_the_greater_truth_stand(
    database: Database, replicate: Replicate, winner: str
) -> None:
    await replicate(
        database, ("1-a" if winner == "THEIRS" else "1-b", OURS), ("1-b" if winner == "THEIRS" else "1-a", THEIRS)
    )
    conflicts = Conflicts(database, patience())
    await conflicts.heal([THE_ID])
    merged = await only_leaf(database)
    assert (merged.status, merged.reference, merged.retries) == ("COMPLETE", "$e", 3)
    assert merged.attempts == [attempt(1), attempt(3, "sent"), attempt(5)]
    assert conflicts.healed == 1


async def test_many_documents_of_many_revisions_at_once(database: Database, replicate: Replicate) -> None:
    ids = [delivery_id(f"m{n}", "mail", "x") for n in range(5)]
    for n, doc_id in enumerate(ids):
        # One to five revisions; the last attempt of each is its own.
        await replicate(
            database,
            *((f"1-{r}{n}", delivery(id=doc_id, message_id=f"m{n}", attempts=[attempt(r)])) for r in range(n + 1)),
        )
    conflicts = Conflicts(database, patience())
    await conflicts.heal([*ids, "delivery:never:mail:x"])
    for n, doc_id in enumerate(ids):
        assert (await only_leaf(database, doc_id)).attempts == [attempt(r) for r in range(n + 1)]
    assert conflicts.healed == 4


async def test_healing_again_writes_nothing(database: Database, replicate: Replicate) -> None:
    await replicate(database, ("1-a", OURS), ("1-b", THEIRS))
    conflicts = Conflicts(database, patience())
    await conflicts.heal([THE_ID])
    before = await database.info()
    await conflicts.heal([THE_ID])
    assert (await database.info())["update_seq"] == before["update_seq"]
    assert conflicts.healed == 1


async def test_what_was_cut_off_half_way_is_finished(database: Database, replicate: Replicate) -> None:
    """Killed between the two writes: the winner holds everything already, and is not written again."""
    await replicate(database, ("1-a", OURS), ("1-b", THEIRS))

    class CutOff(Database):
        async def bulk(self, docs: Sequence[JsonObject]) -> dict[str, BulkResult]:
            if any("_deleted" in doc for doc in docs):
                raise KeyboardInterrupt
            return await super().bulk(docs)

    async with CutOff(database._settings) as cut_off:
        with pytest.raises(KeyboardInterrupt):
            await Conflicts(cut_off, patience()).heal([THE_ID])
    [written, loser] = (await database.leaves([THE_ID]))[THE_ID]
    assert len(read_delivery(written).attempts) == 3
    assert loser["_rev"] == "1-a"
    await Conflicts(database, patience()).heal([THE_ID])
    assert (await only_leaf(database)).rev == written["_rev"]


async def test_a_write_that_comes_between_loses_nothing(database: Database, replicate: Replicate) -> None:
    await replicate(database, ("1-a", OURS), ("1-b", THEIRS))
    late = delivery(rev="1-b", status="COMPLETE", attempts=[attempt(8, "sent")], updated_at=after(9))

    class SomebodyElse(Database):
        """Writes the winner after it was read, and before it is written."""

        came = False

        async def bulk(self, docs: Sequence[JsonObject]) -> dict[str, BulkResult]:
            if not self.came:
                self.came = True
                await self.put(late.to_document())
            return await super().bulk(docs)

    async with SomebodyElse(database._settings) as disturbed:
        conflicts = Conflicts(disturbed, patience())
        await conflicts.heal([THE_ID])
        # The loser is still there: what it says stands nowhere else.
        leaves = (await database.leaves([THE_ID]))[THE_ID]
        assert [leaf["_rev"] for leaf in leaves[1:]] == ["1-a"]
        assert conflicts.healed == 0
        await conflicts.heal([THE_ID])
        assert conflicts.healed == 1
    merged = await only_leaf(database)
    assert merged.attempts == [attempt(1), attempt(5), attempt(8, "sent")]
    assert merged.status == "COMPLETE"


async def test_a_loser_that_somebody_else_deletes_meanwhile_is_no_trouble(
    database: Database, replicate: Replicate
) -> None:
    await replicate(database, ("1-a", OURS), ("1-b", THEIRS))

    class SomebodyElse(Database):
        async def leaves(self, ids: Iterable[str]) -> dict[str, list[JsonObject]]:
            found = await super().leaves(ids)
            await self.put({"_id": THE_ID, "_rev": "1-a", "_deleted": True})
            return found

    async with SomebodyElse(database._settings) as disturbed:
        with capture_logs() as logs:
            await Conflicts(disturbed, patience()).heal([THE_ID])
    assert (await only_leaf(database)).attempts == [attempt(1), attempt(3, "sent"), attempt(5)]
    assert [entry for entry in logs if entry["log_level"] != "info"] == []


async def test_two_routers_make_the_same_of_it(
    database: Database, couchdb_server: CouchServer, replicate: Replicate
) -> None:
    """Otherwise each would find the other's merge in conflict with its own, for ever."""
    pending = delivery(status="PENDING", attempts=[attempt(2)], updated_at=after(2), mapping_rev="2-x")
    leaves = [("1-a", OURS), ("1-b", THEIRS), ("1-c", pending)]
    with couchdb_server.fresh_database() as other_name:
        async with database.sibling(other_name) as other:
            revs = []
            for side, order in ((database, leaves), (other, leaves[::-1])):
                await replicate(side, *order)
                await Conflicts(side, patience()).heal([THE_ID])
                revs.append((await only_leaf(side)).rev)
    assert revs[0] == revs[1]


async def test_revisions_of_different_messages_are_not_mixed(database: Database, replicate: Replicate) -> None:
    await replicate(database, ("1-a", OURS), ("1-b", delivery(message_id="another", status="COMPLETE")))
    conflicts = Conflicts(database, patience())
    with capture_logs() as logs:
        await conflicts.heal([THE_ID])
    assert [leaf["_rev"] for leaf in (await database.leaves([THE_ID]))[THE_ID]] == ["1-b", "1-a"]
    assert conflicts.healed == 0
    [error] = [entry for entry in logs if entry["log_level"] == "error"]
    assert (error["delivery_id"], error["message_ids"]) == (THE_ID, ["another", "m1"])


async def test_a_damaged_revision_ends_as_a_damaged_document_does(
    database: Database, couchdb_server: CouchServer, replicate: Replicate
) -> None:
    await replicate(database, ("1-a", delivery(attempts=[attempt(1)])))
    damaged = {"_id": THE_ID, "_rev": "1-b", "type": "delivery", "message_id": "m1", "attempts": "many"}
    async with couchdb_server.async_http() as http:
        await http.post(f"/{database.name}/_bulk_docs", json={"new_edits": False, "docs": [damaged]})
    await Conflicts(database, patience()).heal([THE_ID])
    merged = await only_leaf(database)
    assert (merged.status, merged.attempts) == ("FAILED", [attempt(1)])
    assert merged.error is not None
    assert merged.error.code == "damaged_document"


READ_ONLY = """function (newDoc) {
  if (newDoc._id.indexOf('delivery:') === 0) { throw({forbidden: 'delivery documents are frozen'}); }
}"""


async def test_a_merge_that_is_refused_is_told_and_loses_nothing(database: Database, replicate: Replicate) -> None:
    await replicate(database, ("1-a", OURS), ("1-b", THEIRS))
    await database.put({"_id": "_design/team", "language": "javascript", "validate_doc_update": READ_ONLY})
    conflicts = Conflicts(database, patience())
    with capture_logs() as logs:
        await conflicts.heal([THE_ID])
    assert [leaf["_rev"] for leaf in (await database.leaves([THE_ID]))[THE_ID]] == ["1-b", "1-a"]
    assert conflicts.healed == 0
    [warning] = [entry for entry in logs if entry["log_level"] == "warning"]
    assert "delivery documents are frozen" in warning["reason"]


async def test_it_waits_while_couchdb_is_away(
    couchdb_settings: CouchDBSettings, database: Database, replicate: Replicate
) -> None:
    await replicate(database, ("1-a", OURS), ("1-b", THEIRS))

    class Flaky(Database):
        """Every other request is lost."""

        calls = 0

        async def leaves(self, ids: Iterable[str]) -> dict[str, list[JsonObject]]:
            self._lose()
            return await super().leaves(ids)

        async def bulk(self, docs: Sequence[JsonObject]) -> dict[str, BulkResult]:
            self._lose()
            return await super().bulk(docs)

        def _lose(self) -> None:
            self.calls += 1
            if self.calls % 2:
                raise Unreachable("lost")

    async with Flaky(couchdb_settings) as flaky:
        await Conflicts(flaky, patience()).heal([THE_ID])
    assert len((await only_leaf(database)).attempts) == 3
