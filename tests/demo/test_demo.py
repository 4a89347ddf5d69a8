"""The demo as a user runs it: what it shows, how it ends, and that nothing outlives it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Timer

import httpx
import pytest
from dotenv import dotenv_values

from router.documents.json_types import JsonObject

ROOT = Path(__file__).parents[2]
ROUTER = [sys.executable, "-m", "router", "demo"]
DEADLINE_SECONDS = 90.0
"""How long one demo may take; an idle machine needs ten."""
ENDED_SECONDS = 20.0
"""How long everything may take to end."""


CHANNELS = ("email", "matrix", "slack", "sphinx")
"""Those of the mapping."""
INBOX = "In-app: the inbox of alice, as the HTTP API gives it"


def environment() -> dict[str, str]:
    # A setting meant for another router must not reach the demo's.
    return {**os.environ, "ROUTER_MATRIX__HOMESERVER": "https://matrix.example.org", "COLUMNS": "100"}


def panels(shown: str, text: str) -> list[str]:
    """The titles of the panels that have `text` in them."""
    found = re.findall(r"╭─ (.*?) ─+╮\n(.*?)╰", shown, flags=re.DOTALL)
    return [title for title, inside in found if text in inside]


def run_once(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )


def test_everything_arrives_and_is_shown() -> None:
    ran = run_once(*ROUTER, "--once")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    shown = ran.stdout
    for text in (
        "✓ Matrix (Synapse)",
        "✓ CouchDB (PouchDB Server)",
        "✓ Router",
        "✓ HTTP API",
        '→ 403: content.to: must be the name of a group, which starts with #, or of a user, which starts with @, not "admins"',
        "→ UNROUTABLE: content.to: the mapping has no group #shipping",
        "Matrix: the room !",
        "Email: the mailbox alice@demo.example",
        "Email: the mailbox alice@home.example",
        "Email: the mailbox shipping@demo.example",
        INBOX,
        "Slack: C0ADMINS01",
        "Slack: the webhook /services/T0STANDIN/…",
        "Sphinx: 02abab",
        "→ 200, kept as the document preferences:alice",
        "✓ Every delivery is COMPLETE, and was seen on the other side; only the mail that Alice does not want is "
        "SUPPRESSED, as it should be.",
    ):
        assert text in shown
    # All channels show it as it was written, whatever it was on the wire.
    assert shown.count("Mary & Sons") == len(CHANNELS)
    rows = [line.split() for line in shown.splitlines() if " COMPLETE " in line]
    assert sorted((row[0], row[2]) for row in rows) == sorted(
        [(message, channel) for message in ("order-42-failed", "backup-done") for channel in CHANNELS]
        + [("parcel-7-sent", "email"), ("parcel-7-sent", "slack")]
        + [("order-51-failed", "email"), ("order-51-failed", "inapp"), ("backup-late", "inapp")]
    )
    [suppressed] = [line.split() for line in shown.splitlines() if " SUPPRESSED " in line]
    assert (suppressed[0], suppressed[2], suppressed[4]) == ("backup-late", "email", "alice@home.example")
    assert "preferences:alice" in suppressed
    # What she wants by mail is in both places, what she does not in her inbox alone.
    assert panels(shown, "no such street") == ["Email: the mailbox alice@home.example", INBOX]
    assert panels(shown, "06:12") == [INBOX]
    # Piped, it is plain text: no colours, no cursor movements.
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", shown)
    assert ran.stderr == ""


def test_what_is_refused_or_not_shown_is_named_and_the_exit_code_says_so() -> None:
    stand_ins = {"slack": ["tests.demo.refusing_slack"], "sphinx": ["tests.peers", "sphinx"]}
    # Somebody else's token: the inbox that it opens is empty.
    code = (
        "import sys; from router.demo import start; from router.demo.run import run_demo;"
        "token_for = start.token_for; start.token_for = lambda user, secret: token_for('bob', secret);"
        f"sys.exit(run_demo(once=True, stand_ins={stand_ins!r}))"
    )
    ran = run_once(sys.executable, "-c", code)

    assert ran.returncode == 1
    complaints = [line for line in ran.stdout.splitlines() if line.startswith("✗")]
    # Two messages FAILED and not seen in Slack, two not seen in the inbox; and bob's preferences are not alice's.
    assert len(complaints) == 8
    for message in ("order-42-failed", "backup-done"):
        assert any(f"✗ {message} by slack to C0ADMINS01: FAILED" in line and "archived" in line for line in complaints)
        assert f"✗ {message} by slack to C0ADMINS01: not seen on the other side" in complaints
    for message in ("order-51-failed", "backup-late"):
        assert f"✗ {message} by inapp to alice: not seen on the other side" in complaints
    unwanted = "✗ backup-late by email to alice@home.example: "
    assert f"{unwanted}COMPLETE" in complaints
    assert f"{unwanted}seen on the other side, against preferences:alice groups.backups.channels.email" in complaints
    assert "Every delivery is COMPLETE" not in ran.stdout


def test_a_part_that_does_not_start_ends_the_demo_with_a_sentence() -> None:
    stand_ins = {"slack": ["tests.demo.no_such_module"], "sphinx": ["tests.peers", "sphinx"]}
    code = f"import sys; from router.demo.run import run_demo; sys.exit(run_demo(once=True, stand_ins={stand_ins!r}))"
    ran = run_once(sys.executable, "-c", code)

    assert ran.returncode == 1
    [sentence] = ran.stderr.splitlines()
    assert sentence.startswith("error: Slack stand-in ended before it said where it is: ")
    assert "slack.log" in sentence
    log = Path(sentence.rpartition("(log: ")[2].rstrip(")"))
    assert "no_such_module" in log.read_text()


def test_outside_of_a_checkout_it_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "router").symlink_to(ROOT / "router")
    code = (
        "import router.demo.folder as folder, pathlib, sys; folder.CHECKOUT = pathlib.Path.cwd();"
        "from router.demo.run import run_demo; sys.exit(run_demo(once=True))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
        check=False,
    )
    assert ran.returncode == 1
    assert ran.stderr == (
        "error: the demo runs from a clone of the repository, where the stand-ins are: clone it and run `make demo` there\n"
    )


class Running:
    """A demo that goes on, its output read line by line."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            ROUTER,
            cwd=ROOT,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        # So that a line that never comes fails the test, and does not hang it.
        self._deadline = Timer(DEADLINE_SECONDS, self.process.kill)
        self._deadline.start()
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._output, self._errors = self.process.stdout, self.process.stderr

    def read_until(self, text: str) -> str:
        """The first line from here on that has `text` in it."""
        for line in self._output:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError("the demo ended:\n" + "".join(self.lines))

    def read_all(self, wanted: Iterable[tuple[str, ...]]) -> None:
        """Read until each of `wanted` has been seen: all its texts in one line."""
        left = set(wanted)
        while left:
            line = self.read_until("")
            left = {texts for texts in left if not all(text in line for text in texts)}

    def complaint(self) -> str:
        """What it says on standard error, once it has ended by itself."""
        self._output.read()
        said = self._errors.read()
        assert self.process.wait(ENDED_SECONDS) == 1
        return said

    def close(self) -> None:
        self._deadline.cancel()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._output.close()
        self._errors.close()


