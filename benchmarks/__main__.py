"""`python -m benchmarks`: measures, writes the figures as JSON, and puts the table into RESULTS.md."""

import asyncio
import importlib
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from benchmarks.couchdb import couch_server
from benchmarks.environment import EnvironmentProblem, bench_python
from benchmarks.figure import Result
from benchmarks.machine import describe
from benchmarks.processes import CHECKOUT, BenchError
from benchmarks.stage import Stage
from benchmarks.table import NAMES, write_table
from router.couch.errors import CouchError
from router.demo.pouchdb import StartError
from router.demo.pouchdb_environment import InstallError

RUNS: Final = 3
RESULTS: Final = CHECKOUT / "benchmarks" / "results"
PLOT_TIMEOUT_SECONDS: Final = 120.0

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def bench(
    only: Annotated[list[str] | None, typer.Option(help=f"One of {', '.join(NAMES)}; may be given again.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Small and once: to see that everything works.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Also what takes long: see the benchmark's own file.")] = False,
    runs: Annotated[int | None, typer.Option(min=1, help=f"Runs that the medians are of; {RUNS} by default.")] = None,
    couchdb: Annotated[
        str | None,
        typer.Option(envvar="ROUTER_BENCH_COUCHDB_URL", help="http://admin:password@host:port; else PouchDB Server."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the JSON and the plots.")] = RESULTS,
) -> None:
    """Measure the router against its floors."""
    names = only or list(NAMES)
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        raise typer.BadParameter(f"there is no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}")
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    try:
        failed = asyncio.run(_measure(names, runs or (1 if quick else RUNS), quick, full, couchdb, out))
    except (BenchError, CouchError, EnvironmentProblem, InstallError, StartError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from None
    if failed:
        typer.echo(f"error: no figures of {', '.join(failed)}: see above", err=True)
        raise typer.Exit(1)


async def _measure(names: list[str], runs: int, quick: bool, full: bool, couchdb: str | None, out: Path) -> list[str]:
    """Measure each, and give the names of those that could not be measured; the others are not kept from it."""
    folder = Path(tempfile.mkdtemp(prefix="router-bench-"))
    python = await bench_python(typer.echo)
    failed: list[str] = []
    is_done = False
    try:
        async with couch_server(couchdb) as server:
            stage = Stage(server, folder, runs, quick, full, typer.echo)
            for name in names:
                measure: Callable[[Stage], Awaitable[Result]] = importlib.import_module(f"benchmarks.{name}").measure
                machine = describe(server.version)
                try:
                    result = await measure(stage)
                except (BenchError, CouchError) as error:
                    typer.echo(f"error: {error}", err=True)
                    failed.append(name)
                    continue
                at = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
                _save(result, out, {**machine, "runs": runs, "quick": quick, "at": at})
                _show(result)
        is_done = not failed
    finally:
        if is_done:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        else:
            typer.echo(f"what the processes logged is in {folder}", err=True)
    await _plot(python, out)
    table = write_table(out)
    typer.echo(f"{table} is up to date; the figures are in {out}")
    return failed


def _save(result: Result, out: Path, circumstances: dict[str, object]) -> None:
    document = {**result.to_document(), "circumstances": circumstances}
    (out / f"{result.name}.json").write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


def _show(result: Result) -> None:
    for figure in result.figures:
        reached = "reached" if figure.is_reached else "NOT reached"
        typer.echo(
            f"  {figure.what}: {figure.router}, floor {figure.floor}: "
            f"{figure.measure:.2f}{figure.unit} ({figure.to_reach}: {reached})"
        )
    for what, said in result.beside:
        typer.echo(f"  {what}: {said}")


async def _plot(python: Path, out: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        str(python), "-m", "benchmarks.plots", str(out), cwd=CHECKOUT, env={"PATH": os.environ["PATH"]}
    )
    async with asyncio.timeout(PLOT_TIMEOUT_SECONDS):
        if await process.wait() != 0:
            raise BenchError("the plots could not be made; see above")


if __name__ == "__main__":
    app()
