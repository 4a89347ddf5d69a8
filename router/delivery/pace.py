"""Pure: the rate that the other side has taught us by its 429s, for one target or for a whole channel."""

import math

from router.delivery.accepted import Run

MARGIN = 0.99
"""We send this much of the rate that we believe to be allowed: clocks and the way there are not exact."""
FIRST_STEP = 4.0
"""The first 429 often says little (one accepted, then a whole second's pause): the search begins so many times higher."""
STEP = 1.5
"""While no rate is known to be too high, each step of the search is so many times faster than the last."""
SEARCH_STEP = 1.4
"""After a 429 in the search it begins again so many times above what is known to be allowed, or half-way to what is not."""
CLOSE = 1.15
"""The search ends when what is not allowed is less than so many times what is."""
CLOSE_AROUND_ROUND = 1.6
"""It ends sooner when there is a round number between the two."""
PROOF_BURSTS = 8
"""With a rate known to be too high, a step proves its own when so many bursts have been accepted at it."""
LONGEST_STEP = 128
"""Never more sends than this in one step."""
MISSED = 0.97
"""A 429 at a rate that we believed in, not long after: so much of it is left."""
HOLD_SECONDS = 60.0
"""For so long a rate that was found is kept as it is; only time in which sends wait for it counts."""
DOUBLING_SECONDS = 60.0
"""Then it grows, so fast that it would double in this time."""
OUTGROWN = 1.25
"""Once it is so many times what it was, the limit has been raised, and a search finds the new one."""
SHORTEST_PAUSE_SECONDS = 0.05
LONGEST_WAIT_FOR_OTHERS_SECONDS = 1.0
"""Other sends were in flight beside the refused one. Their answers belong to the same lesson, so a pause is not shorter than
the first nor than twice the time that the answer took, and for that no longer than the second."""
LATENESS_SECONDS = 0.01
"""A send that leaves later than its turn by no more than this, or by one turn, did wait for its turn."""
RECENT_SECONDS = 60.0
"""How far back the first lesson looks."""
FORGET_SECONDS = 600.0
"""After so long without a send, what was learned is forgotten."""
SLOWEST_PER_SECOND = 1 / 60
"""However bad it gets, one send a minute asks again."""


