"""What a user sees: lists with every filter, pages by cursor and by offset, counts, and nothing of anybody else."""

import asyncio
from collections.abc import Sequence

import pytest

from router.couch.database import Database
from router.documents.notification import Notification
from router.inbox.caller import Caller
from router.inbox.errors import Code, InboxError
from router.inbox.keys import Status
from router.inbox.service import MAX_LIMIT, InboxService, Page
from tests.inbox.making import START, made, written

ACME, GLOBEX, INITECH = "acme", "globex & söhne/1", "initech"
CUSTOMERS: tuple[str | None, ...] = (None, ACME, GLOBEX, INITECH)
STATUSES: tuple[Status, ...] = ("all", "unread", "read")


def titles(page: Page) -> list[str]:
    return [each.title for each in page.notifications]


async def all_pages(
    inbox: InboxService, caller: Caller, limit: int, status: Status, customer_id: str | None
) -> list[str]:
    """The titles on all pages, one after the other by cursor."""
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = await inbox.page(caller, limit=limit, cursor=cursor, status=status, customer_id=customer_id)
        seen += titles(page)
        cursor = page.next_cursor
        if cursor is None:
            return seen


def expected(
    notifications: Sequence[Notification],
    user: str,
    customers: set[str] | None,
    status: Status,
    customer_id: str | None,
) -> list[str]:
    """The titles that such a list should hold, by a look at each notification."""
    return [
        each.title
        for each in sorted(notifications, key=lambda each: each.id, reverse=True)
        if each.user == user
        and each.deleted_at is None
        and (each.customer_id is None or customers is None or each.customer_id in customers)
        and (customer_id is None or each.customer_id == customer_id)
        and (status == "all" or each.read is (status == "read"))
    ]


async def test_three_users_and_every_filter(inbox: InboxService, database: Database) -> None:
    notifications = [
        made(
            user,
            number,
            customer_id=CUSTOMERS[number % 4],
            read=number % 3 == 0,
            deleted_at=START if number % 7 == 0 else None,
        )
        for user in ("alice", "bob", "bob.2")
        for number in range(1, 29)
    ]
    await written(database, notifications)
    belongs: tuple[set[str] | None, ...] = (None, set(), {ACME}, {ACME, GLOBEX}, {ACME, GLOBEX, INITECH, "none"})
    for user in ("alice", "bob"):
        for customers in belongs:
            caller = Caller(user, None if customers is None else frozenset(customers))
            for customer_id in (None, *sorted({INITECH} if customers is None else customers)):
                for status in STATUSES:
                    wanted = expected(notifications, user, customers, status, customer_id)
                    page = await inbox.page(caller, status=status, customer_id=customer_id)
                    assert (titles(page), page.total, page.next_cursor) == (wanted, len(wanted), None)
                    page = await inbox.page(caller, limit=3, offset=2, status=status, customer_id=customer_id)
                    assert (titles(page), page.total) == (wanted[2:5], len(wanted))
                    assert (page.next_cursor is not None) == (len(wanted) > 5)
                wanted = expected(notifications, user, customers, "unread", customer_id)
                assert await inbox.unread_count(caller, customer_id=customer_id) == len(wanted)
            assert await all_pages(inbox, caller, 4, "all", None) == expected(
                notifications, user, customers, "all", None
            )


async def test_an_empty_inbox(inbox: InboxService) -> None:
    for caller in (Caller("nobody"), Caller("nobody", frozenset()), Caller("nobody", frozenset({ACME}))):
        assert await inbox.page(caller) == Page((), 0, None)
        assert await inbox.page(caller, offset=10) == Page((), 0, None)
        assert await inbox.unread_count(caller) == 0


@pytest.mark.parametrize("customers", [None, frozenset({ACME, GLOBEX})], ids=["all", "some"])
async def test_a_thousand_by_cursor_without_gap_or_repeat_while_new_ones_come_in(
    inbox: InboxService, database: Database, customers: frozenset[str] | None
) -> None:
    notifications = [made("alice", number, customer_id=(ACME, GLOBEX)[number % 2]) for number in range(1000)]
    ids = await written(database, notifications)
    # What is not the caller's makes the page come from several ranges.
    await written(database, [made("alice", 5000, customer_id=INITECH)] if customers else [])
    caller = Caller("alice", customers)
    seen: list[str] = []
    cursor: str | None = None
    arrived = 0
    while True:
        page = await inbox.page(caller, limit=MAX_LIMIT - 50, cursor=cursor)
        assert page.total == 1000 + arrived
        seen += [each.id for each in page.notifications]
        if page.next_cursor is None:
            break
        cursor = page.next_cursor
        arrived += 20
        await written(database, [made("alice", 2000 + arrived + more, customer_id=ACME) for more in range(20)])
    assert seen == ids


async def test_reading_page_by_page_while_each_page_is_marked(inbox: InboxService, database: Database) -> None:
    ids = await written(database, [made("alice", number) for number in range(30)])
    caller, seen, cursor = Caller("alice"), [], None
    while True:
        page = await inbox.page(caller, limit=7, cursor=cursor, status="unread")
        seen += [each.id for each in page.notifications]
        await inbox.mark_many(caller, [each.id for each in page.notifications])
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ids


