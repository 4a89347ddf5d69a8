"""Users looked up in a real database: many at once, remembered, and never older than what the feed has shown."""

import asyncio
from collections.abc import Collection, Mapping

import pytest

from router.couch import people as module
from router.couch.database import Database
from router.couch.people import People
from router.documents.json_types import JsonObject
from router.routing.person import NoPerson, Person, PersonKey
from tests.routing.making import READERS

ALICE, OF_ACME = PersonKey("alice", None), PersonKey("alice", "acme")


class Counting:
    """Reads from the database, counts the requests, and may be held up between the answer and its use."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.asked: list[set[str]] = []
        self.answered = asyncio.Event()
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, ids: Collection[str]) -> Mapping[str, JsonObject]:
        self.asked.append(set(ids))
        found = await self._database.get_many(ids)
        self.answered.set()
        await self.go.wait()
        return found


@pytest.fixture
def reading(database: Database) -> Counting:
    return Counting(database)


@pytest.fixture
def appeared() -> asyncio.Event:
    return asyncio.Event()


@pytest.fixture
def people(reading: Counting, appeared: asyncio.Event) -> People:
    return People(reading, READERS, appeared)


async def one(people: People, key: PersonKey = ALICE) -> Person | NoPerson:
    return (await people.find([key]))[key]


def addresses(person: Person | NoPerson) -> list[str]:
    assert isinstance(person, Person), person
    return [target.address for target in person.recipient.targets]


async def test_a_user_is_found_with_the_preferences_that_apply_and_asked_for_once(
    database: Database, people: People, reading: Counting
) -> None:
    await database.put({"_id": "recipient:alice", "addresses": {"mail": "a"}})
    await database.put({"_id": "preferences:alice", "channels": {"mail": False}})
    await database.put({"_id": "preferences:alice:acme", "channels": {"mail": True}})
    found = await people.find([ALICE, OF_ACME, ALICE])
    assert {key: [c.id for c in p.chosen] for key, p in found.items() if isinstance(p, Person)} == {
        ALICE: ["preferences:alice"],
        OF_ACME: ["preferences:alice:acme", "preferences:alice"],
    }
    assert reading.asked == [{"recipient:alice", "preferences:alice", "preferences:alice:acme"}]
    assert await people.find([OF_ACME]) == {OF_ACME: found[OF_ACME]}
    assert len(reading.asked) == 1
    assert await people.find([]) == {}


async def test_what_the_feed_shows_is_looked_up_anew(database: Database, people: People, reading: Counting) -> None:
    rev = await database.put({"_id": "recipient:alice", "addresses": {"mail": "a"}})
    assert addresses(await one(people)) == ["a"]
    await database.put({"_id": "recipient:alice", "_rev": rev, "addresses": {"mail": "b"}})
    assert addresses(await one(people)) == ["a"], "the feed has not shown it yet"
    people.changed("recipient:alice")
    people.changed("order-42")
    assert addresses(await one(people)) == ["b"]
    assert reading.asked[1:] == [{"recipient:alice"}]


async def test_what_changes_while_it_is_read_is_not_kept(database: Database, people: People, reading: Counting) -> None:
    rev = await database.put({"_id": "recipient:alice", "addresses": {"mail": "a"}})
    reading.go.clear()
    looking = asyncio.create_task(one(people))
    async with asyncio.timeout(10):
        await reading.answered.wait()
    # It has been read, but not taken in, when the edit and its row come by.
    await database.put({"_id": "recipient:alice", "_rev": rev, "addresses": {"mail": "b"}})
    people.changed("recipient:alice")
    reading.go.set()
    assert addresses(await looking) == ["a"]
    assert addresses(await one(people)) == ["b"]


async def test_a_user_who_was_sought_in_vain_is_told_of(
    database: Database, people: People, appeared: asyncio.Event
) -> None:
    found = await one(people)
    assert found == NoPerson("there is no document recipient:alice; write it, or correct the name of the user")
    people.changed("recipient:bob")
    people.changed("preferences:alice")
    assert not appeared.is_set(), "nobody waits for these"
    await database.put({"_id": "recipient:alice", "addresses": {"mail": "a"}})
    people.changed("recipient:alice")
    assert appeared.is_set()
    assert addresses(await one(people)) == ["a"]


async def test_documents_that_cannot_be_read(database: Database, people: People) -> None:
    await database.put({"_id": "recipient:alice", "addresses": 5})
    assert await one(people) == NoPerson("recipient:alice cannot be read: addresses: must be an object, not a number")
    await database.put({"_id": "recipient:bob", "addresses": {"mail": "b"}})
    await database.put({"_id": "preferences:bob", "channels": {"mail": "no"}})
    bob = await one(people, PersonKey("bob", None))
    assert isinstance(bob, Person)
    assert bob.chosen == ()


async def test_many_are_read_in_few_requests_and_only_the_last_are_kept(
    database: Database, people: People, reading: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 10)
    monkeypatch.setattr(module, "AT_ONCE", 20)
    await database.bulk([{"_id": f"recipient:u{n}", "addresses": {"mail": "x"}} for n in range(30)])
    found = await people.find([PersonKey(f"u{n}", None) for n in range(30)])
    assert all(addresses(person) == ["x"] for person in found.values())
    assert [len(ids) for ids in reading.asked] == [20, 20, 20]
    await people.find([PersonKey(f"u{n}", None) for n in range(30)])
    assert sum(len(ids) for ids in reading.asked[3:]) >= 50, "sixty were read, and ten are remembered"