class Pace:
    """The rate for one scope. Without a 429 it never limits. Time is handed in, in seconds of any steady clock.

    A send is `begin`, and later `accepted` or `refused` with the moment at which it began, or neither when its answer says
    nothing about the rate. After a 429 it stands still for the pause, and then searches: from what was accepted so far
    upwards, until a 429 says that this was too fast. Between the two it takes a round number if there is one, because limits
    are set by people, else it halves the distance. What it has found it keeps for a while, then feels its way up slowly.
    """

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._rate: float | None = None
        """Sends per second; None before the first lesson."""
        self._burst = 1.0
        """How many the other side took at once before its first 429."""
        self._run = Run(-math.inf)
        self._last_run = self._run
        self._turn = -math.inf
        """When the last send was due."""
        self._last_begun = -math.inf
        self._pause_until = -math.inf
        self._refused_begun: float | None = None
        """When the first of the refused sends began, until the pause is over and the lesson is taken."""
        self._searching = False
        self._allowed = 0.0
        self._allowed_is_proven = False
        self._too_fast = math.inf
        self._step_at = 0.0
        self._step_accepted = 0
        self._rate_after_probe: float | None = None
        self._found = 0.0
        self._held_seconds = 0.0
        self._missed = False

    def wait_seconds(self, now: float) -> float:
        """How long the next send must wait; 0 when it need not. Never infinite."""
        self._catch_up(now)
        due = self._pause_until
        # A lesson that is taken when the pause is over sets the rate, and the turns, anew.
        if self._rate is not None and self._refused_begun is None:
            due = max(due, self._turn + 1 / self._rate)
        return max(0.0, due - now)

    def begin(self, now: float) -> None:
        """A send leaves. One that leaves too early is paid for by the next."""
        self._catch_up(now)
        if self._rate is None:
            if now - self._run.began > RECENT_SECONDS:
                self._run = Run(now)
        else:
            gap = 1 / self._rate
            # Who lets a burst through forgives one that comes early after one that came late: no time is lost by lateness.
            late = gap if self._burst >= 2 else 0.0
            self._turn = now if self._turn == -math.inf else max(self._turn + gap, now - late)
            since = now - self._last_begun
            waited = since <= 2 * gap + LATENESS_SECONDS
            if waited and not self._searching:
                self._feel_the_way_up(since, now)
            elif not waited:
                # It did not wait for the rate, so what becomes of it proves nothing; the step begins after it.
                self._step_at, self._step_accepted = math.nextafter(now, math.inf), 0
        self._last_begun = now

    def accepted(self, now: float, begun: float) -> None:
        """The send that left at `begun` was accepted."""
        if begun < self._run.began:
            return
        self._run.add(begun)
        if self._rate is None or self._refused_begun is not None:
            return
        if self._rate_after_probe is not None:
            rate, self._rate_after_probe = self._rate_after_probe, None
            self._search(rate, math.inf, now)
        elif self._searching and begun >= self._step_at:
            self._step_accepted += 1
            if self._step_accepted >= self._step_sends():
                self._step_up(self._rate, now)

    def refused(self, now: float, begun: float, pause_seconds: float) -> None:
        """The send that left at `begun` was refused with a 429, and nothing may leave for `pause_seconds`. Several that were
        in flight together teach one lesson."""
        self._catch_up(now)
        if begun >= self._run.began:
            self._refused_begun = begun if self._refused_begun is None else min(begun, self._refused_begun)
            # The others are answered about as fast as this one.
            others_seconds = min(2 * (now - begun), LONGEST_WAIT_FOR_OTHERS_SECONDS)
            pause_seconds = max(pause_seconds, SHORTEST_PAUSE_SECONDS, others_seconds)
        self._pause_until = max(self._pause_until, now + pause_seconds)

    def is_idle(self, now: float) -> bool:
        """Whether there is nothing in it any more that is worth keeping."""
        nothing_learned = self._rate is None and self._refused_begun is None
        quiet_seconds = RECENT_SECONDS if nothing_learned else FORGET_SECONDS
        return now - max(self._last_begun, self._pause_until) > quiet_seconds

    # --- lessons

    def _catch_up(self, now: float) -> None:
        if self.is_idle(now):
            self._forget()
        elif self._refused_begun is not None and now >= self._pause_until:
            refused_begun, self._refused_begun = self._refused_begun, None
            run, self._run, self._turn = self._run, Run(self._pause_until), -math.inf
            if self._rate is None:
                self._first_lesson(run, refused_begun)
            elif run.accepted == 0:
                self._pause_was_too_short(run, self._rate)
            else:
                self._lesson(run, self._rate)
            if run.accepted:
                self._last_run = run

    def _first_lesson(self, run: Run, refused_begun: float) -> None:
        self._allowed, self._burst = run.storm(refused_begun, self._pause_until)
        self._last_run = run
        self._search(self._allowed * FIRST_STEP, math.inf, self._pause_until)
        self._step_accepted = -1  # The first after a pause waited for the pause, not for the rate: it proves nothing.

    def _pause_was_too_short(self, run: Run, rate: float) -> None:
        """Nothing was accepted since the last pause: no rate was too fast, so one alone asks whether it is over."""
        # The pauses since then belong to the last one: a window that has not begun anew yet allows so much less.
        self._allowed = min(self._allowed, self._last_run.rate_until(self._pause_until))
        self._allowed_is_proven = False
        asking = 1 / (self._pause_until - run.began)
        self._search(min(rate, asking), math.inf, self._pause_until)
        self._rate_after_probe = max(self._allowed * SEARCH_STEP, asking)

    def _lesson(self, run: Run, rate: float) -> None:
        self._rate_after_probe = None
        allowed = min(max(run.rate_until(self._pause_until), run.sustained_rate(self._burst)), MISSED * rate)
        if self._searching:
            if self._allowed_is_proven or allowed > self._allowed / 2:
                allowed = max(allowed, min(self._allowed, MISSED * rate))
            self._narrow(allowed, rate, self._pause_until)
        elif self._held_seconds > HOLD_SECONDS:
            # It grew too far. Who lets no burst through says so at once; else what was accepted says how far.
            allowed = 0.98 * rate if self._burst < 2 else max(allowed, self._found)
            guess = _round_number(allowed, rate)
            self._settle(min(MARGIN * (guess or allowed), MARGIN * rate))
        elif not self._missed:
            self._settle(MISSED * rate)
            self._missed = True
        else:
            # The second time in a row: the limit has been lowered, or was never found.
            self._allowed_is_proven = False
            self._narrow(allowed, rate, self._pause_until)
        self._step_accepted = -1

    # --- the search

    def _search(self, rate: float, too_fast: float, now: float) -> None:
        self._searching, self._rate, self._too_fast = True, max(rate, SLOWEST_PER_SECOND), too_fast
        self._step_at, self._step_accepted = now, 0

    def _step_sends(self) -> float:
        """How many sends a step takes. A burst is accepted at any rate, and proves none."""
        if self._burst < 2:
            return 1
        return min(self._burst * (1 if self._too_fast == math.inf else PROOF_BURSTS), LONGEST_STEP)

    def _step_up(self, rate: float, now: float) -> None:
        if self._too_fast < math.inf:
            self._allowed_is_proven = True
            self._narrow(rate, self._too_fast, now)
            return
        if self._burst < 2:
            self._allowed, self._allowed_is_proven = rate, True
        self._search(rate * STEP, math.inf, now)

    def _narrow(self, allowed: float, too_fast: float, now: float) -> None:
        self._allowed = allowed
        guess = _round_number(allowed, too_fast)
        if guess is not None and MARGIN * guess < 0.985 * too_fast and too_fast < CLOSE_AROUND_ROUND * allowed:
            self._settle(MARGIN * guess)
        elif too_fast < CLOSE * allowed:
            self._settle(MARGIN * allowed)
        else:
            self._search(min(allowed * SEARCH_STEP, math.sqrt(allowed * too_fast)), too_fast, now)

    def _settle(self, rate: float) -> None:
        self._searching, self._missed = False, False
        self._found = self._rate = max(rate, SLOWEST_PER_SECOND)
        self._held_seconds = 0.0

    def _feel_the_way_up(self, seconds: float, now: float) -> None:
        self._held_seconds += seconds
        if self._held_seconds <= HOLD_SECONDS:
            return
        grown = 2.0 ** ((self._held_seconds - HOLD_SECONDS) / DOUBLING_SECONDS)
        self._rate = self._found * grown
        if grown > OUTGROWN:
            self._allowed, self._allowed_is_proven = self._found, False
            self._search(self._rate, math.inf, now)


def _round_number(low: float, high: float) -> float | None:
    """1, 2 or 5 times a power of ten, about between the two; None when there is none."""
    power = 10.0 ** math.floor(math.log10(low))
    candidates = [digit * power * more for digit in (1, 5, 2) for more in (1, 10)]
    return next((rate for rate in candidates if 0.98 * low <= rate <= 1.02 * high), None)
