"""Fixtures for tests of the HTTP port."""

from functools import partial

import pytest

from router.monitor import Monitor, Timing
from tests.service.conftest import postbox

__all__ = ["postbox"]


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The port is served and CouchDB is asked without delay."""
    timing = Timing(first_seconds=0.05, every_seconds=0.1, again_seconds=0.1, count_every=1)
    monkeypatch.setattr("router.operations.HEAD_START_SECONDS", 0.0)
    monkeypatch.setattr("router.operations.Monitor", partial(Monitor, timing=timing))
