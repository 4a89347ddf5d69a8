"""The lease: the rules that are pure, routers that want it at once under every delay, and the document in a real CouchDB."""

import asyncio
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from router.couch.database import Database
from router.couch.errors import Conflict, CouchError, ServerFault, Unreachable
from router.couch.holder import Process, has_ended, this_process
from router.couch.lease import Lease, lease_clock
from router.couch.lease_store import HEARTBEATS, LEASE_ID
from router.couch.patience import Complaint
from router.couch.tenure import Standing, Term, Watch, read_standing
from router.documents.json_types import JsonObject, JsonValue
from router.settings import LeaseSettings
from tests.couch.virtual_time import run_in_virtual_time
from tests.peers.feed import until

T = TypeVar("T")

LASTS_SECONDS = 10.0
HELD = Standing("1-a", "other", duration_seconds=LASTS_SECONDS)
MISSING = Standing(None)


# --- when it may be taken


@pytest.mark.parametrize(
    ("seen", "wait_seconds"),
    [
        ([(0, MISSING)], 0),
        ([(0, HELD)], 10),
        ([(0, HELD), (9.5, HELD)], 0.5),
        ([(0, HELD), (10, HELD)], 0),
        ([(0, HELD), (12, HELD)], 0),
        ([(0, HELD), (9.5, replace(HELD, rev="2-b"))], 10),
        ([(0, HELD), (9.5, replace(HELD, rev="2-b", holder="third"))], 10),
        ([(0, replace(HELD, duration_seconds=30.0)), (10, replace(HELD, duration_seconds=30.0))], 20),
        ([(0, replace(HELD, duration_seconds=1.5))], 1.5),
        ([(0, replace(HELD, released=True))], 0),
        ([(0, HELD), (1, replace(HELD, rev="2-b", released=True))], 0),
        ([(0, replace(HELD, holder="me"))], 0),
        ([(0, HELD), (9.5, replace(HELD, heartbeat=1))], 10),
        ([(0, replace(HELD, heartbeat=1)), (9.5, replace(HELD, heartbeat=2)), (18, replace(HELD, heartbeat=2))], 1.5),
        ([(0, replace(HELD, heartbeat=1)), (10, replace(HELD, heartbeat=1))], 0),
        # Deleted or damaged under its holder, who is there for a while yet.
        ([(0, HELD), (1, MISSING)], 10),
        ([(0, HELD), (1, MISSING), (11, MISSING)], 0),
        ([(0, replace(HELD, duration_seconds=30.0)), (1, MISSING)], 30),
        ([(0, Standing("1-a"))], 7),
        ([(0, replace(HELD, duration_seconds=30.0)), (1, Standing("2-b"))], 30),
        ([(0, Standing("1-a")), (7, Standing("1-a"))], 0),
    ],
)
def test_when_it_may_be_taken(seen: list[tuple[float, Standing]], wait_seconds: float) -> None:
    watch = Watch("me", 7.0)
    waits = [watch.wait_seconds(standing, 1000 + at, 1000 + at) for at, standing in seen]
    assert waits[-1] == pytest.approx(wait_seconds)


def test_an_answer_that_was_long_on_its_way_says_nothing_of_now() -> None:
    watch = Watch("me", 7.0)
    assert watch.wait_seconds(HELD, 0, 3) == pytest.approx(13)  # It may have been new at the last moment.
    assert watch.wait_seconds(HELD, 12, 13) == pytest.approx(1)  # It may have been old at the first.
    assert watch.wait_seconds(HELD, 13, 14) == 0


def test_the_lease_of_one_that_has_ended_is_free_at_once() -> None:
    assert Watch("me", 7.0).wait_seconds(HELD, 0, 0, has_ended=True) == 0


def test_after_a_lost_race_our_own_name_is_as_good_as_any() -> None:
    watch = Watch("me", 7.0)
    watch.lost_race()
    assert watch.wait_seconds(replace(HELD, holder="me"), 0, 0) == LASTS_SECONDS


