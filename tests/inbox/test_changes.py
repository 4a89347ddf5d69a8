"""Marking and deleting: what is written, what is not, what is put down of it, and who wins when two are at it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

import pytest

from router.couch.database import Database
from router.documents.json_types import JsonObject, JsonValue
from router.documents.notification import notification_document_id
from router.documents.timestamps import to_text
from router.inbox.caller import Caller, Role
from router.inbox.changes import ATTEMPTS
from router.inbox.errors import Code, InboxError
from router.inbox.service import MAX_IDS, BatchResult, InboxService
from router.settings import CouchDBSettings
from tests.inbox.making import START, Interrupted, documents, made, written

ALICE = Caller("alice")
LATER = START + timedelta(hours=1)


@pytest.fixture
async def interrupted(inbox: InboxService, couchdb_settings: CouchDBSettings) -> AsyncIterator[Interrupted]:
    """The test's database, in which others may be quicker."""
    async with Interrupted(couchdb_settings) as database:
        database.interruptions = []
        yield database


async def raw(database: Database, its_id: str, user: str = "alice") -> JsonObject:
    found = await database.get(notification_document_id(user, its_id))
    assert found is not None
    return found


async def audits(database: Database) -> list[tuple[str, str, list[str]]]:
    """Who did what to which ids, in the order of the entries."""
    return [
        (str(entry["user"]), str(entry["action"]), sorted(str(each).rpartition(":")[2] for each in ids))
        for entry in await documents(database, "audit:")
        if isinstance(ids := entry["ids"], list)
    ]


async def test_marking_one(inbox: InboxService, database: Database) -> None:
    (its_id,) = await written(database, [made("alice", 1, customer_id="acme")])
    before = await raw(database, its_id)
    marked = await InboxService(database, lambda: LATER).mark(ALICE, its_id.upper())
    assert (marked.id, marked.read, marked.read_at) == (its_id, True, LATER)
    after = await raw(database, its_id)
    assert after == {**before, "_rev": marked.rev, "read": True, "read_at": to_text(LATER)}
    unmarked = await inbox.mark(ALICE, its_id, read=False)
    assert (unmarked.read, unmarked.read_at) == (False, None)
    assert await raw(database, its_id) == {**before, "_rev": unmarked.rev}
    assert await inbox.get(ALICE, its_id) == unmarked


@pytest.mark.parametrize("read", [True, False])
async def test_marking_twice_writes_nothing_and_keeps_the_first_moment(
    inbox: InboxService, database: Database, read: bool
) -> None:
    (its_id,) = await written(database, [made("alice", 1, read=not read)])
    first = await inbox.mark(ALICE, its_id, read=read)
    before = await raw(database, its_id), await documents(database, "audit:")
    again = await InboxService(database, lambda: LATER).mark(ALICE, its_id, read=read)
    assert again == first
    assert (await raw(database, its_id), await documents(database, "audit:")) == before


async def test_deleting_hides_it_everywhere_and_keeps_the_document(inbox: InboxService, database: Database) -> None:
    its_id, other = (await written(database, [made("alice", 1, customer_id="acme"), made("alice", 2)]))[::-1]
    await InboxService(database, lambda: LATER).delete(ALICE, its_id)
    document = await raw(database, its_id)
    assert (document["deleted_at"], document["content"]) == (to_text(LATER), "<b>x</b>")
    for caller in (ALICE, Caller("alice", frozenset({"acme"}))):
        page = await inbox.page(caller)
        assert ([each.id for each in page.notifications], page.total) == ([other], 1)
        assert await inbox.unread_count(caller) == 1
        assert (await inbox.page(caller, customer_id="acme")).total == 0
        for ask in (inbox.get, inbox.mark, inbox.delete):
            with pytest.raises(InboxError) as caught:
                await ask(caller, its_id)
            assert caught.value.code is Code.NOT_FOUND
    assert await inbox.mark_many(ALICE, [its_id]) == BatchResult((), (), (its_id,), (), ())
    assert await raw(database, its_id) == document