@pytest.fixture
def running() -> Iterator[Running]:
    demo = Running()
    yield demo
    demo.close()


def children_of(pid: int) -> set[int]:
    """All processes below `pid`."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended
    found: set[int] = set()
    grown = {pid}
    while grown:
        grown = {child for child, parent in parents.items() if parent in grown} - found
        found |= grown
    return found


def wait_until_gone(pids: set[int]) -> None:
    deadline = time.monotonic() + ENDED_SECONDS
    while left := {pid for pid in pids if Path(f"/proc/{pid}").exists()}:
        assert time.monotonic() < deadline, f"still there: {[Path(f'/proc/{pid}/cmdline').read_text() for pid in left]}"
        time.sleep(0.05)


def commands_shown(running: Running) -> list[str]:
    """The router's own commands, as it shows them."""
    return [line.rstrip() for line in running.lines if line.startswith("(set -a")]


def assert_the_router_can_be_looked_at(running: Running) -> None:
    """Ask the addresses that it shows of the router's HTTP port."""
    readyz, metrics = (
        next(line.split()[-1] for line in running.lines if line.startswith("curl -s http") and line.endswith(path))
        for path in ("/readyz\n", "/metrics\n")
    )
    body = httpx.get(readyz).json()
    assert body["status"] == "active"
    assert {body["channels"][channel]["state"] for channel in CHANNELS} == {"ready"}
    assert "notification_router_deliveries_total" in httpx.get(metrics).text


