"""The lease: of all routers on one database, the one that holds it is active, and the others stand by."""

import asyncio
import secrets
import socket
import time
from collections.abc import Callable
from typing import Final

import structlog

from router.couch.backoff import Backoff
from router.couch.errors import Conflict, CouchError, Unreachable
from router.couch.holder import Process, has_ended, this_process
from router.couch.lease_store import LEASE_ID, Documents, LeaseStore
from router.couch.patience import Complaint
from router.couch.tenure import Standing, Term, Watch
from router.documents.timestamps import to_text, utc_now
from router.settings import LeaseSettings

log = structlog.stdlib.get_logger("router.lease")

LOOK_SHARE: Final = 1 / 20
"""How long whoever stands by waits between two looks at the lease, as a part of the lease."""
AGAIN_SHARE: Final = 1 / 50
"""How long the holder waits before it tries again to renew the lease, as a part of the lease."""
RELEASE_TIMEOUT_SECONDS: Final = 1.0
"""How long giving the lease back may take. Without it, whoever waits has to wait a little longer."""
_CLOCK: Final[int] = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def lease_clock() -> float:
    """Seconds since some moment, counted also while the machine is suspended where the system has such a clock (Linux). A
    virtual machine that its host pauses counts neither this one nor `time.monotonic`: see the README."""
    return time.clock_gettime(_CLOCK)


class LeaseTaken(Exception):
    """The lease document names another holder; the text says whom."""