async def test_many_and_what_cannot_be_is_reported(inbox: InboxService, database: Database) -> None:
    read, hidden, theirs, *unread = (
        made("alice", 1, read=True),
        made("alice", 2, deleted_at=START),
        made("bob", 3),
        *(made("alice", number) for number in range(4, 10)),
    )
    await written(database, [read, hidden, theirs, *unread])
    unknown = made("alice", 99).id
    ids = [each.id for each in unread]
    asked: list[object] = [ids[0], read.id, theirs.id, hidden.id, unknown, "x", None, "x", *ids]
    result = await inbox.mark_many(ALICE, asked)
    assert result == BatchResult(tuple(ids), (read.id,), (theirs.id, hidden.id, unknown), ("'x'", "null"), ())
    assert not (await inbox.get(Caller("bob"), theirs.id)).read
    assert await inbox.unread_count(ALICE) == 0
    result = await inbox.delete_many(ALICE, [theirs.id, *ids, read.id])
    assert result == BatchResult((*ids, read.id), (), (theirs.id,), (), ())
    assert (await inbox.page(ALICE)).total == 0
    assert await audits(database) == [
        ("alice", "mark_as_read", sorted(ids)),
        ("alice", "delete", sorted([*ids, read.id])),
    ]


async def test_a_thousand_at_once_and_no_more(inbox: InboxService, database: Database) -> None:
    ids = await written(database, [made("alice", number) for number in range(MAX_IDS)])
    result = await inbox.mark_many(ALICE, ids)
    assert (result.changed, result.failed) == (tuple(ids), ())
    entries = await documents(database, "audit:")
    assert all(isinstance(entry["ids"], list) and len(entry["ids"]) <= MAX_IDS for entry in entries)
    assert sorted(its_id for _, _, some in await audits(database) for its_id in some) == sorted(ids)
    with pytest.raises(InboxError, match="at most 1000 ids may be given at once, not 1001") as caught:
        await inbox.delete_many(ALICE, [*ids, "x"])
    assert caught.value.code is Code.INVALID_QUERY
    assert await inbox.mark_many(ALICE, []) == BatchResult((), (), (), (), ())


@pytest.mark.parametrize("its_id", ["", "x", "../../_all_docs", "alice:x", "0" * 10_000])
async def test_what_is_no_id(inbox: InboxService, its_id: str) -> None:
    for ask in (inbox.get, inbox.mark, inbox.delete):
        with pytest.raises(InboxError, match="must be the id of a notification, such as") as caught:
            await ask(ALICE, its_id)
        assert caught.value.code is Code.INVALID_ID
        assert len(str(caught.value)) < 300


# --- all


@pytest.mark.parametrize("customers", [None, frozenset({"acme", "globex"})], ids=["all", "some"])
async def test_marking_all(inbox: InboxService, database: Database, customers: frozenset[str] | None) -> None:
    owners = ("acme", "globex", None, "initech")
    await written(database, [made("alice", number, customer_id=owners[number % 4]) for number in range(500)])
    await written(database, [made("bob", number) for number in range(10)])
    caller = Caller("alice", customers)
    assert await inbox.mark_all_read(caller, customer_id="globex") == 125
    assert await inbox.mark_all_read(caller) == (375 if customers is None else 250)
    assert await inbox.unread_count(caller) == 0
    assert await inbox.mark_all_read(caller) == 0
    assert await inbox.unread_count(ALICE) == (0 if customers is None else 125)
    assert await inbox.unread_count(Caller("bob")) == 10


async def test_marking_all_ends_while_new_ones_come_in(inbox: InboxService, interrupted: Interrupted) -> None:
    await written(interrupted, [made("alice", number) for number in range(450)])

    async def arrive() -> JsonValue:
        # Past `bulk`, before which this happens.
        (await interrupted.put(made("alice", 1000 + len(interrupted.interruptions)).to_document()))
        return None

    interrupted.interruptions = [arrive] * 100
    assert await InboxService(interrupted).mark_all_read(ALICE) == 450
    arrived = 100 - len(interrupted.interruptions)
    assert arrived == 3
    assert await inbox.unread_count(ALICE) == arrived


# --- two at once


async def test_two_devices_mark_the_same_one(inbox: InboxService, database: Database) -> None:
    for number in range(5):
        (its_id,) = await written(database, [made("alice", number)])
        one, other = await asyncio.gather(inbox.mark(ALICE, its_id), inbox.mark(ALICE, its_id))
        assert one == other == await inbox.get(ALICE, its_id)
        assert str((await raw(database, its_id))["_rev"]).startswith("2-")
        assert await inbox.unread_count(ALICE) == 0
    assert len(await audits(database)) == 5


async def test_deleting_while_marking(inbox: InboxService, database: Database) -> None:
    for number in range(5):
        (its_id,) = await written(database, [made("alice", number)])
        marked, deleted = await asyncio.gather(
            inbox.mark(ALICE, its_id), inbox.delete(ALICE, its_id), return_exceptions=True
        )
        assert deleted is None
        assert not isinstance(marked, BaseException) or (
            isinstance(marked, InboxError) and marked.code is Code.NOT_FOUND
        )
        assert (await inbox.page(ALICE)).total == 0


