"""The lease: of all routers on one database, the one that holds it is active, and the others stand by."""

import asyncio
import secrets
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

import structlog

from router.couch.backoff import Backoff
from router.couch.errors import Conflict, CouchError, Unreachable
from router.couch.holder import Process, has_ended, this_process
from router.couch.patience import Complaint
from router.couch.tenure import RENEWALS, Standing, Term, Watch, read_standing
from router.documents.json_types import JsonObject
from router.documents.timestamps import to_text, utc_now
from router.settings import LeaseSettings

T = TypeVar("T")

log = structlog.stdlib.get_logger("router.lease")

LEASE_ID: Final = "router:lease"
"""An ordinary document, unlike the checkpoint: CouchDB does not look at the revision that a `_local` document is written over
(measured with 3.5.2: a stale one wins), and here that is all that matters."""
REQUEST_SHARE: Final = 1 / RENEWALS
"""How long one request about the lease may take, as a part of the lease."""
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


class Documents(Protocol):
    """What a lease needs of a `Database`; both methods as there."""

    async def get(self, doc_id: str) -> JsonObject | None: ...  # noqa: D102
    async def put(self, doc: JsonObject) -> str: ...  # noqa: D102


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
        self._database = database
        self._duration_seconds = settings.duration_seconds
        self._away = away
        self._complaint = Complaint("the lease")
        self._clock = clock
        self._process = process or this_process()
        host, pid = (self._process.host, self._process.pid) if self._process else (socket.gethostname(), 0)
        self.name = f"{host}:{pid}:{secrets.token_hex(6)}"
        """What the document calls us: no other router, not even one in this process, has this name."""
        self._acquired_at = ""
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
                standing = await self._read(self._duration_seconds * REQUEST_SHARE)
                wait_seconds = watch.wait_seconds(
                    standing, self._clock(), has_ended=has_ended(standing.process, self._process)
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
        self._acquired_at = to_text(utc_now())
        self._term = await self._write(standing.rev, self._duration_seconds * REQUEST_SHARE)
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
        why = "this process was stopped for a while"
        while (left_seconds := term.stop_at - self._clock()) > 0:
            try:
                renewed = await self._within(left_seconds, self._renew(self._duration_seconds * REQUEST_SHARE))
            except CouchError as error:
                self._trouble(error)
                why = str(error)
            else:
                self._is_well()
                # Whoever was told that nothing may be sent any more must not be told otherwise.
                return renewed if self._clock() < term.stop_at else why
            await asyncio.sleep(self._duration_seconds * AGAIN_SHARE)
        return why

    async def _renew(self, timeout_seconds: float) -> Term:
        """Write over our own revision. A conflict may be our own doing: an earlier write whose answer was lost. Raises
        LeaseTaken, and any CouchError."""
        try:
            return await self._write(self._rev, timeout_seconds)
        except Conflict:
            standing = await self._read(timeout_seconds)
            # None at all: deleted, or the whole database made anew. Whoever was faster than us has its name there by now.
            if standing.rev is not None and standing.holder != self.name:
                raise LeaseTaken(f"{standing.holder or 'somebody'} wrote the document {LEASE_ID}") from None
            self._rev = standing.rev
            return await self._write(self._rev, timeout_seconds)

    # --- giving it back

    async def release(self) -> None:
        """Let another router take over at once. For when nothing is sent any more; harmless when the lease is not ours."""
        rev, self._rev, self._term = self._rev, None, None
        if rev is None and not self._is_unanswered:
            return
        try:
            async with asyncio.timeout(RELEASE_TIMEOUT_SECONDS):
                if self._is_unanswered:
                    standing = await self._read(RELEASE_TIMEOUT_SECONDS)
                    if standing.holder != self.name:
                        return
                    rev = standing.rev
                await self._write(rev, RELEASE_TIMEOUT_SECONDS, released=True)
        except Conflict:
            return  # Another router's by now.
        except (CouchError, TimeoutError) as error:
            log.warning(
                "the lease could not be given back; another router takes over when it has run out",
                seconds=self._duration_seconds,
                reason=str(error) or f"no answer within {RELEASE_TIMEOUT_SECONDS:g} s",
            )
        finally:
            self._rev, self._is_unanswered = None, False

    # --- the document

    async def _read(self, timeout_seconds: float) -> Standing:
        return read_standing(await self._within(timeout_seconds, self._database.get(LEASE_ID)))

    async def _write(self, rev: str | None, timeout_seconds: float, *, released: bool = False) -> Term:
        """Write the document over `rev`; None where there is none. Raises Conflict, and any CouchError."""
        term = Term(self._clock(), self._duration_seconds)
        document: JsonObject = {
            "_id": LEASE_ID,
            **({} if rev is None else {"_rev": rev}),
            "type": "lease",
            "holder": self.name,
            "process": self._process.to_document() if self._process else None,
            "acquired_at": self._acquired_at,
            "renewed_at": to_text(utc_now()),
            "duration_seconds": self._duration_seconds,
            "released": released,
        }
        self._is_unanswered = True
        try:
            self._rev = await self._within(timeout_seconds, self._database.put(document))
        except Conflict:
            self._is_unanswered = False
            raise
        self._is_unanswered = False
        return term

    async def _within(self, timeout_seconds: float, call: Awaitable[T]) -> T:
        """Raises Unreachable when there is no answer in time: shorter than other requests, which can wait."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await call
        except TimeoutError:
            raise Unreachable(
                f"CouchDB did not answer within {timeout_seconds:.3g} s about the document {LEASE_ID}: see that it runs, "
                "or set ROUTER_LEASE__DURATION_SECONDS to more"
            ) from None

    def _trouble(self, error: CouchError) -> None:
        (self._away if isinstance(error, Unreachable) else self._complaint).trouble(str(error))

    def _is_well(self) -> None:
        self._away.over()
        self._complaint.over()
