"""Docker's healthcheck: the router runs, and CouchDB answers."""

import asyncio
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from router.healthcheck import command_lines, is_router, main
from router.metrics import Metrics
from router.settings import HttpSettings
from router.web.server import open_port, served
from router.web.snapshot import Snapshot
from tests.servers.couchdb import CouchServer

NOWHERE = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["/app/bin/python", "/app/bin/router", "run", ""], True),
        (["/app/bin/python", "/app/bin/router", "run", "--since", "now", ""], True),
        (["/sbin/docker-init", "--", "router", "run", ""], True),
        (["python", "-m", "router", "run", ""], True),
        (["/app/bin/python", "/app/bin/router", "check", ""], False),
        (["python", "-m", "router.healthcheck", ""], False),
        (["sleep", "1", ""], False),
        ([""], False),
    ],
)
def test_which_command_line_is_the_router(arguments: list[str], expected: bool) -> None:
    assert is_router(arguments) is expected


def test_processes_that_have_ended_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "cmdline").write_bytes(b"router\0run\0")
    (tmp_path / "2").mkdir()
    (tmp_path / "2" / "cmdline").symlink_to(tmp_path / "gone")
    (tmp_path / "3" / "cmdline").mkdir(parents=True)  # which cannot be read
    (tmp_path / "self").mkdir()
    assert command_lines(tmp_path) == [["router", "run", ""]]


@pytest.fixture
def router_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.healthcheck.command_lines", lambda: [["python", "-m", "router", "run", ""]])
    monkeypatch.setenv("ROUTER_HTTP__PORT", "0")


def test_well(
    couchdb_server: CouchServer, router_runs: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROUTER_COUCHDB__URL", couchdb_server.url + "/")
    assert main() == 0
    assert capsys.readouterr().out == "the router runs, and CouchDB answers\n"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (NOWHERE, "the router runs, but CouchDB does not answer (ConnectionRefusedError)\n"),
        ("nonsense", "the router runs, but CouchDB does not answer"),
        ("http://127.0.0.1:port", "the router runs, but CouchDB does not answer (ValueError)\n"),
    ],
)
def test_without_couchdb(
    url: str, said: str, router_runs: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROUTER_COUCHDB__URL", url)
    assert main() == 1
    assert capsys.readouterr().out.startswith(said)


def test_something_else_than_couchdb(
    couchdb_server: CouchServer, router_runs: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROUTER_COUCHDB__URL", couchdb_server.url + "/no/such/place")
    assert main() == 1
    assert "CouchDB is not up (it answers 4" in capsys.readouterr().out


def test_without_a_router(couchdb_server: CouchServer) -> None:
    """As Docker asks: a process of its own; a folder of processes without a router stands for the container."""
    code = (
        "import sys, pathlib, router.healthcheck as check;"
        "check.command_lines = lambda: [['sleep', '1', '']]; sys.exit(check.main())"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        env={"ROUTER_COUCHDB__URL": couchdb_server.url, "ROUTER_HTTP__PORT": "0"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (said.returncode, said.stdout) == (1, "the router does not run\n")


# --- with the HTTP port


async def ask(snapshot: Snapshot, port: int, host: str = "127.0.0.1") -> int:
    """What the check says of a router whose port shows `snapshot`."""
    listener = open_port(HttpSettings(host=host, port=port))
    assert listener is not None
    async with served(listener, lambda: snapshot, Metrics()):
        return await asyncio.to_thread(main)


@pytest.mark.parametrize(
    ("snapshot", "code", "said"),
    [
        (Snapshot("active", mapping="OK", mapping_in_force="1-a"), 0, "the router is ready (active)"),
        (Snapshot("standby"), 0, "the router is ready (standby)"),
        (Snapshot("starting"), 0, "the router is not ready: the router is starting"),
        (
            Snapshot("active", mapping="MISSING"),
            0,
            "the router is not ready: there is no mapping to route by: write one with `router mapping push`, or mend the one "
            "that is there",
        ),
        (
            Snapshot("standby", couchdb_trouble="CouchDB cannot be reached"),
            1,
            "the router is not ready: CouchDB cannot be reached",
        ),
        (
            Snapshot("starting", couchdb_trouble="CouchDB cannot be reached"),
            1,
            "the router is not ready: the router is starting; CouchDB cannot be reached",
        ),
    ],
)
async def test_what_the_router_says_of_itself(
    snapshot: Snapshot,
    code: int,
    said: str,
    unused_tcp_port: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("ROUTER_HTTP__PORT", str(unused_tcp_port))
    assert await ask(snapshot, unused_tcp_port) == code
    assert capsys.readouterr().out.splitlines()[-1] == said


async def test_a_port_that_is_open_everywhere_is_asked_from_here(
    unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROUTER_HTTP__PORT", str(unused_tcp_port))
    everywhere = "0.0.0.0"  # noqa: S104 - that is what is tried
    monkeypatch.setenv("ROUTER_HTTP__HOST", everywhere)
    assert await ask(Snapshot("standby"), unused_tcp_port, everywhere) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "the router is ready (standby)"


def test_nobody_at_the_port(
    unused_tcp_port_factory: Callable[[], int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = unused_tcp_port_factory()
    monkeypatch.setenv("ROUTER_HTTP__PORT", str(port))
    assert main() == 1
    assert capsys.readouterr().out == f"no router answers at 127.0.0.1:{port} (ConnectionRefusedError)\n"


def test_somebody_else_at_the_port(
    couchdb_server: CouchServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = couchdb_server.url.rpartition(":")[2]
    monkeypatch.setenv("ROUTER_HTTP__PORT", port)
    assert main() == 1
    assert capsys.readouterr().out == (
        f"what answers at 127.0.0.1:{port} is no router; check ROUTER_HTTP__HOST and ROUTER_HTTP__PORT\n"
    )
