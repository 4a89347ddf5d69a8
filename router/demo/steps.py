"""Shows the demo's steps as they go on: lines with a spinner on a terminal, plain lines where there is none."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

PIPED_WIDTH: Final = 120
"""Columns where there is no terminal that has a width of its own."""

Tell = Callable[[str], None]
"""Told in a few words what a step is doing, and in the end what came of it."""


def make_console() -> Console:
    """A console on standard output; without a terminal no colours, no cursor movements and a fixed width."""
    console = Console(highlight=False)
    return console if is_lively(console) else Console(highlight=False, width=PIPED_WIDTH, no_color=True)


def is_lively(console: Console) -> bool:
    """Whether lines can be changed after they are written."""
    return console.is_terminal and not console.is_dumb_terminal


class Steps:
    """A number of steps, some side by side: `with Steps(console) as steps, steps.step("Synapse") as tell: …`."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress: Progress | None = None
        if is_lively(console):
            self._progress = Progress(
                SpinnerColumn(finished_text="[green]✓[/]"),
                TextColumn("{task.description}", markup=False),
                TextColumn("{task.fields[detail]}", style="dim", markup=False),
                TimeElapsedColumn(),
                console=console,
            )

    def __enter__(self) -> Self:
        if self._progress is not None:
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    @contextmanager
    def step(self, name: str) -> Iterator[Tell]:
        """One step, done when the block ends; what was told last stays beside its name."""
        progress = self._progress
        if progress is None:
            yield from self._plain_step(name)
            return
        task = progress.add_task(name, total=1, detail="")
        yield lambda detail: progress.update(task, detail=detail)
        progress.update(task, completed=1)

    def _plain_step(self, name: str) -> Iterator[Tell]:
        began = monotonic()
        told = ""

        def tell(detail: str) -> None:
            nonlocal told
            told = detail
            self._console.print(Text(f"  {name}: {detail}"), soft_wrap=True)

        yield tell
        self._console.print(Text(f"✓ {name} ({monotonic() - began:.1f} s)"), soft_wrap=True)