class Lease:
    """One router's part in who is the active one. `acquire`, `keep` and `release` are for one task at a time.

    As good as the database is one: it is CouchDB that lets only one writer replace a revision. A cluster that is torn in two,
    and databases that are replicated to each other, have one active router in each part.
    """

    def __init__(
        self,
        database: Documents,
        settings: LeaseSettings,
        away: Complaint,
        *,
        process: Process | None = None,
        clock: Callable[[], float] = lease_clock,
    ) -> None:
        """`away` speaks when CouchDB cannot be reached. `process` is this one unless a test says otherwise."""
        self._duration_seconds = settings.duration_seconds
        self._away = away
        self._complaint = Complaint("the lease")
        self._clock = clock
        self._process = process or this_process()
        host, pid = (self._process.host, self._process.pid) if self._process else (socket.gethostname(), 0)
        self.name = f"{host}:{pid}:{secrets.token_hex(6)}"
        """What the document calls us: no other router, not even one in this process, has this name."""
        self._store = LeaseStore(database, self.name, self._process, self._duration_seconds)
        self._acquired_at = ""
        self._turn = 0
        self._term: Term | None = None
        self._rev: str | None = None
        self._is_unanswered = False

    # --- what the engine asks

    def may_send(self) -> bool:
        """Whether another attempt may begin now. Costs next to nothing; once it says no, it does so until `acquire` returns
        again. Right also in a process that was stopped for a while and goes on before `keep` has noticed."""
        return self._term is not None and self._clock() < self._term.stop_at

    @property
    def seconds_left(self) -> float:
        """For how long what is in flight may go on; 0 when the lease is lost for good."""
        return 0.0 if self._term is None else max(0.0, self._term.over_at - self._clock())

    # --- standing by

    async def acquire(self, on_standby: Callable[[], None] = lambda: None) -> None:
        """Wait until the lease is ours. Waits through whatever is the matter with CouchDB, and says so. `on_standby` is called
        when there is another router to wait for."""
        watch = Watch(self.name, self._duration_seconds)
        self._term = None
        told: str | None = None
        backoff = Backoff(self._duration_seconds * LOOK_SHARE, self._duration_seconds)
        while True:
            pause_seconds = self._duration_seconds * LOOK_SHARE
            try:
                asked_at = self._clock()
                standing = await self._store.read_all()
                wait_seconds = watch.wait_seconds(
                    standing, asked_at, self._clock(), has_ended=has_ended(standing.process, self._process)
                )
                if wait_seconds <= 0:
                    await self._take(standing)
                    self._is_well()
                    return
                if standing.holder != told:
                    told = standing.holder
                    on_standby()
                    log.info(
                        "standing by: another router is active",
                        holder=standing.holder,
                        since=standing.acquired_at,
                        takes_over_after_seconds=standing.duration_seconds,
                    )
                pause_seconds = min(pause_seconds, wait_seconds)
            except Conflict:
                watch.lost_race()
            except CouchError as error:
                self._trouble(error)
                if not isinstance(error, Unreachable):
                    pause_seconds = backoff.next_seconds()  # Wrong logins, for one, lock the account.
            else:
                self._is_well()
                backoff.reset()
            await asyncio.sleep(pause_seconds)

    async def _take(self, standing: Standing) -> None:
        self._acquired_at, self._turn = to_text(utc_now()), standing.turn + 1
        self._term = await self._write(standing.rev)
        log.info(
            "this router is the active one now",
            lease=LEASE_ID,
            holder=self.name,
            taken_from=standing.holder if standing.holder != self.name and not standing.released else None,
        )

    # --- holding it

    async def keep(self) -> str:
        """Renew the lease until it is lost: taken by another, or not renewed in time. Gives the reason, in half a sentence;
        from then on `may_send` says no, and `seconds_left` how long what is in flight may take. Raises RuntimeError when
        the lease is not held."""
        while True:
            if (term := self._term) is None:
                raise RuntimeError("the lease is not held")
            await asyncio.sleep(max(0.0, term.renew_at - self._clock()))
            try:
                renewed = await self._renew_within(term)
            except LeaseTaken as taken:
                self._term = self._rev = None
                return str(taken)
            if isinstance(renewed, str):
                return renewed
            self._term = renewed

    async def _renew_within(self, term: Term) -> Term | str:
        """Try to renew the lease while `term` lasts; the next one, or why there is none. Raises LeaseTaken."""
        why = "it could not be renewed in time; the machine is overloaded, or this process was stopped for a while"
        while (left_seconds := term.stop_at - self._clock()) > 0:
            try:
                async with asyncio.timeout(left_seconds):
                    renewed = await self._renew()
            except TimeoutError:
                pass  # By now it should be too late.
            except CouchError as error:
                self._trouble(error)
                why = str(error)
            else:
                self._is_well()
                # Too late is too late: see `Term`. Nor must whoever was told that nothing may be sent be told otherwise.
                return renewed if self._clock() < term.stop_at else why
            await asyncio.sleep(self._duration_seconds * AGAIN_SHARE)
        return why

    async def _renew(self) -> Term:
        """Show that we live, and see that the lease is ours still. Raises LeaseTaken, and any CouchError."""
        term = Term(self._clock(), self._duration_seconds)
        await self._store.beat(self._turn)
        standing = await self._store.read()
        if standing.rev is not None and standing.rev == self._rev:
            return term
        # None at all: deleted, or the whole database made anew. Whoever was faster than us has its name there by now. Our
        # name at a revision that we do not know: a write whose answer was lost.
        if standing.rev is not None and standing.holder != self.name:
            raise LeaseTaken(f"{standing.holder or 'somebody'} wrote the document {LEASE_ID}")
        return await self._write(standing.rev)

    # --- giving it back

    async def release(self) -> None:
        """Let another router take over at once. For when nothing is sent any more; harmless when the lease is not ours."""
        rev, self._rev, self._term = self._rev, None, None
        if rev is None and not self._is_unanswered:
            return
        try:
            async with asyncio.timeout(RELEASE_TIMEOUT_SECONDS):
                await self._give_back(rev)
        except (CouchError, TimeoutError) as error:
            log.warning(
                "the lease could not be given back; another router takes over when it has run out",
                seconds=self._duration_seconds,
                reason=str(error) or f"no answer within {RELEASE_TIMEOUT_SECONDS:g} s",
            )
        finally:
            self._rev, self._is_unanswered = None, False

    async def _give_back(self, rev: str | None) -> None:
        """Write over `rev`, or over what another write of ours, cut short on our side, has made of it since."""
        while True:
            if rev is None or self._is_unanswered:
                standing = await self._store.read()
                if standing.holder != self.name or standing.released:
                    return
                rev = standing.rev
            try:
                await self._write(rev, released=True)
            except Conflict:
                rev = None
            else:
                return

    # --- writing, and what is the matter

    async def _write(self, rev: str | None, *, released: bool = False) -> Term:
        """Write over `rev`, and remember what became of it. Raises Conflict, and any CouchError."""
        term = Term(self._clock(), self._duration_seconds)
        self._is_unanswered = True
        try:
            self._rev = await self._store.write(rev, self._turn, self._acquired_at, released=released)
        except Conflict:
            self._is_unanswered = False
            raise
        self._is_unanswered = False
        return term

    def _trouble(self, error: CouchError) -> None:
        (self._away if isinstance(error, Unreachable) else self._complaint).trouble(str(error))

    def _is_well(self) -> None:
        self._away.over()
        self._complaint.over()
