"""Fixtures for tests of the whole service."""

import pytest

from tests.peers.postbox import Postbox


@pytest.fixture
def postbox() -> Postbox:
    return Postbox()