Meddle = Callable[[InboxService, str], Awaitable[object]]


@pytest.mark.parametrize(
    ("meddle", "code", "actions"),
    [
        (lambda inbox, its_id: inbox.mark(ALICE, its_id), None, ["mark_as_read"]),
        (lambda inbox, its_id: inbox.delete(ALICE, its_id), Code.NOT_FOUND, ["delete"]),
    ],
    ids=["marked", "deleted"],
)
async def test_what_somebody_else_was_quicker_with_is_not_put_down_as_ours(
    inbox: InboxService, interrupted: Interrupted, meddle: Meddle, code: Code | None, actions: list[str]
) -> None:
    (its_id,) = await written(interrupted, [made("alice", 1)])

    async def quicker() -> JsonValue:
        await meddle(inbox, its_id)
        return None

    interrupted.interruptions = [quicker]
    service = InboxService(interrupted, lambda: LATER)
    if code is None:
        assert (await service.mark(ALICE, its_id)).read_at != LATER
    else:
        with pytest.raises(InboxError) as caught:
            await service.mark(ALICE, its_id)
        assert caught.value.code is code
    assert [action for _, action, _ in await audits(interrupted)] == actions


async def test_a_conflict_in_a_batch_is_tried_again_and_put_down_once(
    inbox: InboxService, interrupted: Interrupted
) -> None:
    ids = await written(interrupted, [made("alice", number) for number in range(4)])

    async def quicker() -> JsonValue:
        await inbox.mark(ALICE, ids[0])
        await inbox.delete(ALICE, ids[1])
        # One that is still to be marked, though it is another revision.
        await interrupted.put({**await raw(interrupted, ids[2]), "title": "edited"})
        return None

    interrupted.interruptions = [quicker]
    result = await InboxService(interrupted).mark_many(Caller("alice", roles=frozenset({Role.USER, Role.ADMIN})), ids)
    assert (sorted(result.changed), result.unchanged, result.not_found) == (sorted(ids[2:]), (ids[0],), (ids[1],))
    assert (await raw(interrupted, ids[2]))["title"] == "edited"
    ours = [each for each in await documents(interrupted, "audit:") if each["roles"] == ["admin", "user"]]
    assert [sorted(map(str, each["ids"])) for each in ours if isinstance(each["ids"], list)] == [
        sorted(notification_document_id("alice", its_id) for its_id in ids[2:])
    ]


async def test_who_never_gets_a_turn_is_told(inbox: InboxService, interrupted: Interrupted) -> None:
    ids = await written(interrupted, [made("alice", number) for number in range(2)])

    async def quicker() -> JsonValue:
        document = await raw(interrupted, ids[0])
        await interrupted.put({**document, "title": f"{document['title']}!"})
        return None

    service = InboxService(interrupted)
    interrupted.interruptions = [quicker] * ATTEMPTS
    result = await service.mark_many(ALICE, ids)
    assert (result.changed, result.failed) == ((ids[1],), (ids[0],))
    assert await audits(interrupted) == [("alice", "mark_as_read", [ids[1]])]
    for ask, code in (
        (lambda: service.mark(ALICE, ids[0]), Code.FAILED_TO_MARK_AS_READ),
        (lambda: service.mark_all_read(ALICE), Code.FAILED_TO_MARK_AS_READ),
        (lambda: service.delete(ALICE, ids[0]), Code.FAILED_TO_DELETE),
    ):
        interrupted.interruptions = [quicker] * ATTEMPTS
        with pytest.raises(InboxError, match="try again in a moment") as caught:
            await ask()
        assert caught.value.code is code
    assert len(await audits(interrupted)) == 1
    assert await service.mark_all_read(ALICE) == 1


# --- the record


async def test_what_is_put_down(inbox: InboxService, database: Database) -> None:
    (its_id,) = await written(database, [made("alice", 1)])
    roles = frozenset({Role.USER, Role.SERVICE})
    await InboxService(database, lambda: LATER).delete(Caller("alice", roles=roles), its_id)
    (entry,) = await documents(database, "audit:")
    rev, entry_id = str(entry.pop("_rev")), str(entry.pop("_id"))
    assert rev.startswith("1-")
    assert entry_id.startswith("audit:")
    assert entry == {
        "type": "audit",
        "at": to_text(LATER),
        "user": "alice",
        "roles": ["service", "user"],
        "action": "delete",
        "ids": [f"notification:alice:{its_id}"],
    }
