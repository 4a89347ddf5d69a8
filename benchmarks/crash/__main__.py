"""Makes the crash table: `python -m benchmarks.crash [--quick] [--only router|script|alertmanager]`."""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson

from benchmarks import machine
from benchmarks.crash import alertmanager, router_run, script_run
from benchmarks.crash.couch import VARIABLE, CouchError, couchdb
from benchmarks.crash.plan import Plan
from benchmarks.crash.report import facts, senders_of, table, write_section
from benchmarks.crash.siege import Result, Say, broken_promises
from benchmarks.crash.world import CHECKOUT, world
from benchmarks.environment import EnvironmentProblem, bench_python
from router.commands.output import complain
from router.demo.child import DemoError
from router.demo.pouchdb import StartError
from router.demo.pouchdb_environment import InstallError
from router.demo.synapse import Synapse
from router.demo.synapse_environment import SynapseError
from router.documents.json_types import JsonObject, JsonValue

RESULTS: Final = CHECKOUT / "benchmarks" / "RESULTS.md"
OUT: Final = CHECKOUT / "benchmarks" / "results" / "crash-table.json"
QUICK_OUT: Final = CHECKOUT / ".local" / "crash-table-quick.json"
SENDERS: Final = ("router", "script", "alertmanager")
PROBLEMS: Final = (CouchError, DemoError, InstallError, StartError, SynapseError)
"""What a user can do something about."""


async def crash(options: argparse.Namespace, say: Say) -> tuple[JsonObject, list[str]]:
    """Run what `options` ask for; the report, and each promise of the router's that did not hold."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    wanted = (options.only,) if options.only else SENDERS
    senders: list[JsonObject] = []
    left_out: dict[str, JsonValue] = {}
    broken: list[str] = []
    for kind in wanted:
        say(f"--- {kind}")
        circumstances = _circumstances()
        try:
            for result, couch_name in await _run(kind, options, say):
                told: JsonObject = {**circumstances, "couchdb": couch_name}
                senders.append({"kind": kind, **result.to_json(), "circumstances": told})
                broken += broken_promises(result) if kind == "router" else []
        except (alertmanager.AlertmanagerProblem, EnvironmentProblem) as problem:
            left_out[kind] = str(problem)
            say(f"left out: {problem}")
    return {"senders": [*senders], "left_out": left_out}, broken


async def _run(kind: str, options: argparse.Namespace, say: Say) -> list[tuple[Result, str]]:
    """One kind of sender's results, and which CouchDB they were made on."""
    plan = plan_of(kind, options)
    if kind == "alertmanager":
        program = await alertmanager.find_alertmanager(say)
        found = []
        for post_again in (False, True):
            with _scratch(say) as scratch:
                result = await alertmanager.run_alertmanager(plan, scratch.folder, program, say, post_again=post_again)
                scratch.is_wanted = False
            found.append((result, "no CouchDB"))
        return found
    if kind == "script":
        await bench_python(say)
    with _scratch(say) as scratch:
        folder = scratch.folder
        async with (
            couchdb(folder, options.couchdb, options.couchdb_command) as couch,
            Synapse(folder / "synapse", on_progress=say) as synapse,
            world(plan, folder, couch, synapse) as fresh,
        ):
            say(f"{plan.messages} messages on {couch.name}")
            run = script_run.run_script if kind == "script" else router_run.run_router
            result = await run(fresh, say)
        scratch.is_wanted = kind == "router" and bool(broken_promises(result))
        return [(result, couch.name)]


