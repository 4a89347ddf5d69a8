"""Docker's question whether the router is well, `python -m router.healthcheck`: it runs, and CouchDB answers it."""

import json
import os
import sys
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from itertools import pairwise
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

ANSWER_TIMEOUT_SECONDS: Final = 3.0
"""How long an answer may take; below the 5 s that the Dockerfile gives the whole check."""
VARIABLE: Final = "ROUTER_COUCHDB__URL"
DEFAULT_URL: Final = "http://127.0.0.1:5984"
HOST_VARIABLE: Final = "ROUTER_HTTP__HOST"
DEFAULT_HOST: Final = "127.0.0.1"
PORT_VARIABLE: Final = "ROUTER_HTTP__PORT"
DEFAULT_PORT: Final = "8321"
EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is opened for all is asked from here
"""Where a port is asked that is open on all addresses."""


def main() -> int:
    """Say in one sentence how things are; 0 when the router runs and CouchDB answers it, else 1.

    It is asked every half minute, so it is cheap: no settings are loaded, no login is made.
    """
    port = os.environ.get(PORT_VARIABLE) or DEFAULT_PORT
    return _without_port() if port == "0" else _ask_router(os.environ.get(HOST_VARIABLE) or DEFAULT_HOST, port)


def _ask_router(host: str, port: str) -> int:
    """Ask the router itself. A router that waits for its first mapping is not ready, but nothing is wrong with it."""
    host = EVERYWHERE.get(host, host)
    place = f"{host}:{port}"
    try:
        with closing(HTTPConnection(host, int(port), timeout=ANSWER_TIMEOUT_SECONDS)) as connection:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            body = json.loads(answer.read())
            reasons = "; ".join(str(reason) for reason in body["reasons"])
            state, is_reachable = body["status"], body["couchdb"]["reachable"]
    except (OSError, HTTPException) as error:
        return _say(1, f"no router answers at {place} ({type(error).__name__})")
    except (ValueError, KeyError, TypeError):
        return _say(1, f"what answers at {place} is no router; check {HOST_VARIABLE} and {PORT_VARIABLE}")
    said = f"the router is ready ({state})" if answer.status == 200 else f"the router is not ready: {reasons}"
    return _say(0 if is_reachable is True else 1, said)


def _without_port() -> int:
    """Look whether there is such a process, and ask CouchDB: `GET /_up` is answered by every CouchDB 3 that is ready for work,
    without a login."""
    if not any(map(is_router, command_lines())):
        return _say(1, "the router does not run")
    url = os.environ.get(VARIABLE) or DEFAULT_URL
    parts = urlsplit(url)
    make = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    try:
        connection = make(parts.hostname or "", parts.port, timeout=ANSWER_TIMEOUT_SECONDS)
        with closing(connection):
            connection.request("GET", f"{parts.path.rstrip('/')}/_up")
            status = connection.getresponse().status
    except (OSError, ValueError, HTTPException) as error:
        return _say(1, f"the router runs, but CouchDB does not answer ({type(error).__name__})")
    if status != 200:
        return _say(1, f"the router runs, but CouchDB is not up (it answers {status})")
    return _say(0, "the router runs, and CouchDB answers")


def command_lines(processes: Path = Path("/proc")) -> list[list[str]]:
    """The command line of every process of this container that may be seen."""
    found = []
    for path in processes.glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().decode(errors="replace").split("\0"))
        except OSError:
            # It has ended, or is none of ours.
            continue
    return found


def is_router(arguments: list[str]) -> bool:
    """Whether a command line is `router run` or `python -m router run`, with whatever before and behind it."""
    return any(Path(program).name == "router" and command == "run" for program, command in pairwise(arguments))


def _say(code: int, sentence: str) -> int:
    sys.stdout.write(sentence + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