async def test_offsets_through_several_customers(inbox: InboxService, database: Database) -> None:
    ids = await written(
        database, [made("alice", number, customer_id=(ACME, GLOBEX)[number % 2]) for number in range(1200)]
    )
    await written(database, [made("alice", 9000, customer_id=INITECH)])
    for caller in (Caller("alice", frozenset({ACME, GLOBEX})), Caller("alice", frozenset({ACME, GLOBEX, INITECH}))):
        before = (
            [] if INITECH not in (caller.customers or ()) else [(await inbox.page(caller, limit=1)).notifications[0].id]
        )
        for offset in (0, 1, 499, 500, 501, 1190, 1200, 5000):
            page = await inbox.page(caller, limit=20, offset=offset)
            assert [each.id for each in page.notifications] == (before + ids)[offset : offset + 20]


async def test_users_whom_unicode_takes_for_the_same_are_kept_apart(inbox: InboxService, database: Database) -> None:
    # CouchDB's collation has each pair equal: é in one character and in two, and a joiner that shows nothing.
    users = ["é", "e\u0301", "e", "e\u034f", "E", "%C3%A9"]
    await written(database, [made(user, number) for number, user in enumerate(users)])
    for number, user in enumerate(users):
        page = await inbox.page(Caller(user))
        assert (titles(page), page.total) == ([f"{user} {number}"], 1)
        assert await inbox.unread_count(Caller(user)) == 1
    customers = ["é", "e\u0301", "", "e"]
    await written(database, [made("alice", number, customer_id=customer) for number, customer in enumerate(customers)])
    for number, customer in enumerate(customers):
        page = await inbox.page(Caller("alice", frozenset({customer})))
        assert (titles(page), page.total) == ([f"alice {number}"], 1)


async def test_one_that_is_read_is_seen_so_at_once(inbox: InboxService, database: Database) -> None:
    caller = Caller("alice")
    for number in range(5):
        (its_id,) = await written(database, [made("alice", number)])
        assert await inbox.unread_count(caller) == 1
        await inbox.mark(caller, its_id)
        assert await inbox.unread_count(caller) == 0
        assert [each.read for each in (await inbox.page(caller, limit=1)).notifications] == [True]


async def test_what_is_about_a_customer_of_others_is_not_found(inbox: InboxService, database: Database) -> None:
    (its_id,) = await written(database, [made("alice", 1, customer_id=INITECH)])
    caller = Caller("alice", frozenset({ACME}))
    for ask in (
        lambda: inbox.get(caller, its_id),
        lambda: inbox.mark(caller, its_id),
        lambda: inbox.delete(caller, its_id),
        lambda: inbox.get(Caller("bob"), its_id),
        lambda: inbox.mark(Caller("bob"), its_id, read=False),
        lambda: inbox.delete(Caller("bob"), its_id),
    ):
        with pytest.raises(InboxError, match=f"^there is no notification {its_id}$") as caught:
            await ask()
        assert caught.value.code is Code.NOT_FOUND
    for asked in (inbox.page(caller, customer_id=INITECH), inbox.unread_count(caller, customer_id=INITECH)):
        with pytest.raises(InboxError, match=r"^you belong to no customer 'initech'$") as caught:
            await asked
        assert caught.value.code is Code.NOT_FOUND
    unread = await inbox.get(Caller("alice"), its_id)
    assert not unread.read


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"limit": 0}, "limit must be from 1 to 200, not 0"),
        ({"limit": 201}, "limit must be from 1 to 200, not 201"),
        ({"offset": -1}, "offset must be from 0 to 1000000, not -1"),
        ({"offset": 10**9}, "offset must be from 0 to 1000000, not 1000000000"),
        ({"cursor": "x"}, "cursor must be the cursor of an earlier page, as it was given"),
        ({"cursor": "A" * 32}, "cursor must be the cursor of an earlier page of this very list"),
        ({"cursor": "x", "offset": 1}, "cursor and offset cannot be given together: a cursor has its place"),
        ({"customer_id": ""}, "customer_id must be 1 to 200 printable characters, not ''"),
        ({"customer_id": "x" * 201}, "customer_id must be 1 to 200 printable characters"),
        ({"customer_id": "\ud800", "cursor": "A" * 32}, "customer_id must be 1 to 200 printable characters"),
    ],
    ids=str,
)
async def test_what_nobody_can_mean(inbox: InboxService, query: dict[str, object], says: str) -> None:
    with pytest.raises(InboxError) as caught:
        await inbox.page(Caller("alice"), **query)  # type: ignore[arg-type]
    assert caught.value.code is Code.INVALID_QUERY
    assert str(caught.value).startswith(says)


async def test_a_cursor_of_another_list_is_refused(inbox: InboxService, database: Database) -> None:
    await written(
        database, [made("alice", number) for number in range(3)] + [made("bob", number) for number in range(3)]
    )
    cursor = (await inbox.page(Caller("alice"), limit=1)).next_cursor
    assert cursor is not None
    others = (
        inbox.page(Caller("bob"), cursor=cursor),
        inbox.page(Caller("alice"), cursor=cursor, status="unread"),
        inbox.page(Caller("alice"), cursor=cursor, customer_id=ACME),
    )
    for other in others:
        with pytest.raises(InboxError, match="same user, customer and status"):
            await other


async def test_customers_with_any_name_stop_nobody(inbox: InboxService, database: Database) -> None:
    (its_id,) = await written(database, [made("alice", 1, customer_id="a\"b'c/%2F😀")])
    caller = Caller("alice", frozenset({"\ud800", "", "x" * 5000, "a\"b'c/%2F😀"}))
    assert [each.id for each in (await inbox.page(caller)).notifications] == [its_id]


async def test_many_ask_at_once(inbox: InboxService, database: Database) -> None:
    await written(database, [made(f"user-{number % 10}", number) for number in range(100)])
    counts = await asyncio.gather(*(inbox.unread_count(Caller(f"user-{number % 10}")) for number in range(30)))
    assert set(counts) == {10}