def plan_of(kind: str, options: argparse.Namespace) -> Plan:
    """How many messages a sender gets, and over how long. The others get a part: they are slower, or it makes no difference."""
    messages: int = options.messages or (300 if options.quick else 5000)
    every: float = options.kill_every_seconds
    if kind == "script":
        messages = max(1, messages // 20)
        return Plan(messages, groups=10, feed_seconds=messages / 10, kill_every_seconds=every)
    if kind == "alertmanager":
        messages = max(1, messages * 2 // 5)
    return Plan(messages, groups=8 if options.quick else 40, feed_seconds=messages / 50, kill_every_seconds=every)


@dataclass(slots=True)
class _Scratch:
    """Where a run keeps its logs and data."""

    folder: Path
    is_wanted: bool = False
    """Whether somebody will want to look at it afterwards."""


@contextmanager
def _scratch(say: Say) -> Iterator[_Scratch]:
    """A folder that goes in the end, unless something went wrong."""
    scratch = _Scratch(Path(tempfile.mkdtemp(prefix="router-crash-")), is_wanted=True)
    try:
        yield scratch
    finally:
        if scratch.is_wanted:
            say(f"logs and data stay in {scratch.folder}")
        else:
            shutil.rmtree(scratch.folder, ignore_errors=True)


def _circumstances() -> JsonObject:
    """The machine as it is before a run, and the time."""
    described: JsonObject = orjson.loads(orjson.dumps(machine.describe("")))
    return {**described, "at": datetime.now(UTC).isoformat(timespec="seconds")}


def merged(earlier: JsonObject, new: JsonObject, only: str) -> JsonObject:
    """`earlier` with what `new` has of the one kind of sender that was run again."""
    kept = [sender for sender in senders_of(earlier) if sender.get("kind") != only]
    senders = sorted([*kept, *senders_of(new)], key=lambda sender: SENDERS.index(str(sender["kind"])))
    before, after = earlier.get("left_out"), new.get("left_out")
    left_out = {name: why for name, why in before.items() if name != only} if isinstance(before, dict) else {}
    return {"senders": [*senders], "left_out": left_out | (after if isinstance(after, dict) else {})}


def problems_in(error: BaseException) -> list[str] | None:
    """The sentences of an error that a user can do something about; None when there is another among it."""
    if isinstance(error, BaseExceptionGroup):
        found = [problems_in(each) for each in error.exceptions]
        known = [sentences for sentences in found if sentences is not None]
        return [sentence for sentences in known for sentence in sentences] if len(known) == len(found) else None
    return [str(error)] if isinstance(error, PROBLEMS) else None


def arguments() -> argparse.ArgumentParser:
    """The options of the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.crash", description=__doc__)
    parser.add_argument(
        "--messages", type=int, help="for the router (5000; --quick 300); the others get a part of them"
    )
    parser.add_argument("--kill-every-seconds", type=float, default=2)
    named = os.environ.get(VARIABLE)
    parser.add_argument("--couchdb", default=named, metavar="URL", help=f"else {VARIABLE}; else PouchDB Server")
    parser.add_argument("--couchdb-command", metavar="COMMAND", help="starts the CouchDB at URL, to have it killed -9")
    parser.add_argument("--quick", action="store_true", help="a small run that leaves RESULTS.md alone")
    parser.add_argument("--only", choices=SENDERS)
    parser.add_argument("--out", type=Path, help=f"JSON; {OUT.relative_to(CHECKOUT)} unless --quick")
    return parser


def main() -> int:
    """Run, print, write; the exit code: 1 when a promise did not hold or the table could not be made."""
    options = arguments().parse_args()
    began = time.monotonic()

    def say(text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:6.1f} s  {text}\n")
        sys.stderr.flush()

    try:
        report, broken = asyncio.run(crash(options, say))
    except (KeyboardInterrupt, asyncio.CancelledError):
        complain("stopped before the table was made; nothing was written")
        return 1
    except Exception as error:
        sentences = problems_in(error)
        if sentences is None:
            raise
        for sentence in sentences:
            complain(sentence)
        return 1
    sys.stdout.write(f"\n{table(report)}\n\n{facts(report)}\n")
    out: Path = options.out or (QUICK_OUT if options.quick else OUT)
    if options.only and out.exists():
        report = merged(orjson.loads(out.read_bytes()), report, options.only)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(orjson.dumps(report, option=orjson.OPT_INDENT_2) + b"\n")
    say(f"written: {out}")
    if not options.quick and out == OUT:
        write_section(RESULTS, report)
        say(f"written: {RESULTS}")
    for sentence in broken:
        complain(f"a promise of the router's did not hold: {sentence}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
