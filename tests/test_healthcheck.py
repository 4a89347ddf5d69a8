"""Docker's healthcheck: the router runs, and CouchDB answers."""

import subprocess
import sys
from pathlib import Path

import pytest

from router.healthcheck import command_lines, is_router, main
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
        env={"ROUTER_COUCHDB__URL": couchdb_server.url},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (said.returncode, said.stdout) == (1, "the router does not run\n")
