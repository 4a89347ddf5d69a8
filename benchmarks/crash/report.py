"""The crash table as Markdown, from the JSON that holds it, and its place in RESULTS.md."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from benchmarks.table import FRAME
from router.documents.json_types import JsonObject, JsonValue

BEGIN: Final = "<!-- crash-table -->"
END: Final = "<!-- /crash-table -->"

_COLUMNS: Final = (
    ("messages", "messages"),
    ("lost", "lost"),
    ("repeated", "repeated"),
    ("came_again", "again under the same Message-ID"),
    ("misreported", "misreported"),
    ("not_admitted", "repeats not admitted to"),
)
_HOW: Final = """\
Made by `make crash-table`. A sender gets messages for four channels while it is killed with -9 every few seconds and
started again at once, CouchDB is killed and started again twice, and the homeserver once. The other side logs every
arrival: the timelines of the rooms of a real Synapse, a real SMTP server, strict stand-ins for Slack and the Sphinx bot,
each a process of its own. Mail server and stand-ins answer 50 ms after they have taken a message. In the end each
arrival is compared with what the sender wrote down.

- *lost*: no arrival. *repeated*: a person sees it more than once; mails under one Message-ID are one mail, and are
  counted apart.
- *misreported*: the status or the reference does not match what arrived: `COMPLETE` and nothing arrived, `FAILED` and
  it did, a reference that no arrival has, no final document.
- *repeats not admitted to*: came more than once, under one handle or several, and the document does not show two
  attempts that may have arrived.
- –: there is nothing that could be compared."""
_COMPARED: Final = """\
What was compared, and what could not be:

- The router runs on its own settings but for the addresses and ROUTER_MATRIX__CONCURRENCY=16.
- The Apprise script (`benchmarks/crash/script.py`) is what a careful person writes: a saved `since` that moves on only
  afterwards, a status document after each send, nothing sent again that has one, three tries. Slack goes through
  `slack://` (told where the stand-in is), mail through `mailto://`, Matrix through `matrix://` with a store on disk,
  Sphinx through `json://`. Apprise makes a new transaction id and a new Message-ID in each life of the script, so a
  person sees its repeats. It tells no reference: only its statuses could be compared.
- Alertmanager reads no database, so the killing of CouchDB does not touch it. Each message is posted to its API, as an
  alert that is a group of its own, until it has answered 200. A webhook for each channel stands for the other side; the
  one for Matrix is killed and started again as the homeserver is. Settings: `group_wait: 0s`, `repeat_interval: 24h`, no
  cluster. It holds alerts in memory, and writes down what it has notified every 15 minutes
  (`--data.maintenance-interval`) and when it is stopped in good order: a kill -9 takes both. Posted once, what it had
  not delivered by then is lost; posted again (here every 15 s, as Prometheus does for as long as an alert fires), what
  it had delivered comes again. It keeps no record of a single message, so nothing can be misreported. What it has of its
  own for mail and Slack was not used."""


def table(report: JsonObject) -> str:
    """The rows, a line for each sender and channel."""
    lines = [
        f"| sender | channel | {' | '.join(name for _, name in _COLUMNS)} |",
        f"| --- | --- |{' ---: |' * len(_COLUMNS)}",
    ]
    for sender in senders_of(report):
        for channel, figures in _object(sender["tallies"]).items():
            found = _object(figures)
            cells = " | ".join(_cells(found, has_handle=channel == "email" and found["not_admitted"] is not None))
            lines.append(f"| {sender['sender']} | {channel} | {cells} |")
    return "\n".join(lines)


def facts(report: JsonObject) -> str:
    """What happened in each run, a line for each, and who was left out."""
    lines = []
    for sender in senders_of(report):
        told = _object(sender["circumstances"])
        lines.append(
            f"- {sender['sender']}: {sender['messages']} messages, {sender['kills']} kills -9 in "
            f"{_rounded(sender['kill_seconds'])} s{_settled(sender)}; CouchDB restarted {sender['couchdb_restarts']} times, "
            f"the homeserver {sender['homeserver_restarts']}"
            f"{_found_dead(sender)}{_database_lost(sender)}. {_notes(sender)}{told['couchdb']}, {told['cores']} cores "
            f"({told['cpu']}), {told['memory_gib']} GiB, {told['system']}, Python {told['python']}, {told['at']}, "
            f"load before {told['load_before']}."
        )
    left_out = report.get("left_out")
    if isinstance(left_out, dict):
        lines += [f"- Left out, {name}: {why}." for name, why in left_out.items()]
    return "\n".join(lines)


def section(report: JsonObject) -> str:
    """All that stands between the markers."""
    return f"{_HOW}\n\n{table(report)}\n\n{facts(report)}\n\n{_COMPARED}\n"


def write_section(file: Path, report: JsonObject) -> None:
    """Put the table between its markers in `file`, which is made if it is not there. All else stays as it is."""
    text = file.read_text() if file.exists() else FRAME
    if BEGIN not in text:
        text = f"{text.rstrip()}\n\n## Crash table\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    file.write_text(f"{before}{BEGIN}\n{section(report)}{END}{after}")


def _cells(figures: JsonObject, *, has_handle: bool) -> Iterable[str]:
    """`has_handle`: whether there is something that a repeat can be told by and that does not keep it from being taken."""
    for key, _ in _COLUMNS:
        shown = None if key == "came_again" and not has_handle else figures[key]
        yield "–" if shown is None else str(shown)


def _settled(sender: JsonObject) -> str:
    if sender["kind"] == "alertmanager":
        return ""
    if not sender["all_final"]:
        return ", **not all final in the end**"
    calm = sender["calm_seconds"]
    return f", all final {_rounded(calm)} s after the last kill" if calm else ", all final before the last kill"


def _found_dead(sender: JsonObject) -> str:
    return f"; **found dead {sender['ended_by_itself']} times**" if sender["ended_by_itself"] else ""


def _database_lost(sender: JsonObject) -> str:
    return f"; **CouchDB lost {sender['database_lost']} messages it had taken**" if sender["database_lost"] else ""


def _notes(sender: JsonObject) -> str:
    notes = sender["notes"]
    return "".join(f"{note}. " for note in notes) if isinstance(notes, list) else ""


def senders_of(report: JsonObject) -> list[JsonObject]:
    """What a report has of each sender."""
    senders = report["senders"]
    return [each for each in senders if isinstance(each, dict)] if isinstance(senders, list) else []


def _object(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _rounded(value: JsonValue) -> str:
    return f"{value:.0f}" if isinstance(value, int | float) else str(value)
