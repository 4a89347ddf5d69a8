"""Routers that want a lease at once, in virtual time, whatever is late, lost or stopped: never do two hold it."""

import asyncio
from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from router.couch.errors import Conflict, Unreachable
from router.couch.holder import Process
from router.couch.lease import Lease
from router.couch.lease_store import LEASE_ID
from router.couch.patience import Complaint
from router.documents.json_types import JsonObject
from router.settings import LeaseSettings
from tests.couch.keeping import kept
from tests.couch.virtual_time import run_in_virtual_time
from tests.peers.feed import until

T = TypeVar("T")

LASTS_SECONDS = 10.0

WELL_SECONDS = 40.0
"""When what happens to a router has begun, at the latest."""
LONGEST_SECONDS = 14.0
"""How long it lasts, at most."""
SETTLED_SECONDS = WELL_SECONDS + LONGEST_SECONDS + 1.5 * LASTS_SECONDS
"""When somebody must have it again."""
END_SECONDS = SETTLED_SECONDS + 3.0


@dataclass(frozen=True)
class Outage:
    """A time in which requests of one router do not come through as they should."""

    begins: float
    lasts: float
    to_seconds: float
    """How long a request takes to CouchDB. One that is given up meanwhile arrives all the same."""
    back_seconds: float
    """How long its answer takes."""
    is_lost: bool
    """Whether the answer is lost in the end."""


@dataclass
class Faults:
    """What happens to one router."""

    begins: float
    """When it is started."""
    outages: list[Outage]
    pauses: list[tuple[float, float]]
    """When its process is stopped, and for how long."""
    delays: list[float]
    """How long its requests and their answers take in good times, in turn."""
    rate: float
    """How fast its clock runs."""
    work_seconds: list[float]
    """How long it is active, each time in turn, before it gives the lease back."""
    requests: int = 0
    turns: int = 0

    def journey(self) -> tuple[float, float, bool]:
        """Of the next request: seconds to CouchDB, seconds back, and whether the answer is lost."""
        now = asyncio.get_running_loop().time()
        self.requests += 1
        for outage in self.outages:
            if outage.begins <= now < outage.begins + outage.lasts:
                return outage.to_seconds, outage.back_seconds, outage.is_lost
        delay = self.delays[self.requests % len(self.delays)]
        return delay, delay, False

    def pause(self) -> float:
        """How long it is stopped from now on."""
        now = asyncio.get_running_loop().time()
        return max((begins + lasts - now for begins, lasts in self.pauses if begins <= now < begins + lasts), default=0)

    def work(self) -> float:
        """How long it is active this time."""
        self.turns += 1
        return self.work_seconds[self.turns % len(self.work_seconds)]


@dataclass
class Store:
    """The documents of a CouchDB: a revision can be replaced once, a `_local` document always."""

    document: JsonObject | None = None
    local: dict[str, JsonObject] = field(default_factory=dict)
    writes: int = 0
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def get(self) -> JsonObject | None:
        return dict(self.document) if self.document is not None else None

    def put(self, document: JsonObject) -> str | Conflict:
        present = self.document["_rev"] if self.document is not None else None
        if document.get("_rev") != present:
            return Conflict("somebody was faster", status=409)
        self.writes += 1
        rev = f"{self.writes}-x"
        self.document = {**document, "_rev": rev}
        return rev

    def put_local(self, name: str, document: JsonObject) -> str:
        self.local[name] = document
        return "0-1"


@dataclass
class Way:
    """A router's way to the store. Requests that were sent go on without whoever gave up waiting for them."""

    store: Store
    faults: Faults

    async def get(self, doc_id: str) -> JsonObject | None:
        assert doc_id == LEASE_ID
        return await self._ask(self.store.get)

    async def put(self, doc: JsonObject) -> str:
        sent = dict(doc)
        answer = await self._ask(lambda: self.store.put(sent))
        if isinstance(answer, Conflict):
            raise answer
        return answer

    async def get_local(self, name: str) -> JsonObject | None:
        return await self._ask(lambda: self.store.local.get(name))

    async def put_local(self, name: str, doc: JsonObject) -> str:
        sent = dict(doc)
        return await self._ask(lambda: self.store.put_local(name, sent))

    async def _ask(self, what: Callable[[], T]) -> T:
        to, back, is_lost = self.faults.journey()

        async def go() -> T:
            await asyncio.sleep(to)
            answer = what()
            await asyncio.sleep(back)
            return answer

        going = asyncio.create_task(go())
        self.store.tasks.add(going)
        going.add_done_callback(self.store.tasks.discard)
        answer = await asyncio.shield(going)
        if is_lost:
            raise Unreachable("the connection broke")
        return answer


