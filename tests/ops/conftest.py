"""Fixtures for tests of what stands in ops/."""

from tests.service.conftest import postbox
from tests.web.conftest import at_once

__all__ = ["at_once", "postbox"]
