"""Notifications for tests, and the database they are in."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from router.couch.answers import BulkResult
from router.couch.database import Database
from router.documents.json_types import JsonObject, JsonValue
from router.documents.notification import Notification, notification_document_id, notification_id

START = datetime(2026, 11, 21, 8, tzinfo=UTC)


def made(user: str, number: int, **fields: object) -> Notification:
    """A user's notification, the newer the larger its number: one a second."""
    moment = START + timedelta(seconds=number)
    its_id = notification_id(moment, uuid4())
    content: dict[str, object] = {"title": f"{user} {number}", "content": "<b>x</b>", "type": "chats", **fields}
    if content.get("read"):
        content.setdefault("read_at", moment)
    return Notification.model_validate(
        {"_id": notification_document_id(user, its_id), "user": user, "created_at": moment, **content}
    )


async def written(database: Database, notifications: Sequence[Notification]) -> list[str]:
    """Write these, and give their ids, newest first."""
    results = await database.bulk([each.to_document() for each in notifications])
    assert all(result.rev for result in results.values())
    return sorted((each.id for each in notifications), reverse=True)


async def documents(database: Database, prefix: str) -> list[JsonObject]:
    """All documents whose id starts so, in the order of their ids."""
    return await database.ids_between(prefix, f"{prefix}\ufff0")


class Interrupted(Database):
    """A database in which others are quicker: before each of our writes one of `interruptions` happens, while any is left."""

    interruptions: list[Callable[[], Awaitable[JsonValue]]]

    async def bulk(self, docs: Sequence[JsonObject]) -> dict[str, BulkResult]:
        """Write `docs`, after somebody else."""
        if self.interruptions:
            await self.interruptions.pop(0)()
        return await super().bulk(docs)