class stopped_now_and_then:  # noqa: N801 - reads as what it does
    """Awaits `work`, but each time that it could go on, some time may pass first: a process that is stopped (SIGSTOP, a laptop
    that sleeps) and goes on as if nothing had been."""

    def __init__(self, work: Awaitable[None], pause: Callable[[], float]) -> None:
        self._work, self._pause = work, pause

    def __await__(self) -> Generator[Any, None, None]:
        steps = self._work.__await__()
        error: BaseException | None = None
        while True:
            try:
                waits_for = next(steps) if error is None else steps.throw(error)
            except StopIteration:
                return
            error = None
            try:
                yield waits_for
            except asyncio.CancelledError as cancelled:
                error = cancelled
            if (seconds := self._pause()) > 0:
                until = asyncio.get_running_loop().time() + seconds
                while (left := until - asyncio.get_running_loop().time()) > 0:
                    try:
                        yield from asyncio.sleep(left).__await__()
                    except asyncio.CancelledError as cancelled:
                        error = cancelled  # A timeout; noticed when it goes on.


async def compete(all_faults: list[Faults]) -> int:
    """Have a router for each of `all_faults` want the lease; how often one got it. Fails when two may send at one moment, or
    when nobody has it for long though all is well again."""
    store = Store()
    loop = asyncio.get_running_loop()
    leases: list[Lease] = []
    turns = 0
    refused: set[int] = set()

    def only_one() -> None:
        for number, lease in enumerate(leases):
            # Whoever was told that nothing may be sent is not told otherwise in this turn: a lane asks no second time.
            assert not (number in refused and lease.may_send())
            if not lease.may_send():
                refused.add(number)
        assert sum(lease.may_send() for lease in leases) <= 1
        # What was begun before may be in flight until there is nothing left.
        assert sum(lease.seconds_left > 0 for lease in leases) <= 1

    async def route(number: int, lease: Lease, faults: Faults) -> None:
        nonlocal turns
        await asyncio.sleep(faults.begins)
        while True:
            await lease.acquire()
            refused.discard(number)
            only_one()
            turns += 1
            try:
                async with asyncio.timeout(faults.work()):
                    await lease.keep()
            except TimeoutError:
                # Stopped in an orderly way.
                await lease.release()
            else:
                assert not lease.may_send()
                await asyncio.sleep(lease.seconds_left)

    tasks = []
    for number, faults in enumerate(all_faults):
        lease = Lease(
            Way(store, faults),
            LeaseSettings(duration_seconds=LASTS_SECONDS),
            Complaint("everything"),
            process=Process(f"host{number}", "boot", "pid:[1]", 1, 1),
            clock=lambda faults=faults, number=number: 1000 * number + loop.time() * faults.rate,  # type: ignore[misc]
        )
        leases.append(lease)
        tasks.append(asyncio.ensure_future(stopped_now_and_then(route(number, lease, faults), faults.pause)))
    has_been_held = False
    while loop.time() < END_SECONDS:
        await asyncio.sleep(0.25)
        only_one()
        has_been_held |= loop.time() > SETTLED_SECONDS and any(lease.may_send() for lease in leases)
        for task in tasks:
            if task.done():
                task.result()
    for task in [*tasks, *store.tasks]:
        task.cancel()
    await asyncio.gather(*tasks, *store.tasks, return_exceptions=True)
    # Nor is it ever stuck.
    assert has_been_held
    return turns


