"""The lease in the documents of a real CouchDB."""

import asyncio
import secrets
from dataclasses import replace

import pytest

from router.couch.database import Database
from router.couch.errors import CouchError, ServerFault, Unreachable
from router.couch.holder import Process, this_process
from router.couch.lease import Lease
from router.couch.lease_store import HEARTBEATS, LEASE_ID
from router.couch.patience import Complaint
from router.documents.json_types import JsonObject, JsonValue
from router.settings import LeaseSettings
from tests.couch.keeping import kept

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
