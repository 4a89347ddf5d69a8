"""Fixtures that every test may use: the real servers, and a clean environment."""

import os

import pytest

from router.couch.database import Database
from tests.servers.couchdb import couchdb_server, couchdb_settings, database, restartable_couchdb
from tests.servers.synapse import synapse
from tests.service.running import Desk

__all__ = ["couchdb_server", "couchdb_settings", "database", "restartable_couchdb", "synapse"]


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the machine's user has set for a router of their own must not reach the tests."""
    for name in list(os.environ):
        if name.startswith("ROUTER_") and not name.startswith("ROUTER_TEST_"):
            monkeypatch.delenv(name)


@pytest.fixture
def desk(database: Database) -> Desk:
    """What apps and admins do with this test's database."""
    return Desk(database)
