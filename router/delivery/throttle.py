"""Pure: how long a target, a host and the whole of a channel must wait: by rates, by what was asked of us, by breakers."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random

from router.channels.base import Outcome, Retry, Scope, Sent, Uncertain, Waiting
from router.delivery.breaker import Breaker, State
from router.delivery.bucket import TokenBucket
from router.delivery.line import WaitingLine
from router.delivery.pace import Pace
from router.recent import Recent
from router.settings import ChannelSettings

FORGET_PAST = 1000
"""How many targets' rates are kept before the idle ones are swept out."""

REMEMBERED_TARGETS = 10_000
"""Of so many targets it is known when they were last sent something."""

SLOW_SECONDS = 1.0
"""An attempt that takes longer is slow: what is queued behind it waits elsewhere."""
SLOW_PAUSE_SECONDS = 5.0
"""How long it waits there at first; twice as long after each further slow attempt."""
LONGEST_SLOW_PAUSE_SECONDS = 300.0
SLOW_PAUSE_SHARE = 2.0
"""But no longer than so many times what the last one took: a target that is slow by nature is not starved."""

QUIET_SECONDS = 10.0
"""A target that was sent nothing for so long, and is refused as too fast, was not too fast itself: the whole channel was."""
WIDE_TARGETS = 3
"""Of so many targets that must be said within QUIET_SECONDS: each may have other senders than us."""
WIDE_SECONDS = 600.0
"""For so long after such a refusal, refusals of single targets are taken to speak of the whole channel."""


