"""Pure: how long each target of a channel must wait, by its rate and by the pauses that were asked for."""

from datetime import datetime, timedelta

from router.channels.base import Retry, Scope
from router.delivery.bucket import TokenBucket
from router.settings import ChannelSettings

FORGET_PAST = 1000
"""How many targets' rates are kept before the idle ones are swept out."""

SLOW_SECONDS = 1.0
"""An attempt that takes longer is slow: what is queued behind it waits elsewhere."""
SLOW_PAUSE_SECONDS = 5.0
"""How long it waits there at first; twice as long after each further slow attempt."""
LONGEST_SLOW_PAUSE_SECONDS = 300.0


class Throttle:
    """The limits of one channel. Time is handed in, in seconds of any steady clock, or as a moment where documents show it."""

    def __init__(self, settings: ChannelSettings) -> None:
        self._settings = settings
        self._buckets: dict[str, TokenBucket] = {}
        self._targets: dict[str, float] = {}
        self._channel = 0.0
        self._last_due: dict[str, datetime] = {}
        self._under_way: dict[str, float] = {}
        self._slow_streak: dict[str, int] = {}

    def wait_seconds(self, target: str, now: float) -> float:
        """How long the target must wait now; 0 when it need not."""
        until = max(self._channel, self._targets.get(target, 0.0))
        if until <= now:
            self._targets.pop(target, None)
        bucket = self._buckets.get(target)
        return max(0.0, until - now, bucket.wait_seconds(now) if bucket else 0.0)

    def queue_seconds(self, queued: int) -> float:
        """How long so many messages of one target take to leave, by its rate."""
        rate = self._settings.target_rate_per_second
        return 0.0 if rate is None else max(0, queued - self._settings.target_burst) / rate

    def begin(self, target: str, now: float) -> None:
        """An attempt for the target begins."""
        self._under_way[target] = now
        rate = self._settings.target_rate_per_second
        if rate is None:
            return
        if target not in self._buckets:
            if len(self._buckets) >= FORGET_PAST:
                self._buckets = {t: bucket for t, bucket in self._buckets.items() if not bucket.is_full(now)}
            self._buckets[target] = TokenBucket(rate, self._settings.target_burst, now)
        self._buckets[target].take(now)

    def end(self, target: str, now: float) -> float:
        """The attempt has ended; how many seconds it took."""
        took = now - self._under_way.pop(target)
        if took < SLOW_SECONDS:
            self._slow_streak.pop(target, None)
        else:
            self._slow_streak[target] = self._slow_streak.get(target, 0) + 1
        return took

    @property
    def under_way(self) -> list[str]:
        """The targets for which an attempt is under way."""
        return list(self._under_way)

    def slow_seconds(self, target: str, now: float) -> float:
        """For how long what is queued behind a slow attempt had better wait elsewhere; 0 where none is slow now. The longer,
        the more slow ones there were in a row."""
        since = self._under_way.get(target)
        if since is None or now - since < SLOW_SECONDS:
            return 0.0
        return min(SLOW_PAUSE_SECONDS * 2.0 ** min(self._slow_streak.get(target, 0), 10), LONGEST_SLOW_PAUSE_SECONDS)

    def pause(self, target: str, outcome: Retry, now: float) -> float:
        """The other side asked to slow down: the target, or the whole channel, pauses for so many seconds."""
        asked = self._settings.retry.base_seconds if outcome.after_seconds is None else outcome.after_seconds
        if outcome.pauses is Scope.TARGET:
            self._targets[target] = max(self._targets.get(target, 0.0), now + asked)
        else:
            self._channel = max(self._channel, now + asked)
        return asked

    def due(self, target: str, earliest: datetime) -> datetime:
        """When a delivery that waits in CouchDB is due: behind those of its target that wait there already, at the target's
        rate, so that they are read back in their order and no faster than they can leave."""
        rate = self._settings.target_rate_per_second
        # A millisecond is the least that a document can show.
        step = (
            timedelta(milliseconds=1) if rate is None else max(timedelta(seconds=1 / rate), timedelta(milliseconds=1))
        )
        due = max(earliest, self._last_due.get(target, earliest)) + step
        self._last_due[target] = due
        return due

    def waits_elsewhere(self, target: str, now: datetime) -> bool:
        """Whether deliveries of the target wait in CouchDB that a new one must not pass."""
        last = self._last_due.get(target)
        if last is not None and last <= now:
            del self._last_due[target]
            return False
        return last is not None
