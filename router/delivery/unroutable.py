"""Messages that no group led anywhere for: routed when an edit of the mapping adds the group, ended when they are too old."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import partial

import structlog

from router.couch import design
from router.couch.database import Database, ViewRow
from router.couch.patience import Patience
from router.delivery.dispatcher import Dispatcher
from router.delivery.intake import delete_delivery
from router.delivery.job import Job
from router.delivery.reading_back import read_back
from router.delivery.recorder import Recorder
from router.delivery.router import Request, Router
from router.delivery.verdict import cancel, fail
from router.delivery.waiting import wait_for
from router.documents.delivery import Delivery, Status
from router.documents.json_types import JsonObject, JsonValue
from router.documents.timestamps import utc_now
from router.rendering.rendered import Rendered

log = structlog.stdlib.get_logger("router.unroutable")

SWEEP_SECONDS = 15.0
"""How often waiting messages are looked at though the mapping has not changed: some may have grown
too old, or be wanted again (router retry)."""
PAGE = 200
"""Waiting messages that are looked at in one go."""


class Unroutable:
    """The messages that wait for a mapping that has their group, or for a user."""

    def __init__(
        self,
        database: Database,
        router: Router,
        changed: asyncio.Event,
        dispatcher: Dispatcher,
        recorder: Recorder,
        patience: Patience,
        *,
        max_age_seconds: float,
    ) -> None:
        self._database = database
        self._router = router
        self._changed = changed
        self._dispatcher = dispatcher
        self._recorder = recorder
        self._patience = patience
        self._max_age = timedelta(seconds=max_age_seconds)

    async def run(self) -> None:
        """Look at the waiting messages at the start, after each change of the mapping, when a user appears who is waited for, and
        now and then, until cancelled."""
        while True:
            self._changed.clear()
            await self._look()
            await wait_for(self._changed, SWEEP_SECONDS)

    async def _look(self) -> None:
        start: JsonValue = ["unroutable"]
        while True:
            rows = await self._patience.until_done(
                "reading the messages that wait for the mapping", partial(self._page, start)
            )
            page = rows[:PAGE]
            waiting = await read_back((row.document for row in page if row.document is not None), self._recorder)
            await self._look_at([delivery for delivery in waiting if delivery.status is Status.UNROUTABLE])
            if len(rows) <= PAGE:
                return
            start = rows[PAGE].key

    async def _page(self, start_key: JsonValue) -> list[ViewRow]:
        return await self._database.view(
            design.NAME,
            design.UNFINISHED,
            start_key=start_key,
            end_key=["unroutable", {}],
            limit=PAGE + 1,
            include_docs=True,
        )

    async def _look_at(self, waiting: list[Delivery]) -> None:
        now = utc_now()
        known = await self._router.known({name for delivery in waiting for name in delivery.groups or ()})
        ready: list[Delivery] = []
        for delivery in waiting:
            if now - delivery.waiting_since > self._max_age:
                reason = delivery.error.reason if delivery.error else "no group led anywhere"
                fail(delivery, "unroutable_too_old", f"waited {self._max_age} in vain; {reason}", now)
                await self._recorder.write(delivery)
            elif not known.isdisjoint(delivery.groups or ()):
                ready.append(delivery)
        if not ready:
            return
        messages = await self._patience.until_done(
            "reading messages again", lambda: self._database.get_many([delivery.message_id for delivery in ready])
        )
        async with asyncio.TaskGroup() as group:
            for delivery in ready:
                group.create_task(self._route(delivery, messages.get(delivery.message_id)))

    async def _route(self, waiting: Delivery, document: JsonObject | None) -> None:
        now = utc_now()
        if document is None:
            cancel(waiting, now)
            await self._recorder.write(waiting)
            return
        (routed,) = await self._router.route([Request(document, waiting.groups)])
        ids = [delivery.id for delivery, _ in routed.deliveries]
        existing = await self._patience.until_done("looking for deliveries", lambda: self._database.get_many(ids))
        pending = [(d, target) for d, target in routed.deliveries if d.id not in existing]
        if routed.message is not None and pending:
            log.info("message routed at last", message_id=waiting.message_id, targets=len(pending))
            all_written = asyncio.Event()
            content = Rendered(routed.message.content)
            close = _countdown(len(pending), all_written)
            for delivery, target in pending:
                await self._dispatcher.submit(Job(delivery, target, content, on_recorded=close))
            # Only then may the document go that would have them routed again after a crash.
            await all_written.wait()
        if routed.refusal is None:
            await delete_delivery(self._database, waiting, self._patience)
        elif routed.refusal.groups != waiting.groups or routed.refusal.status is not waiting.status:
            routed.refusal.rev = waiting.rev
            routed.refusal.created_at = waiting.created_at
            await self._recorder.write(routed.refusal)


def _countdown(count: int, at_zero: asyncio.Event) -> Callable[[], None]:
    left = count

    def close() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            at_zero.set()

    return close
