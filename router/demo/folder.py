"""Where the demo keeps its files: `.local/demo` of the checkout, one folder for each demo that runs."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from router.demo.child import DemoError

CHECKOUT: Final = Path(__file__).resolve().parents[2]
MOST_DEMOS: Final = 9
"""How many demos may run at the same time out of one checkout."""


def is_checkout() -> bool:
    """Whether this package runs from a clone of the repository, where the stand-ins are."""
    return (CHECKOUT / "tests" / "peers" / "__main__.py").is_file() and (CHECKOUT / "pyproject.toml").is_file()


def settings_file(folder: Path) -> Path:
    """The demo's settings for the router, while the demo runs."""
    return folder / ".env"


@contextmanager
def demo_folder() -> Iterator[Path]:
    """An empty folder that no other demo uses while the block runs; the logs in it stay until the next demo. Raises DemoError."""
    parent = CHECKOUT / ".local"
    parent.mkdir(exist_ok=True)
    for number in range(1, MOST_DEMOS + 1):
        name = "demo" if number == 1 else f"demo-{number}"
        with (parent / f"{name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            folder = parent / name
            shutil.rmtree(folder, ignore_errors=True)
            # For its owner alone: the logins of the demo are in it.
            folder.mkdir(mode=0o700)
            yield folder
            return
    raise DemoError(f"{MOST_DEMOS} demos run out of {CHECKOUT} already; end one of them.")
