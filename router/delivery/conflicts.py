"""Makes one document again out of a delivery document that replication has left in several revisions."""

from collections.abc import Iterable
from itertools import zip_longest

import structlog

from router.couch.database import BulkResult, Database
from router.couch.patience import Complaint, Patience
from router.delivery.merge import merge
from router.documents.delivery import Delivery
from router.documents.json_types import JsonObject
from router.documents.reading import read_delivery

log = structlog.stdlib.get_logger("router.conflicts")


class Conflicts:
    """Heals delivery documents that were written on two sides of a replication.

    What two routers make of the same revisions is the same document, and so the same revision: they do not keep each
    other busy.
    """

    healed: int = 0
    """Documents whose losing revisions are gone since the start."""

    def __init__(self, database: Database, patience: Patience) -> None:
        self._database = database
        self._patience = patience
        self._complaint = Complaint("merging the revisions of a delivery document")

    async def heal(self, delivery_ids: Iterable[str]) -> None:
        """Merge all revisions of each document into the winning one, and delete the others.

        A document that has one revision is left alone, so this may be done twice. One that somebody writes meanwhile is
        left as it is: that write has a row of its own in the feed, which tells of the conflict again. Waits while CouchDB
        is away.
        """
        leaves = await self._patience.until_done(
            "reading delivery documents in conflict", lambda: self._database.leaves(delivery_ids)
        )
        conflicts = {i: [read_delivery(leaf) for leaf in revisions] for i, revisions in leaves.items() if revisions[1:]}
        for of_several in [i for i, revisions in conflicts.items() if not _are_of_one_message(i, revisions)]:
            del conflicts[of_several]
        # The losers go only once CouchDB has the winner with all that they say. In one request with it they could go though
        # somebody else's write came before ours, and their attempts with them.
        merged = {i: _merged(revisions) for i, revisions in conflicts.items()}
        changed = [m.to_document() for i, m in merged.items() if m.to_document() != conflicts[i][0].to_document()]
        unwritten = self._not_done(await self._bulk(changed))
        losers = [
            [_tombstone(loser) for loser in revisions[1:]] for i, revisions in conflicts.items() if i not in unwritten
        ]
        left: set[str] = set()
        for one_of_each in zip_longest(*losers):
            left |= self._not_done(await self._bulk([tombstone for tombstone in one_of_each if tombstone is not None]))
        healed = conflicts.keys() - unwritten - left
        self.healed += len(healed)
        for delivery_id in healed:
            log.info(
                "merged a delivery document that replication left in several revisions",
                delivery_id=delivery_id,
                message_id=merged[delivery_id].message_id,
                revisions=len(conflicts[delivery_id]),
            )

    async def _bulk(self, documents: list[JsonObject]) -> dict[str, BulkResult]:
        return await self._patience.until_done("merging delivery documents", lambda: self._database.bulk(documents))

    def _not_done(self, results: dict[str, BulkResult]) -> set[str]:
        """Which documents were not written."""
        if all(result.error in (None, "conflict") for result in results.values()):
            self._complaint.over()
        for delivery_id, result in results.items():
            if result.error not in (None, "conflict"):
                self._complaint.trouble(
                    f"CouchDB refuses to have {delivery_id} merged: {result.reason or result.error}; the router's user "
                    "needs the role notification-router (`router setup` gives it)"
                )
        return {delivery_id for delivery_id, result in results.items() if result.rev is None}


def _are_of_one_message(delivery_id: str, revisions: list[Delivery]) -> bool:
    messages = sorted({revision.message_id for revision in revisions})
    if len(messages) > 1:
        log.error(
            "a delivery document has revisions of several messages, and is not merged: give messages ids that do not look "
            "like those of deliveries, and delete the revisions that are wrong",
            delivery_id=delivery_id,
            message_ids=messages,
        )
    return len(messages) == 1


def _merged(revisions: list[Delivery]) -> Delivery:
    winner, *losers = revisions
    merged = winner
    for loser in losers:
        merged = merge(loser, merged)
    return merged


def _tombstone(loser: Delivery) -> JsonObject:
    return {"_id": loser.id, "_rev": loser.rev, "_deleted": True}
