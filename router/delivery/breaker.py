"""Pure: the circuit breaker of one host, which lets nothing through while the host is down but one probe at a time."""

from random import Random
from typing import Literal

State = Literal["closed", "open", "half_open"]

PROBE_POLL_SECONDS = 0.25
"""While a probe is under way, the others look again after so long."""


class Breaker:
    """Opens after `failures_to_open` failures in a row, for about `base_seconds`; each failed probe doubles that, up to
    `longest_seconds`. Time is handed in, in seconds of any steady clock.

    A send is `begin`, and later exactly one of `succeeded`, `failed` and `released`, with the moment at which it began. What
    had begun before it opened tells nothing about the host as it is now: such an answer neither closes it nor counts again.
    """

    def __init__(self, *, failures_to_open: int, base_seconds: float, longest_seconds: float, random: Random) -> None:
        self._failures_to_open = failures_to_open
        self._base_seconds = base_seconds
        self._longest_seconds = longest_seconds
        self._random = random
        self._state: State = "closed"
        self._failures = 0
        self._openings = 0
        self._opened_at: float | None = None
        self._open_until = 0.0
        self._probe: float | None = None
        self._closed_by = float("-inf")

    @property
    def state(self) -> State:
        """`open` until a probe begins, `half_open` until the probe has told how the host is."""
        return self._state

    @property
    def opened_at(self) -> float | None:
        """Since when the host has been down; None while it is closed. A failed probe does not change it."""
        return self._opened_at

    def wait_seconds(self, now: float) -> float:
        """How long the next send must wait; 0 when it may begin now. While a probe is under way, how long until the next
        look."""
        if self._state == "open":
            return max(0.0, self._open_until - now)
        return 0.0 if self._probe is None else PROBE_POLL_SECONDS

    def begin(self, now: float) -> None:
        """A send begins. The first one after the pause is the probe. Only what need not wait may begin."""
        if self._state != "closed" and self.wait_seconds(now) == 0:
            self._state, self._probe = "half_open", now

    def succeeded(self, begun: float) -> bool:
        """The host answered the send that began at `begun`. True when that closed the breaker."""
        if self._state == "closed":
            if begun >= self._closed_by:
                self._failures = 0
            return False
        if begun != self._probe:
            return False
        self._state, self._probe, self._closed_by = "closed", None, begun
        self._failures = self._openings = 0
        self._opened_at = None
        return True

    def failed(self, now: float, begun: float) -> float | None:
        """The host did not serve the send that began at `begun`. For how many seconds it is open now, if this opened it,
        be it again; else None."""
        if self._state == "closed":
            if begun < self._closed_by:
                return None
            self._failures += 1
            return self._open(now) if self._failures >= self._failures_to_open else None
        return self._open(now) if begun == self._probe else None

    def released(self, begun: float) -> None:
        """The send that began at `begun` ended without telling anything about the host; the next one may probe."""
        if begun == self._probe:
            self._probe = None

    def _open(self, now: float) -> float:
        # Half of the pause is left to chance, so that not everyone comes back at the same moment.
        longest = min(self._base_seconds * 2.0 ** min(self._openings, 30), self._longest_seconds)
        seconds = longest * self._random.uniform(0.5, 1.0)
        self._state, self._probe, self._open_until = "open", None, now + seconds
        self._opened_at = now if self._opened_at is None else self._opened_at
        self._openings += 1
        return seconds