def test_the_holder_stops_before_anybody_may_take_over() -> None:
    term = Term(1000.0, 10.0)
    assert 1000 < term.renew_at < term.stop_at < term.over_at < 1010


GOOD: JsonObject = {
    "_id": LEASE_ID,
    "_rev": "3-c",
    "holder": "a:1:b",
    "process": {"host": "a", "boot_id": "b", "pid_namespace": "pid:[1]", "pid": 1, "started": 7},
    "acquired_at": "2026-11-21T08:27:00.000Z",
    "duration_seconds": 10,
    "released": False,
    "turn": 4,
}


def test_a_document_is_read() -> None:
    process = Process("a", "b", "pid:[1]", 1, 7)
    assert read_standing(GOOD) == Standing("3-c", "a:1:b", process, "2026-11-21T08:27:00.000Z", 10.0, turn=4)
    assert read_standing({**GOOD, "released": True}).released
    assert read_standing(None) == MISSING


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"holder": 5}, {"holder": None}),
        ({"holder": ""}, {"holder": None}),
        ({"process": None}, {"process": None}),
        ({"process": {"pid": 1}}, {"process": None}),
        ({"process": {"host": "a", "boot_id": "b", "pid_namespace": "c", "pid": -1, "started": 7}}, {"process": None}),
        (
            {"process": {"host": "a", "boot_id": "b", "pid_namespace": "c", "pid": True, "started": 7}},
            {"process": None},
        ),
        ({"acquired_at": []}, {"acquired_at": None}),
        ({"duration_seconds": "10"}, {"duration_seconds": None}),
        ({"duration_seconds": True}, {"duration_seconds": None}),
        ({"duration_seconds": 0}, {"duration_seconds": None}),
        ({"duration_seconds": -1}, {"duration_seconds": None}),
        ({"duration_seconds": 1e9}, {"duration_seconds": None}),
        ({"duration_seconds": float("inf")}, {"duration_seconds": None}),
        ({"released": "yes"}, {"released": False}),
        ({"turn": "4"}, {"turn": 0}),
        ({"turn": -4}, {"turn": 0}),
        ({"turn": True}, {"turn": 0}),
    ],
)
def test_a_damaged_document_is_read_as_far_as_it_goes(change: JsonObject, expected: dict[str, Any]) -> None:
    assert read_standing({**GOOD, **change}) == replace(read_standing(GOOD), **expected)


# --- whether its holder still runs


def test_this_process_runs() -> None:
    here = this_process()
    assert here is not None
    assert Process.from_document(here.to_document()) == here
    assert not has_ended(here, here)


