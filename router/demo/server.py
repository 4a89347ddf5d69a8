"""One of the demo's servers as an error names it, with the log that may say more."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from router.demo.child import DemoError


@dataclass(frozen=True, slots=True)
class Server:
    """A server that the demo asks."""

    name: str
    log: Path

    @contextmanager
    def asked(self) -> Iterator[None]:
        """For the time of a request: that the server does not answer is raised as a DemoError that names it and its log."""
        try:
            yield
        except (aiohttp.ClientError, TimeoutError) as error:
            # The text of such an error may be empty, or name an address that says little.
            raise DemoError(f"{self.name} no longer answers ({type(error).__name__}); its log: {self.log}") from error
