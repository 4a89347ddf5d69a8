"""Other sides that limit, each in its own way, and a lane's worth of senders against one of them, on a clock that is not real."""

import heapq
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Protocol

from router.delivery.pace import Pace


class Peer(Protocol):
    """Asked in the order of time."""

    def ask(self, now: float) -> float | None:
        """None when the send is accepted, else how many seconds until one may be."""
        ...

    def allowed(self, seconds: float) -> float:
        """How many it would accept at most in the first so many seconds."""
        ...


class Bucket:
    """A token bucket, whose rate may change: (from when on, tokens per second)."""

    def __init__(self, burst: int, *rates: tuple[float, float]) -> None:
        self._burst = burst
        self._rates = rates
        self._tokens = float(burst)
        self._at = 0.0

    def _poured(self, since: float, until: float) -> float:
        ends = [start for start, _ in self._rates[1:]] + [math.inf]
        pours = zip(self._rates, ends, strict=True)
        return sum(rate * max(0.0, min(end, until) - max(start, since)) for (start, rate), end in pours)

    def ask(self, now: float) -> float | None:
        self._tokens = min(self._burst, self._tokens + self._poured(self._at, now))
        self._at = now
        if self._tokens >= 1 - 1e-9:
            self._tokens -= 1
            return None
        rate = next(rate for start, rate in reversed(self._rates) if start <= now)
        return (1 - self._tokens) / rate

    def allowed(self, seconds: float) -> float:
        return self._burst + self._poured(0, seconds)


class FixedWindow:
    """So many in each window; the windows began before the first send did."""

    def __init__(self, sends: int, window_seconds: float, phase: float) -> None:
        self._sends = sends
        self._window_seconds = window_seconds
        self._offset = phase * window_seconds
        self._current = -1
        self._accepted = 0

    def ask(self, now: float) -> float | None:
        window = math.floor((now + self._offset) / self._window_seconds)
        if window != self._current:
            self._current, self._accepted = window, 0
        if self._accepted < self._sends:
            self._accepted += 1
            return None
        return (window + 1) * self._window_seconds - self._offset - now

    def allowed(self, seconds: float) -> float:
        return self._sends * (math.floor((seconds + self._offset) / self._window_seconds) + 1)


class SlidingWindow:
    """So many in any window whatever."""

    def __init__(self, sends: int, window_seconds: float) -> None:
        self._sends = sends
        self._window_seconds = window_seconds
        self._accepted: deque[float] = deque()

    def ask(self, now: float) -> float | None:
        while self._accepted and self._accepted[0] <= now - self._window_seconds:
            self._accepted.popleft()
        if len(self._accepted) < self._sends:
            self._accepted.append(now)
            return None
        return self._accepted[0] + self._window_seconds - now

    def allowed(self, seconds: float) -> float:
        return self._sends * math.ceil(seconds / self._window_seconds)


def whole_seconds(seconds: float) -> float:
    """`Retry-After` as most say it (RFC 9110, section 10.2.3)."""
    return float(math.ceil(seconds))


def milliseconds(seconds: float) -> float:
    """Matrix' `retry_after_ms`."""
    return math.ceil(seconds * 1000) / 1000


def nothing(seconds: float) -> float:
    """It says nothing; the lane takes its own pause."""
    return 2.0


@dataclass(frozen=True)
class Storm:
    """What came of it."""

    accepted: int
    refused: int
    allowed: float
    left_in_a_pause: int
    left_at: list[float]

    @property
    def share(self) -> float:
        """How much of what was allowed was used."""
        return self.accepted / self.allowed

    @property
    def wasted(self) -> float:
        """How many of the calls were refused."""
        return self.refused / (self.accepted + self.refused)


def storm(
    peer: Peer,
    says: Callable[[float], float],
    *,
    seconds: float = 60.0,
    seed: int = 1,
    senders: int = 8,
    latency_seconds: tuple[float, float] = (0.005, 0.02),
    way_seconds: tuple[float, float] = (0.0005, 0.0015),
    late_seconds: float = 0.001,
    pace: Pace | None = None,
) -> Storm:
    """`senders` side by side send without end. Each waits as long as the pace says, and wakes up to `late_seconds` later. A
    send is on its way for `way_seconds`, judged, and answered `latency_seconds` after it left."""
    random, pace = Random(seed), pace or Pace()  # noqa: S311
    events: list[tuple[float, int, Callable[[float], None]]] = []
    number = accepted = refused = left_in_a_pause = 0
    pause_until, left_at = -math.inf, []

    def at(moment: float, what: Callable[[float], None]) -> None:
        nonlocal number
        number += 1
        heapq.heappush(events, (moment, number, what))

    def free(now: float) -> None:
        nonlocal left_in_a_pause
        if now > seconds:
            return
        wait = pace.wait_seconds(now)
        assert 0 <= wait < math.inf
        if wait > 0:
            at(now + wait + random.uniform(1e-6, late_seconds), free)
            return
        left_in_a_pause += now < pause_until
        left_at.append(now)
        pace.begin(now)
        answer_at = now + random.uniform(*latency_seconds)
        at(now + random.uniform(*way_seconds), lambda there: judge(there, now, answer_at))

    def judge(now: float, begun: float, answer_at: float) -> None:
        nonlocal accepted, refused
        retry_after = peer.ask(now)
        if retry_after is None:
            accepted += 1
        else:
            refused += 1
        at(answer_at, lambda back: answer(back, begun, retry_after))

    def answer(now: float, begun: float, retry_after: float | None) -> None:
        nonlocal pause_until
        if retry_after is None:
            pace.accepted(now, begun)
        else:
            pace.refused(now, begun, says(retry_after))
            pause_until = max(pause_until, now + says(retry_after))
        free(now)

    for _ in range(senders):
        at(0.0, free)
    while events:
        now, _, what = heapq.heappop(events)
        what(now)
    return Storm(accepted, refused, peer.allowed(seconds), left_in_a_pause, left_at)