def test_a_process_that_was_killed_has_ended_buried_or_not() -> None:
    here = this_process()
    assert here is not None
    with subprocess.Popen(
        [sys.executable, "-c", "from router.couch.holder import *; print(this_process().started, flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        other = replace(here, pid=child.pid, started=int(child.stdout.readline()))
        assert not has_ended(other, here)
        assert has_ended(replace(other, started=other.started - 1), here)  # The id is another's by now.
        for change in ({"host": "elsewhere"}, {"boot_id": "earlier"}, {"pid_namespace": "pid:[1]"}):
            assert not has_ended(replace(other, started=1, **change), here)  # type: ignore[arg-type]
        assert not has_ended(None, here)
        assert not has_ended(other, None)
        child.kill()
        deadline = lease_clock() + 10
        while not has_ended(other, here):
            assert lease_clock() < deadline
    assert has_ended(other, here)


# --- many who want it

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


# --- on a real server

QUICK = LeaseSettings(duration_seconds=1.5)


class Broken:
    """A database that fails, or answers too late, while it is told to."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.error: CouchError | None = None
        self.loses_answers = False

    async def get(self, doc_id: str) -> JsonObject | None:
        if self.error is not None:
            raise self.error
        return await self._database.get(doc_id)

    async def put(self, doc: JsonObject) -> str:
        if self.error is not None:
            raise self.error
        rev = await self._database.put(doc)
        if self.loses_answers:
            self.loses_answers = False
            raise Unreachable("the connection broke")
        return rev

    async def get_local(self, name: str) -> JsonObject | None:
        if self.error is not None:
            raise self.error
        return await self._database.get_local(name)

    async def put_local(self, name: str, doc: JsonObject) -> str:
        if self.error is not None:
            raise self.error
        return await self._database.put_local(name, doc)


async def heartbeat(database: Database, count: int, turn: int = 1) -> JsonObject:
    """The heartbeat of this turn once it is that many."""
    async with asyncio.timeout(10):
        while True:
            found = await database.get_local(f"notification-router-heartbeat-{turn % HEARTBEATS}")
            if found is not None and found["count"] == count:
                return found
            await asyncio.sleep(0.02)


def lease_on(database: Database | Broken, *, is_elsewhere: bool = True) -> Lease:
    """A lease as a router on a machine of its own would have it, unless said otherwise."""
    elsewhere = Process(f"elsewhere-{secrets.token_hex(4)}", "boot", "pid:[1]", 1, 1)
    return Lease(database, QUICK, Complaint("everything"), process=elsewhere if is_elsewhere else None)


@asynccontextmanager
async def kept(lease: Lease) -> AsyncIterator[asyncio.Task[str]]:
    """Renew it for the time of the block."""
    keeping = asyncio.create_task(lease.keep())
    try:
        yield keeping
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})


async def changed(database: Database, rev: JsonValue) -> JsonObject:
    """The lease document once it has another revision."""
    async with asyncio.timeout(10):
        while True:
            found = await database.get(LEASE_ID)
            if found is not None and found["_rev"] != rev:
                return found
            await asyncio.sleep(0.02)


async def test_the_document_says_who_and_since_when(database: Database) -> None:
    lease = lease_on(database, is_elsewhere=False)
    await lease.acquire()
    found = await database.get(LEASE_ID)
    assert found is not None
    here = this_process()
    assert here is not None
    assert {key: found[key] for key in ("type", "holder", "turn", "duration_seconds", "released", "process")} == {
        "type": "lease",
        "holder": lease.name,
        "turn": 1,
        "duration_seconds": 1.5,
        "released": False,
        "process": here.to_document(),
    }
    assert found["acquired_at"] <= found["updated_at"]  # type: ignore[operator]
    async with kept(lease):
        assert (await heartbeat(database, 1))["holder"] == lease.name
        await heartbeat(database, 2)
    # Nobody's feed hears of that.
    assert await database.get(LEASE_ID) == found
    await lease.release()
    assert (await changed(database, found["_rev"]))["released"] is True


async def test_one_that_is_given_back_is_taken_at_once_and_a_silent_one_when_it_has_run_out(database: Database) -> None:
    first, second, third = lease_on(database), lease_on(database), lease_on(database)
    waits: list[str] = []
    await first.acquire()
    waiting = asyncio.create_task(second.acquire(lambda: waits.append("second")))
    async with kept(first) as keeping:
        await asyncio.sleep(1.3 * QUICK.duration_seconds)
        assert not waiting.done()
        assert not keeping.done()
    assert waits == ["second"]
    clock = asyncio.get_running_loop().time
    began = clock()
    await first.release()
    await waiting
    assert clock() - began < QUICK.duration_seconds / 2
    assert not first.may_send()
    # Nobody keeps it: the next one waits for as long as it lasts.
    began = clock()
    await third.acquire()
    assert QUICK.duration_seconds * 0.9 < clock() - began
    assert not second.may_send()
    assert second.seconds_left == 0
    assert await second.keep()


async def test_a_holder_over_which_somebody_writes_stops_at_once(database: Database) -> None:
    lease = lease_on(database)
    await lease.acquire()
    found = await database.get(LEASE_ID)
    assert found is not None
    await database.put({**found, "holder": "an admin"})
    assert "an admin" in await lease.keep()
    assert not lease.may_send()
    assert lease.seconds_left == 0
    await lease.release()
    assert (await changed(database, found["_rev"]))["holder"] == "an admin"


async def test_one_whose_holder_has_ended_on_this_machine_is_taken_at_once(database: Database) -> None:
    here = this_process()
    assert here is not None
    ended = Lease(
        database, LeaseSettings(duration_seconds=100), Complaint("everything"), process=replace(here, started=1)
    )
    await ended.acquire()
    async with asyncio.timeout(1):
        await lease_on(database, is_elsewhere=False).acquire()


async def test_a_write_that_was_cut_short_and_comes_late_does_not_keep_it_from_being_given_back() -> None:
    store = Store()
    faults = Faults(0, [], [], [0.05], 1.0, [1.0])
    lease = Lease(Way(store, faults), QUICK, Complaint("everything"))
    acquiring = asyncio.create_task(lease.acquire())
    await until(lambda: faults.requests == 2)
    acquiring.cancel()
    await asyncio.wait({acquiring})
    await until(lambda: store.writes == 1)
    await lease.release()
    assert store.get() is not None
    assert (store.get() or {})["released"] is True


async def test_of_many_that_start_at_once_one_has_it(database: Database) -> None:
    leases = [lease_on(database) for _ in range(8)]
    tasks = [asyncio.create_task(lease.acquire()) for lease in leases]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.wait(tasks, timeout=QUICK.duration_seconds * 0.5)
    assert sum(lease.may_send() for lease in leases) == 1
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_a_write_whose_answer_was_lost_is_known_as_ours(database: Database) -> None:
    broken = Broken(database)
    lease = lease_on(broken)
    broken.loses_answers = True
    async with asyncio.timeout(1):
        await lease.acquire()
    found = await database.get(LEASE_ID)
    assert found is not None
    assert await database.bulk([{"_id": LEASE_ID, "_rev": found["_rev"], "_deleted": True}])
    broken.loses_answers = True
    async with kept(lease) as keeping:
        await changed(database, None)
        await asyncio.wait({keeping}, timeout=QUICK.duration_seconds)
        assert not broken.loses_answers
        assert not keeping.done()
        assert lease.may_send()


@pytest.mark.parametrize("error", [Unreachable("away"), ServerFault("full", status=507)])
async def test_a_holder_that_cannot_renew_stops_in_time_and_has_it_again_at_once(
    database: Database, error: CouchError
) -> None:
    broken = Broken(database)
    lease = lease_on(broken)
    await lease.acquire()
    clock = asyncio.get_running_loop().time
    began = clock()
    broken.error = error
    assert str(error) in await lease.keep()
    assert clock() - began < QUICK.duration_seconds * 0.95
    assert not lease.may_send()
    waiting = asyncio.create_task(lease.acquire())
    await asyncio.wait({waiting}, timeout=0.2)
    broken.error = None
    began = clock()
    await waiting
    assert clock() - began < QUICK.duration_seconds
    assert lease.may_send()


async def test_a_holder_whose_document_is_deleted_writes_it_anew(database: Database) -> None:
    lease = lease_on(database)
    await lease.acquire()
    found = await database.get(LEASE_ID)
    assert found is not None
    async with kept(lease) as keeping:
        await asyncio.sleep(0)
        assert LEASE_ID in await database.bulk([{"_id": LEASE_ID, "_rev": found["_rev"], "_deleted": True}])
        assert (await changed(database, None))["holder"] == lease.name
        assert not keeping.done()


async def test_what_another_has_taken_is_not_given_back(database: Database) -> None:
    first, second = lease_on(database), lease_on(database)
    await first.acquire()
    await second.acquire()
    await first.release()
    found = await database.get(LEASE_ID)
    assert found is not None
    assert (found["holder"], found["released"]) == (second.name, False)
    await second.release()
    await second.release()


async def test_a_lease_that_nobody_took_is_not_kept(database: Database) -> None:
    with pytest.raises(RuntimeError):
        await lease_on(database).keep()
