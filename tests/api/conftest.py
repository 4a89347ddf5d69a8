"""The API on a database of each test's own, and for tests in a browser one that a file's tests share."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from uuid import uuid4

import pytest
import pytest_asyncio

from router.couch.database import Database
from router.couch.setup import setup
from router.settings import CouchDBSettings
from tests.api.bells import House, furnished
from tests.api.serving import Api, api_settings, serving
from tests.servers.couchdb import CouchServer


@pytest.fixture
async def api(couchdb_settings: CouchDBSettings, database: Database) -> AsyncIterator[Api]:
    """The API, on the test's database, set up."""
    await setup(database, "ccs.notifications")
    async with serving(api_settings(couchdb_settings)) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared_house(couchdb_server: CouchServer) -> AsyncIterator[House]:
    """A browser, an API and a database for a file's tests."""
    async with furnished(couchdb_server) as house:
        yield house


@pytest_asyncio.fixture(loop_scope="module")
async def house(shared_house: House) -> AsyncIterator[House]:
    """The same, with devices of the test's own, which are put away in the end."""
    async with AsyncExitStack() as devices:
        yield replace(shared_house, devices=devices)


@pytest.fixture
def user() -> str:
    """One who has no notifications yet."""
    return f"user-{uuid4().hex[:8]}"