def pid_of(running: Running, *words: str) -> int:
    """The child whose command line has these words."""
    [found] = [
        pid
        for pid in children_of(running.process.pid)
        if all(word in Path(f"/proc/{pid}/cmdline").read_text().split("\0") for word in words)
    ]
    return found


@pytest.mark.parametrize(
    ("words", "says", "log"),
    [
        (("router", "run"), "The router was killed by signal 9 (SIGKILL)", "router.log"),
        (("router", "serve"), "The HTTP API was killed by signal 9 (SIGKILL)", "api.log"),
        (("tests.peers", "slack"), "Slack stand-in no longer answers (Client", "slack.log"),
    ],
)
def test_a_part_that_is_killed_is_named_and_its_log_too(
    running: Running, words: tuple[str, ...], says: str, log: str
) -> None:
    running.read_until("Press Ctrl-C")
    os.kill(pid_of(running, *words), signal.SIGKILL)
    [sentence] = running.complaint().splitlines()
    assert sentence.startswith(f"error: {says}")
    path = Path(sentence.partition("; its log: ")[2])
    assert path.name == log
    assert path.is_file()


def run_what_it_says(running: Running) -> Path:
    """Run the commands that it shows, where it was started; the settings file that they use."""
    commands = commands_shown(running)
    assert [command.split(" && ")[2].split()[1].rstrip(")") for command in commands] == [
        "check",
        "route",
        "route",
        "status",
        "send",
    ]
    settings = ROOT / commands[0].split()[4]
    assert any(
        f"this demo's settings, {settings.relative_to(ROOT)}, which is gone when it ends" in line
        for line in running.lines
    )
    for command in commands:
        ran = run_once("sh", "-c", command)
        assert ran.returncode == 0, ran.stdout + ran.stderr
    login = next(line for line in running.lines if line.startswith("curl -s -u admin:"))
    _, user, password, url = re.split(r"curl -s -u |:| ", login.rstrip(), maxsplit=3)
    assert f"Look around as the server's admin, {user} with password {password}:\n" in running.lines
    assert "_users" in httpx.get(url, auth=(user, password)).json()
    return settings


def write(curl: str, message_id: str) -> None:
    """Run a command that it shows, but that the machine need not have curl."""
    found = re.fullmatch(
        r"curl -s -u (\S+):(\S+) -X PUT \"(\S+)/hello-\S+ \+%s%N\)\$RANDOM\" -H '(\S+): (\S+)' -d '(.*)'\n", curl
    )
    assert found is not None, curl
    user, password, database, header, kind, body = found.groups()
    answer = httpx.put(f"{database}/{message_id}", content=body, headers={header: kind}, auth=(user, password))
    assert answer.status_code == 201


def assert_the_inbox_is_where_it_says(address: str, front_end: str) -> None:
    """The page's address and the front end's command lead to the same API, with the same token, and that to alice's inbox."""
    found = re.fullmatch(
        r"curl -s -H '(\S+): (Bearer (\S+))' ((http://127\.0\.0\.1:\d+)/v1/notifications)\n", front_end
    )
    assert found is not None, front_end
    header, value, token, url, api = found.groups()
    assert address == f"{api}/widget#token={token}\n"
    answer = httpx.get(url, headers={header: value})
    assert [each["title"] for each in answer.json()["notifications"]] == [
        "Quietly",
        "Hello Alice",
        "The backup was late",
        "Order 51 failed",
    ]