class Throttle:
    """The limits of one channel. Time is handed in, in seconds of any steady clock, or as a moment where documents show it."""

    def __init__(self, settings: ChannelSettings, random: Random) -> None:
        self._settings = settings
        self._random = random
        rate = settings.rate_per_second
        self._bucket = None if rate is None else TokenBucket(rate, settings.burst, 0.0)
        self._pace = Pace()
        self._buckets: dict[str, TokenBucket] = {}
        self._paces: dict[str, Pace] = {}
        self._breakers: dict[str, Breaker] = {}
        self._lines: dict[tuple[str, bool], WaitingLine] = {}
        self._under_way: dict[str, float] = {}
        self._last_begun = Recent(REMEMBERED_TARGETS, QUIET_SECONDS)
        self._was_quiet = Recent(REMEMBERED_TARGETS)
        """The targets that were sent nothing for a while before their last attempt."""
        self._refused_though_quiet = Recent(WIDE_TARGETS, QUIET_SECONDS)
        self._wide_until = float("-inf")
        self._slow_streak: dict[str, tuple[int, float]] = {}
        """How many slow attempts there were in a row, and how long the last one took."""

    # --- may it leave now

    def target_seconds(self, target: str, now: float) -> float:
        """How long the target must wait now by its own rate and pauses; 0 when it need not."""
        bucket, pace = self._buckets.get(target), self._paces.get(target)
        return max(bucket.wait_seconds(now) if bucket else 0.0, pace.wait_seconds(now) if pace else 0.0)

    def host_seconds(self, host: str, now: float) -> float:
        """How long everything for a host must wait now because its breaker is open; 0 when it need not."""
        breaker = self._breakers.get(host)
        return 0.0 if breaker is None else breaker.wait_seconds(now)

    def channel_seconds(self, now: float) -> float:
        """How long the whole channel must wait now by its rate and pauses; 0 when it need not."""
        return max(self._pace.wait_seconds(now), self._bucket.wait_seconds(now) if self._bucket else 0.0)

    def are_all_down(self, hosts: Iterable[str]) -> bool:
        """Whether the breaker of each of these hosts is open or tries whether it may close; False for no hosts."""
        states = [self.breaker_state(host) for host in hosts]
        return bool(states) and "closed" not in states

    def breaker_state(self, host: str) -> State:
        """The state of a host's breaker."""
        breaker = self._breakers.get(host)
        return "closed" if breaker is None else breaker.state

    def queue_seconds(self, queued: int) -> float:
        """How long so many messages of one target take to leave, by its rate."""
        rate = self._settings.target_rate_per_second
        return 0.0 if rate is None else max(0, queued - self._settings.target_burst) / rate

    # --- attempts

    def begin(self, target: str, host: str, now: float) -> None:
        """An attempt for the target begins."""
        self._under_way[target] = now
        if self._last_begun.has(target, now):
            self._was_quiet.discard(target)
        else:
            self._was_quiet.add(target)
        self._last_begun.add(target, now)
        self._pace.begin(now)
        if self._bucket is not None:
            self._bucket.take(now)
        if (pace := self._paces.get(target)) is not None:
            pace.begin(now)
        if (breaker := self._breakers.get(host)) is not None:
            breaker.begin(now)
        if self._settings.target_rate_per_second is not None:
            self._bucket_of(target, self._settings.target_rate_per_second, now).take(now)

    def _bucket_of(self, target: str, rate: float, now: float) -> TokenBucket:
        if target not in self._buckets:
            if len(self._buckets) >= FORGET_PAST:
                self._buckets = {t: bucket for t, bucket in self._buckets.items() if not bucket.is_full(now)}
            self._buckets[target] = TokenBucket(rate, self._settings.target_burst, now)
        return self._buckets[target]

    def end(self, target: str, now: float) -> float:
        """The attempt has ended; how many seconds it took."""
        took = now - self._under_way.pop(target)
        if took < SLOW_SECONDS:
            self._slow_streak.pop(target, None)
        else:
            self._slow_streak[target] = self._slow_streak.get(target, (0, 0.0))[0] + 1, took
        return took

    def learn(self, target: str, host: str, outcome: Outcome | None, begun: float, now: float) -> float | None:
        """Take from the outcome of an attempt that began at `begun` what it says about rates and the host; None for one
        that was cut off. For how many seconds that opened the host's breaker, if it did, be it again."""
        breaker = self._breakers.get(host)
        if outcome is None:
            if breaker is not None:
                breaker.released(begun)
            return None
        if isinstance(outcome, Uncertain) or (isinstance(outcome, Retry) and outcome.host_is_down):
            return self._breaker_of(host).failed(now, begun)
        if breaker is not None:
            breaker.succeeded(begun)
        if isinstance(outcome, Sent | Waiting):
            self._pace.accepted(now, begun)
            if (pace := self._paces.get(target)) is not None:
                pace.accepted(now, begun)
        return None

    def _breaker_of(self, host: str) -> Breaker:
        if host not in self._breakers:
            settings = self._settings.breaker
            self._breakers[host] = Breaker(
                failures_to_open=settings.failures,
                base_seconds=settings.base_seconds,
                longest_seconds=settings.max_seconds,
                random=self._random,
            )
        return self._breakers[host]

    def pause(self, target: str, outcome: Retry, begun: float, now: float) -> float:
        """The other side asked the attempt that began at `begun` to slow down: the target, or the whole channel, pauses for
        so many seconds, and goes on at the rate that this teaches."""
        asked = self._settings.retry.base_seconds if outcome.after_seconds is None else outcome.after_seconds
        if outcome.pauses is Scope.TARGET and not self._is_wide(target, now):
            if target not in self._paces:
                if len(self._paces) >= FORGET_PAST:
                    self._paces = {t: pace for t, pace in self._paces.items() if not pace.is_idle(now)}
                self._paces[target] = Pace()
                self._paces[target].begin(begun)
            self._paces[target].refused(now, begun, asked)
        else:
            self._pace.refused(now, begun, asked)
        return asked

    def _is_wide(self, target: str, now: float) -> bool:
        """Whether a refusal that speaks of a target speaks of the whole channel: where many targets share a limit, the other
        side names the one that happened to be next."""
        if self._was_quiet.has(target):
            self._refused_though_quiet.add(target, now)
            if self._refused_though_quiet.count(now) >= WIDE_TARGETS:
                self._wide_until = now + WIDE_SECONDS
        return now < self._wide_until

    # --- targets that are slow, and what waits in CouchDB

    @property
    def under_way(self) -> list[str]:
        """The targets for which an attempt is under way."""
        return list(self._under_way)

    def is_under_way(self, target: str) -> bool:
        """Whether an attempt for the target is under way."""
        return target in self._under_way

    def slow_seconds(self, target: str, now: float) -> float:
        """For how long what is queued behind a slow attempt had better wait elsewhere; 0 where none is slow now. The longer,
        the more slow ones there were in a row."""
        since = self._under_way.get(target)
        if since is None or now - since < SLOW_SECONDS:
            return 0.0
        if target not in self._slow_streak:
            return SLOW_PAUSE_SECONDS
        count, took = self._slow_streak[target]
        return min(SLOW_PAUSE_SECONDS * 2.0 ** min(count, 10), LONGEST_SLOW_PAUSE_SECONDS, SLOW_PAUSE_SHARE * took)

    def append(self, target: str, earliest: datetime, *, is_critical: bool) -> datetime:
        """When a new delivery that must wait in CouchDB is due: behind those of its target that wait there already, at the
        target's rate, so that they are read back in their order and no faster than they can leave. Critical ones wait only
        for each other."""
        return self._line(target, is_critical).append(earliest)

    def move(self, target: str, came: datetime, earliest: datetime, *, is_critical: bool) -> datetime:
        """When one that has waited already is due. See WaitingLine."""
        return self._line(target, is_critical).move(came, earliest)

    def has_line(self, target: str, now: datetime, *, is_critical: bool) -> bool:
        """Whether deliveries of the target wait in CouchDB that a new one must not pass."""
        line = self._lines.get((target, is_critical))
        if line is not None and line.is_over(now):
            del self._lines[target, is_critical]
            return False
        return line is not None

    def is_behind(self, target: str, came: datetime, due: datetime, *, is_critical: bool) -> bool:
        """Whether a delivery that stands in the target's line would pass one that had to be moved."""
        line = self._lines.get((target, is_critical))
        return line is not None and line.is_behind(came, due)

    def _line(self, target: str, is_critical: bool) -> WaitingLine:
        key = target, is_critical
        if key not in self._lines:
            rate = self._settings.target_rate_per_second
            # A millisecond is the least that a document can show.
            self._lines[key] = WaitingLine(timedelta(seconds=max(0.001, 0.0 if rate is None else 1 / rate)))
        return self._lines[key]
