"""CouchDB for the tests in this folder."""

import socket

import pytest

from tests.servers.couchdb import couchdb_server, couchdb_settings, database, restartable_couchdb

__all__ = ["couchdb_server", "couchdb_settings", "database", "restartable_couchdb"]


@pytest.fixture
def unused_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port