def test_it_goes_on_shows_what_comes_and_stops_at_ctrl_c(running: Running) -> None:
    curl, to_alice = running.read_until("hello-"), running.read_until("hello-")
    inbox, front_end = running.read_until("/widget#token="), running.read_until("Authorization: Bearer")
    running.read_until("Press Ctrl-C")
    write(curl, "hello-1")
    waiting = {("document  hello-1 → ", f"{channel} ", "COMPLETE") for channel in CHANNELS}
    # Matrix and mail show which message it is; of the others there is the subject.
    waiting |= {("arrived   hello-1 → ", f"{channel} ", "Hello") for channel in ("email", "matrix")}
    waiting |= {("arrived   “Hello” → ", f"{channel} ", "My first message") for channel in ("slack", "sphinx")}
    running.read_all(waiting)

    write(to_alice, "hello-2")
    write(to_alice.replace('"orders"', '"backups"').replace("Hello Alice", "Quietly"), "hello-3")
    running.read_all(
        {
            ("arrived   hello-2 → email alice@home.example  Hello Alice For you\n",),
            ("arrived   hello-2 → inapp alice  Hello Alice For you\n",),
            ("arrived   hello-3 → inapp alice  Quietly For you\n",),
            (
                "document  hello-3 → email alice@home.example  SUPPRESSED  not sent, by preferences:alice groups.backups",
            ),
        }
    )
    assert_the_inbox_is_where_it_says(inbox, front_end)

    settings = run_what_it_says(running)

    assert_the_router_can_be_looked_at(running)

    children = children_of(running.process.pid)
    assert len(children) >= 6  # the router, its HTTP API, Synapse, PouchDB Server, two stand-ins
    running.process.send_signal(signal.SIGINT)

    assert running.process.wait(ENDED_SECONDS) == 0
    wait_until_gone(children)
    # Its logins are dead; the logs may still be of use.
    assert not settings.exists()
    # Nor do they run on with other settings, those of a CouchDB by default.
    for command in commands_shown(running):
        gone = run_once("sh", "-c", command)
        assert gone.returncode not in (0, 1, 3)
        assert gone.stdout == ""
    assert (settings.parent / "router.log").exists()


def test_it_shows_edits_of_the_mapping_and_what_goes_nowhere(running: Running) -> None:
    admin = running.read_until("curl -s -u olivia:")
    running.read_until("Press Ctrl-C")
    found = re.fullmatch(r"curl -s -u (\S+):(\S+) (\S+)/(\S+) > mapping.json\n", admin)
    assert found is not None, admin
    user, password, database, mapping_id = found.groups()
    check = next(line for line in running.lines if "router check)" in line)
    env = dotenv_values(ROOT / check.split()[4])
    alice = str(env["ROUTER_MATRIX__USER_ID"]).replace("@router:", "@alice:")
    with httpx.Client(base_url=database, auth=(user, password)) as http:

        def edit(group: JsonObject) -> int:
            """Give #x these targets, and give the number of the revision."""
            document = http.get(f"/{mapping_id}").json()
            document["mapping"]["#x"] = group
            answer = http.put(f"/{mapping_id}", json=document)
            assert answer.status_code == 201
            return int(answer.json()["rev"].partition("-")[0])

        def write(message_id: str, to: str) -> None:
            content = {"to": to, "subject": "Hello", "body": "you & me", "format": "text"}
            assert http.put(f"/{message_id}", json={"content": content}).status_code == 201

        bad = edit({"email": ["no address"]})
        running.read_all(
            {(f"mapping: revision {bad} is INVALID: mapping.#x.email[0]: ", f"; revision {bad - 1} stays in force")}
        )
        good = edit({"matrix": [alice], "slack": ["C0NOTHERE1"]})
        running.read_all({(f"mapping: revision {good} is in force\n",)})
        write("hello-2", "#x")
        write("hello-3", "#nowhere")
        running.read_all(
            {
                (f"arrived   hello-2 → matrix the direct chat with {alice}  Hello you & me\n",),
                ("document  hello-2 → slack C0NOTHERE1  FAILED  there is no such Slack channel",),
                ("message   hello-3  UNROUTABLE  content.to: the mapping has no group #nowhere",),
            }
        )


def test_nothing_outlives_a_demo_that_is_killed(running: Running) -> None:
    running.read_until("✓ Router")
    children = children_of(running.process.pid)
    assert len(children) >= 5  # the HTTP API may be on its way

    running.process.kill()

    wait_until_gone(children)
