"""The in-app inbox: unread count and first page of a user with few notifications, and of one with many."""

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import uuid4

from benchmarks.couchdb import Bed, bed
from benchmarks.figure import Figure, Result, median, over, quantile
from benchmarks.stage import Stage
from router.documents.json_types import JsonObject
from router.documents.notification import Notification, notification_document_id, notification_id
from router.documents.timestamps import utc_now
from router.inbox.caller import Caller
from router.inbox.service import InboxService

NAME = "inbox"
HOW = (
    "Unread count, and the first {page} notifications with their total and a cursor, asked of the inbox's service in turns for "
    "a user with {few} notifications and for one with {many:,}, both in one database; {rounds} times each, medians. Half of them "
    "are read, and they are about three customers and none. Floor: the user with {few}. The index is up to date but for what the "
    "service itself writes."
)
FEW = 10
PAGE = 10
"""As many as the user with few has: what is compared is the way there, not how much is read."""
CUSTOMERS = (None, "acme", "globex", "initech")
MARKED = {"count": "unread count", "page": "first page"}
"""What is held against the mark."""
RESTRICTED = {"restricted_count": "unread count", "restricted_page": "first page"}
"""The same for a user who may see what is about two of the three customers: told beside, since it is several ranges."""
MOST = 1.5


async def measure(stage: Stage) -> Result:
    """Measure it."""
    many = stage.size(100_000, 2_000)
    rounds = stage.size(300, 60)
    stage.say(f"inbox: writing {many:,} notifications")
    documents = notifications("few", FEW) + notifications("many", many)
    runs: list[JsonObject] = []
    async with bed(stage.server, None, documents) as main:
        del documents
        inbox = InboxService(main.database)
        stage.say("inbox: building the index")
        index_seconds = await _seconds(lambda: inbox.unread_count(Caller("few")))
        for number in range(stage.runs):
            stage.say(f"inbox with {many:,} notifications, run {number + 1} of {stage.runs}")
            runs.append(await _run(inbox, rounds))
        beside = await _beside(main, inbox, many)
    figures = []
    for question, what in MARKED.items():
        small, large = (median(runs, f"{user}_{question}_ms") for user in ("few", "many"))
        figures.append(
            Figure(
                f"inbox: {what} with {many:,} notifications, over {FEW}",
                f"{large:.1f} ms",
                f"{small:.1f} ms",
                over(large, small),
                "",
                at_most=MOST,
            )
        )
    slowest = ", ".join(f"{what} {median(runs, f'many_{each}_p99_ms'):.1f} ms" for each, what in MARKED.items())
    restricted = [
        (
            f"{what} where the user may see two of the three customers: with {FEW}, and with {many:,}",
            f"{median(runs, f'few_{each}_ms'):.1f} ms, {median(runs, f'many_{each}_ms'):.1f} ms",
        )
        for each, what in RESTRICTED.items()
    ]
    return Result(
        NAME,
        HOW.format(page=PAGE, few=FEW, many=many, rounds=rounds),
        figures,
        [(f"p99 with {many:,}", slowest), *restricted, ("building the index, once", f"{index_seconds:.1f} s"), *beside],
        runs,
    )


def notifications(user: str, count: int) -> list[JsonObject]:
    """So many for one user, one a minute until now."""
    now = utc_now()
    made = []
    for number in range(count):
        moment = now - timedelta(minutes=count - number)
        its_id = notification_id(moment, uuid4())
        is_read = number % 2 == 0
        notification = Notification(
            document_id=notification_document_id(user, its_id),
            user=user,
            type="orders",
            event="order_failed",
            title=f"Order {number} failed",
            content=f"<p><b>Card declined</b> for order {number}</p>",
            link_url=f"https://example.org/orders/{number}",
            link_text="Open order",
            read=is_read,
            read_at=moment if is_read else None,
            created_at=moment,
            customer_id=CUSTOMERS[number // 2 % len(CUSTOMERS)],
            message_id=f"order-{number}-failed",
        )
        made.append(notification.to_document())
    return made


async def _run(inbox: InboxService, rounds: int) -> JsonObject:
    """Milliseconds of each question, for each of the two users."""
    asked: dict[str, Callable[[], Awaitable[object]]] = {}
    for user in ("few", "many"):
        for side, customers in (("", None), ("restricted_", frozenset({"acme", "globex"}))):
            caller = Caller(user, customers)
            asked[f"{user}_{side}count"] = lambda caller=caller: inbox.unread_count(caller)  # type: ignore[misc]
            asked[f"{user}_{side}page"] = lambda caller=caller: inbox.page(caller, limit=PAGE)  # type: ignore[misc]
    taken: dict[str, list[float]] = {name: [] for name in asked}
    # In turns, so that what else the machine does is shared out.
    for _ in range(rounds):
        for name, ask in asked.items():
            taken[name].append(await _seconds(ask) * 1000)
    return {
        **{f"{name}_ms": quantile(each, 0.5) for name, each in taken.items()},
        **{f"{name}_p99_ms": quantile(each, 0.99) for name, each in taken.items()},
    }


async def _beside(main: Bed, inbox: InboxService, many: int) -> list[tuple[str, str]]:
    """What else a client asks of the larger inbox, once each."""
    caller = Caller("many")
    offset = many * 9 // 10
    by_offset = await _seconds(lambda: inbox.page(caller, limit=PAGE, offset=offset))
    cursor = (await inbox.page(caller, limit=1, offset=offset - 1)).next_cursor
    by_cursor = await _seconds(lambda: inbox.page(caller, limit=PAGE, cursor=cursor))
    newest = (await inbox.page(caller, limit=1, status="unread")).notifications[0]

    async def mark_and_count() -> None:
        await inbox.mark(caller, newest.id)
        await inbox.unread_count(caller)

    marked = await _seconds(mark_and_count)
    began = time.monotonic()
    changed = await inbox.mark_all_read(Caller("many", frozenset({"acme"})), customer_id="acme")
    per_second = over(changed, time.monotonic() - began)
    return [
        (
            f"the page behind {offset:,} by cursor, and by offset",
            f"{by_cursor * 1000:.1f} ms, {by_offset * 1000:.1f} ms",
        ),
        ("mark one as read, and the count that has it", f"{marked * 1000:.1f} ms"),
        (f"mark all {changed:,} unread ones of a customer as read", f"{per_second:,.0f}/s"),
        ("documents of the record then", f"{len(await main.database.ids_between('audit:', 'audit;'))}"),
    ]


async def _seconds(ask: Callable[[], Awaitable[object]]) -> float:
    began = time.monotonic()
    await ask()
    return time.monotonic() - began
