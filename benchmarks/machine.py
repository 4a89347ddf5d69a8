"""Describes the machine and the software that figures were made on."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

from router import __version__


def describe(couchdb: str) -> dict[str, object]:
    """What a reader must know to compare figures. `couchdb` is what the server calls itself."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "couchdb": couchdb,
        "router": __version__,
        "packages": {
            name: version(name) for name in ("aiohttp", "aiosmtplib", "httpx", "httpx-aiohttp", "matrix-nio", "orjson")
        },
        # Others who use the machine make every figure worse, and the ratios less certain.
        "load_before": round(os.getloadavg()[0], 2),
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
