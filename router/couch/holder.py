"""Who holds the lease: a process, and how another one on the same machine can tell that it has ended."""

import os
import socket
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Self

from router.documents.json_types import JsonObject, JsonValue

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """One process, named so that no other is taken for it.

    Process ids are reused, and mean something only inside their PID namespace of one boot of one kernel: a container has
    a namespace of its own. See proc(5), `/proc/sys/kernel/random/boot_id` and `/proc/pid/stat`, and pid_namespaces(7).
    """

    host: str
    boot_id: str
    pid_namespace: str
    """`pid:[4026531836]`: the inode number that names it."""
    pid: int
    started: int
    """In clock ticks since the boot."""

    def to_document(self) -> JsonObject:
        """What the lease document says of it."""
        return asdict(self)

    @classmethod
    def from_document(cls, value: JsonValue) -> Self | None:
        """The process that a lease document names; None when it names none."""
        if not isinstance(value, dict):
            return None
        known = {field.name: value.get(field.name) for field in fields(cls)}
        if any(type(known[field.name]) is not field.type for field in fields(cls)):
            return None
        found = cls(**known)  # type: ignore[arg-type]  # compared with the fields' types just now
        return found if found.pid > 0 else None


def this_process() -> Process | None:
    """The process that runs this; None where the system does not tell (Linux does, through `/proc`)."""
    pid = os.getpid()
    state = _state_and_start(pid)
    try:
        if str((PROC / "self").readlink()) != str(pid):
            return None  # A `/proc` of another namespace, where our id is somebody else's.
        boot_id = (PROC / "sys/kernel/random/boot_id").read_text("ascii").strip()
        pid_namespace = str((PROC / "self/ns/pid").readlink())
    except OSError:
        return None
    return None if state is None else Process(socket.gethostname(), boot_id, pid_namespace, pid, state[1])


def has_ended(process: Process | None, here: Process | None) -> bool:
    """Whether `process` runs no more, as far as can be told from `here`: False unless both live on one machine, since its last
    boot, in one PID namespace. A process that was killed and not yet buried by its parent has ended."""
    if process is None or here is None:
        return False
    if (process.host, process.boot_id, process.pid_namespace) != (here.host, here.boot_id, here.pid_namespace):
        return False
    try:
        # `/proc` alone does not tell: it may be mounted so that other users' processes are hidden (hidepid).
        os.kill(process.pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # Another user's. It runs.
    found = _state_and_start(process.pid)
    return found is not None and (found[0] in ("Z", "X") or found[1] != process.started)


def _state_and_start(pid: int) -> tuple[str, int] | None:
    """The third and the twenty-second field of `/proc/pid/stat`. The second is a name in brackets that may hold anything."""
    try:
        stat = (PROC / str(pid) / "stat").read_text("utf-8", "replace")
    except OSError:
        return None
    rest = stat.rpartition(")")[2].split()
    return rest[0], int(rest[19])
