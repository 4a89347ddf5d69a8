"""The API on a database of each test's own."""

from collections.abc import AsyncIterator

import pytest

from router.couch.database import Database
from router.couch.setup import setup
from router.settings import CouchDBSettings
from tests.api.serving import Api, api_settings, serving


@pytest.fixture
async def api(couchdb_settings: CouchDBSettings, database: Database) -> AsyncIterator[Api]:
    """The API, on the test's database, set up."""
    await setup(database, "ccs.notifications")
    async with serving(api_settings(couchdb_settings)) as running:
        yield running