begin = st.floats(0, WELL_SECONDS)
last = st.one_of(st.floats(0, 2), st.floats(5, LONGEST_SECONDS))
slowness = st.one_of(st.just(0.0), st.floats(0, 4), st.floats(0, 40))
outages = st.builds(Outage, begins=begin, lasts=last, to_seconds=slowness, back_seconds=slowness, is_lost=st.booleans())
faults = st.builds(
    Faults,
    begins=st.one_of(st.just(0.0), begin),
    outages=st.lists(outages, max_size=3),
    pauses=st.lists(st.tuples(begin, last), max_size=3),
    delays=st.lists(st.floats(0, 0.2), min_size=1, max_size=5),
    rate=st.floats(0.99, 1.01),
    work_seconds=st.lists(st.floats(1, 100), min_size=1, max_size=3),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(faults, min_size=2, max_size=3))
def test_never_two_hold_it_whatever_is_late_lost_or_stopped(all_faults: list[Faults]) -> None:
    with capture_logs():
        turns = run_in_virtual_time(compete(all_faults))
    event(f"turns: {min(turns, 6)}")


async def test_a_stopped_router_is_no_longer_the_holder_before_it_can_notice() -> None:
    """The very check that keeps it from sending: `keep` has had no chance to run yet."""
    now = [0.0]
    lease = Lease(
        Way(Store(), Faults(0, [], [], [0.0], 1.0, [1.0])),
        LeaseSettings(duration_seconds=LASTS_SECONDS),
        Complaint("everything"),
        clock=lambda: now[0],
    )
    await lease.acquire()
    assert lease.may_send()
    now[0] = 7.9
    assert lease.may_send()
    now[0] = 8.1
    assert not lease.may_send()
    assert lease.seconds_left == pytest.approx(1.4)
    now[0] = 60.0
    assert lease.seconds_left == 0
    assert "stopped" in await lease.keep()


def test_a_renewal_that_comes_too_late_to_be_relied_on_is_none() -> None:
    skipped = [0.0]

    class Slow(Way):
        async def put_local(self, name: str, doc: JsonObject) -> str:
            rev = await super().put_local(name, doc)
            skipped[0] += 9.0
            return rev

    async def keep() -> None:
        loop = asyncio.get_running_loop()
        lease = Lease(
            Slow(Store(), Faults(0, [], [], [0.0], 1.0, [1.0])),
            LeaseSettings(duration_seconds=LASTS_SECONDS),
            Complaint("everything"),
            clock=lambda: loop.time() + skipped[0],
        )
        await lease.acquire()
        assert lease.may_send()
        assert await lease.keep()
        assert skipped == [9.0]

    run_in_virtual_time(keep())


def test_it_counts_from_when_a_write_was_begun_not_from_the_answer() -> None:
    async def hold() -> None:
        slow = Faults(0, [Outage(0, 100, 0.0, 1.0, False)], [], [0.0], 1.0, [1.0])
        clock = asyncio.get_running_loop().time
        settings = LeaseSettings(duration_seconds=LASTS_SECONDS)
        lease = Lease(Way(Store(), slow), settings, Complaint("everything"), clock=clock)
        await lease.acquire()
        assert clock() == pytest.approx(2.0)  # One second to read, one to write.
        assert lease.seconds_left == pytest.approx(9.5 - 1.0)
        async with kept(lease):
            renewal = 1.0 + LASTS_SECONDS / 3
            await asyncio.sleep(renewal + 2.1 - clock())  # One to write the heartbeat, one to read whose the lease is.
            assert lease.seconds_left == pytest.approx(9.5 - 2.1)

    run_in_virtual_time(hold())


async def test_a_write_that_was_cut_short_and_comes_late_does_not_keep_it_from_being_given_back() -> None:
    store = Store()
    faults = Faults(0, [], [], [0.05], 1.0, [1.0])
    lease = Lease(Way(store, faults), LeaseSettings(duration_seconds=1.5), Complaint("everything"))
    acquiring = asyncio.create_task(lease.acquire())
    await until(lambda: faults.requests == 2)
    acquiring.cancel()
    await asyncio.wait({acquiring})
    await until(lambda: store.writes == 1)
    await lease.release()
    assert store.get() is not None
    assert (store.get() or {})["released"] is True
