"""Whether the process that holds a lease still runs."""

import subprocess
import sys
from dataclasses import replace

from router.couch.holder import Process, has_ended, this_process
from router.couch.lease import lease_clock


def test_this_process_runs() -> None:
    here = this_process()
    assert here is not None
    assert Process.from_document(here.to_document()) == here
    assert not has_ended(here, here)


def test_a_process_that_was_killed_has_ended_buried_or_not() -> None:
    here = this_process()
    assert here is not None
    with subprocess.Popen(
        [sys.executable, "-c", "from router.couch.holder import *; print(this_process().started, flush=True); input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        other = replace(here, pid=child.pid, started=int(child.stdout.readline()))
        assert not has_ended(other, here)
        assert has_ended(replace(other, started=other.started - 1), here)  # The id is another's by now.
        for change in ({"host": "elsewhere"}, {"boot_id": "earlier"}, {"pid_namespace": "pid:[1]"}):
            assert not has_ended(replace(other, started=1, **change), here)  # type: ignore[arg-type]
        assert not has_ended(None, here)
        assert not has_ended(other, None)
        child.kill()
        deadline = lease_clock() + 10
        while not has_ended(other, here):
            assert lease_clock() < deadline
    assert has_ended(other, here)
