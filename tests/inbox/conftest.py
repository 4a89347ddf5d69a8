"""The inbox on a database of each test's own."""

import socket
from collections.abc import Iterator

import pytest

from router.couch.database import Database
from router.couch.setup import setup
from router.inbox.service import InboxService
from tests.couch.guarded import Guarded, guarded_database
from tests.servers.couchdb import CouchServer


@pytest.fixture
async def inbox(database: Database) -> InboxService:
    """The service on the test's database, set up."""
    await setup(database, "ccs.notifications")
    return InboxService(database)


@pytest.fixture(scope="module")
def guarded(couchdb_server: CouchServer) -> Iterator[Guarded]:
    """A database with users of each kind, which a file's tests share."""
    with guarded_database(couchdb_server) as guarded:
        yield guarded


@pytest.fixture
def unused_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port
