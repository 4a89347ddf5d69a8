"""What an attempt's outcome makes of a delivery: a table of every outcome under every policy, and the bounds of pauses."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.channels.base import Outcome, Rejected, Retry, Scope, Sent, Uncertain, Waiting
from router.delivery.verdict import (
    add_attempt,
    backoff_seconds,
    conclude,
    expire,
    fail,
    interrupted,
    open_intent,
)
from router.documents.delivery import KEPT_ATTEMPTS, Attempt, Delivery, Status
from router.settings import ChannelSettings, RetrySettings
from tests.delivery.making import NOW, after, attempt, delivery, dice

RETRY = RetrySettings(base_seconds=2, max_delay_seconds=600, max_retries=3, max_age_seconds=1000)


def concluded(
    outcome: Outcome,
    at: Delivery | None = None,
    *,
    age_seconds: float = 10,
    on_uncertain: Literal["resend", "hold"] = "resend",
    retry: RetrySettings = RETRY,
    seed: int = 1,
    was_known_down: bool = False,
) -> Delivery:
    """The delivery after an attempt that took 34 ms and ended, so old, in `outcome`."""
    subject = at or delivery()
    now = after(age_seconds)
    conclude(
        subject,
        outcome,
        began=now - timedelta(milliseconds=34),
        took_ms=34,
        now=now,
        settings=ChannelSettings(on_uncertain=on_uncertain, retry=retry),
        random=dice(seed),
        was_known_down=was_known_down,
    )
    return subject


def pause_seconds(subject: Delivery) -> float:
    assert subject.next_attempt_at is not None
    return (subject.next_attempt_at - subject.updated_at).total_seconds()


Span = tuple[float, float]


@dataclass(frozen=True)
class Row:
    """An outcome, and what it makes of a fresh delivery under both policies, unless `hold` makes something else of it."""

    outcome: Outcome
    status: str
    attempt: str
    retries: int = 0
    error: str | None = None
    pause: Span | None = None
    reference: str | None = None
    under_hold: tuple[str, str] | None = None


ROWS = [
    Row(Sent("$e"), "COMPLETE", "sent", reference="$e"),
    Row(Sent(None, code=250), "COMPLETE", "sent"),
    Row(Retry("busy", code=503), "PENDING", "retry", retries=1, error="retrying", pause=(0, 2)),
    Row(Retry("busy", after_seconds=100), "PENDING", "retry", retries=1, error="retrying", pause=(100, 100)),
    Row(Retry("busy", after_seconds=0), "PENDING", "retry", retries=1, error="retrying", pause=(0, 2)),
    Row(Retry("slow", pauses=Scope.TARGET), "PENDING", "retry", error="rate_limited", pause=(2, 2)),
    Row(Retry("slow", after_seconds=0, pauses=Scope.TARGET), "PENDING", "retry", error="rate_limited", pause=(0, 0)),
    Row(Retry("slow", after_seconds=9, pauses=Scope.CHANNEL), "PENDING", "retry", error="rate_limited", pause=(9, 9)),
    Row(Retry("slow", after_seconds=9, pauses=Scope.MESSAGE), "PENDING", "retry", error="rate_limited", pause=(9, 9)),
    Row(Retry("slow", after_seconds=5000, pauses=Scope.TARGET), "PENDING", "retry", error="rate_limited", pause=(1000, 1000)),
    Row(Retry("slow", after_seconds=1e300), "PENDING", "retry", retries=1, error="retrying", pause=(1000, 1000)),
    Row(Rejected("too long", Scope.MESSAGE), "FAILED", "rejected", error="rejected_message"),
    Row(Rejected("no such room", Scope.TARGET, code=404), "FAILED", "rejected", error="rejected_target"),
    Row(Rejected("bad token", Scope.CHANNEL, code=401), "PENDING", "rejected", error="channel_refused", pause=(2, 2)),
    Row(Uncertain("no answer"), "PENDING", "uncertain", retries=1, error="uncertain", pause=(0, 2),
        under_hold=("UNCERTAIN", "uncertain")),
    Row(Waiting("no key", "WAITING_KEY_EXCHANGE", 30), "WAITING_KEY_EXCHANGE", "waiting", error="waiting", pause=(30, 30)),
    Row(Waiting("on its way", "PENDING", 30, "tag"), "PENDING", "waiting", error="waiting", pause=(30, 30), reference="tag"),
]  # fmt: skip


@pytest.mark.parametrize("policy", ["resend", "hold"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.outcome)[:70])
def test_what_an_outcome_makes_of_a_delivery(row: Row, policy: Literal["resend", "hold"]) -> None:
    after_it = concluded(row.outcome, on_uncertain=policy)
    last = after_it.attempts[-1]
    assert (last.outcome, last.code, last.ms) == (row.attempt, row.outcome.code, 34)
    assert last.reason == (None if isinstance(row.outcome, Sent) else row.outcome.reason)
    assert last.at == after_it.updated_at - timedelta(milliseconds=34)
    assert after_it.updated_at == after(10)
    assert after_it.reference == row.reference
    if policy == "hold" and row.under_hold:
        status, error = row.under_hold
        assert (after_it.status, after_it.error and after_it.error.code) == (status, error)
        assert (after_it.retries, after_it.next_attempt_at) == (0, None)
        return
    assert (after_it.status, after_it.retries) == (row.status, row.retries)
    assert (after_it.error and after_it.error.code) == row.error
    assert after_it.status.is_final is (row.pause is None)
    if row.pause is None:
        assert after_it.next_attempt_at is None
    else:
        assert row.pause[0] <= pause_seconds(after_it) <= row.pause[1]
    if after_it.error is not None and not isinstance(row.outcome, Sent):
        assert after_it.error.reason == row.outcome.reason


def test_the_reason_of_a_failure_goes_when_it_arrives_after_all() -> None:
    subject = concluded(Retry("busy"))
    assert subject.error is not None
    concluded(Sent("$e"), subject, age_seconds=20)
    assert subject.to_document()["error"] is None
    assert (subject.status, subject.retries, len(subject.attempts)) == (Status.COMPLETE, 1, 2)


def test_what_the_other_side_calls_it_is_kept_until_it_says_otherwise() -> None:
    subject = concluded(Waiting("on its way", "PENDING", 1, "tag-1"))
    concluded(Waiting("still on its way", "PENDING", 1), subject)
    concluded(Retry("the bot is away"), subject)
    assert subject.reference == "tag-1"
    concluded(Sent(None), subject)
    assert subject.reference == "tag-1"


def end_of(outcome: Outcome) -> Status:
    """What a delivery ends as when all its attempts ended so: what may have arrived has not failed."""
    return Status.UNCERTAIN if isinstance(outcome, Uncertain) else Status.FAILED


@pytest.mark.parametrize("outcome", [Retry("busy", code=503), Uncertain("no answer")], ids=str)
def test_retries_run_out(outcome: Outcome) -> None:
    subject = delivery()
    for number in range(RETRY.max_retries):
        concluded(outcome, subject)
        assert (subject.status, subject.retries) == (Status.PENDING, number + 1)
    concluded(outcome, subject)
    assert (subject.status, subject.retries, subject.next_attempt_at) == (end_of(outcome), 3, None)
    assert subject.error is not None
    assert subject.error.code == "retries_exhausted"
    assert subject.error.reason in (
        "gave up after 3 retries; the last: busy",
        "gave up after 3 retries; the last: no answer; an earlier attempt had no answer and may have arrived",
    )


def test_who_asks_for_a_short_pause_gets_a_long_one_when_it_goes_on_failing() -> None:
    settings = RetrySettings(base_seconds=2, max_delay_seconds=600)
    pauses = [
        pause_seconds(concluded(Retry("busy", after_seconds=100), delivery(retries=9), retry=settings, seed=seed))
        for seed in range(20)
    ]
    assert min(pauses) == 100
    assert max(pauses) > 400


def test_no_retries_at_all_can_be_asked_for() -> None:
    subject = concluded(Retry("busy"), retry=RetrySettings(max_retries=0))
    assert (subject.status, subject.retries) == (Status.FAILED, 0)


CAN_BE_ANY_NUMBER: list[Outcome] = [
    Retry("slow", after_seconds=1, pauses=Scope.TARGET),
    Retry("slow", pauses=Scope.CHANNEL),
    Waiting("no key", "WAITING_KEY_EXCHANGE", 1),
    Rejected("bad token", Scope.CHANNEL),
]


@pytest.mark.parametrize("outcome", CAN_BE_ANY_NUMBER, ids=str)
def test_what_is_nobodys_fault_costs_no_retry(outcome: Outcome) -> None:
    subject = delivery()
    for _ in range(50):
        concluded(outcome, subject)
    assert (subject.retries, subject.status.is_final) == (0, False)
    assert len(subject.attempts) == KEPT_ATTEMPTS
    # Nor is anything used up that the delivery may need when the trouble is over.
    concluded(Retry("busy"), subject)
    assert (subject.retries, subject.status) == (1, Status.PENDING)


DOWN = Retry("connection refused", host_is_down=True)


def test_to_find_a_host_still_down_costs_no_retry_and_only_age_ends_it() -> None:
    subject = concluded(DOWN)
    for _ in range(50):
        concluded(DOWN, subject, was_known_down=True)
    assert (subject.retries, subject.status, len(subject.attempts)) == (1, Status.PENDING, KEPT_ATTEMPTS)
    assert subject.error is not None
    assert (subject.error.code, subject.error.reason) == ("host_down", "connection refused")
    concluded(DOWN, subject, was_known_down=True, age_seconds=1000)
    assert subject.status is Status.FAILED
    assert subject.error.code == "too_old"


def test_the_pauses_between_such_attempts_grow_so_that_others_come_first() -> None:
    settings = RetrySettings(base_seconds=2, max_delay_seconds=600)
    subject = delivery()
    pauses = []
    for number in range(60):
        concluded(DOWN, subject, was_known_down=True, retry=settings, seed=number)
        pauses.append(pause_seconds(subject))
    assert all(pause <= 2 * 2**number for number, pause in enumerate(pauses))
    assert max(pauses[20:]) > 500
    asked = concluded(Retry("busy", after_seconds=900, host_is_down=True), was_known_down=True, retry=settings)
    assert pause_seconds(asked) == 900


@pytest.mark.parametrize("outcome", [Uncertain("no answer"), Retry("busy", code=451)], ids=str)
def test_what_a_host_known_to_be_down_answers_or_may_have_got_costs_a_retry(outcome: Outcome) -> None:
    assert concluded(outcome, was_known_down=True).retries == 1


@pytest.mark.parametrize("outcome", [*CAN_BE_ANY_NUMBER, Retry("busy"), Uncertain("no answer")], ids=str)
def test_age_ends_everything_that_would_go_on(outcome: Outcome) -> None:
    assert not concluded(outcome, age_seconds=999).status.is_final
    subject = concluded(outcome, age_seconds=1000)
    assert (subject.status, subject.next_attempt_at) == (end_of(outcome), None)
    assert subject.error is not None
    assert not isinstance(outcome, Sent)
    assert subject.error.code == "too_old"
    assert subject.error.reason.startswith(f"gave up after 1000 seconds; the last: {outcome.reason}")


def test_age_does_not_take_back_what_arrived() -> None:
    assert concluded(Sent("$e"), age_seconds=5000).status is Status.COMPLETE


def test_age_counts_anew_when_somebody_asks_for_another_try() -> None:
    subject = concluded(Retry("busy"), delivery(retried_at=after(5000)), age_seconds=5999)
    assert subject.status is Status.PENDING
    assert concluded(Retry("busy"), subject, age_seconds=6000).status is Status.FAILED


def test_the_pauses_after_refusals_of_a_channel_grow_and_begin_anew_after_something_else() -> None:
    subject, random = delivery(), dice(3)
    settings = ChannelSettings(retry=RetrySettings(base_seconds=2, max_delay_seconds=600))

    def refused() -> float:
        conclude(
            subject,
            Rejected("bad token", Scope.CHANNEL),
            began=NOW,
            took_ms=1,
            now=NOW,
            settings=settings,
            random=random,
        )
        return pause_seconds(subject)

    pauses = [refused() for _ in range(200)]
    assert all(2 <= pause <= 600 for pause in pauses)
    assert all(pause <= 2 * 2**number for number, pause in enumerate(pauses))
    assert max(pauses) > 500
    concluded(Retry("busy"), subject)
    assert refused() == 2


def test_what_the_other_side_says_is_kept_short_and_can_be_stored() -> None:
    subject = concluded(Retry("x\ud800" + "y" * 5000, code="C\ud800"))
    assert subject.error is not None
    assert subject.error.reason == subject.attempts[-1].reason == "x\ufffd" + "y" * 998 + "…"
    assert subject.attempts[-1].code == "C\ufffd"
    assert concluded(Sent("r\ud800")).reference == "r\ufffd"


@given(
    failures=st.integers(1, 10_000),
    base=st.floats(0.001, 1e6),
    longest=st.floats(0.001, 1e6),
    seed=st.integers(),
)
def test_a_pause_is_never_longer_than_it_may_be(failures: int, base: float, longest: float, seed: int) -> None:
    settings = RetrySettings(base_seconds=base, max_delay_seconds=longest)
    pause = backoff_seconds(failures, settings, dice(seed))
    assert 0 <= pause <= longest
    assert failures > 20 or pause <= base * 2 ** (failures - 1) * (1 + 1e-9)


def test_pauses_are_spread_over_all_of_their_span() -> None:
    random = dice(7)
    pauses = [backoff_seconds(4, RetrySettings(base_seconds=1, max_delay_seconds=600), random) for _ in range(1000)]
    assert min(pauses) < 0.5
    assert max(pauses) > 7.5
    assert 3.5 < sum(pauses) / len(pauses) < 4.5


def test_the_history_keeps_the_last_twenty() -> None:
    subject = delivery()
    for number in range(30):
        add_attempt(subject, attempt(number))
    assert [a.at for a in subject.attempts] == [after(n) for n in range(10, 30)]


def test_an_intent_gives_way_to_its_outcome_and_to_no_other() -> None:
    subject = delivery(attempts=[attempt(1), attempt(2, "started", None)])
    assert open_intent(subject) == attempt(2, "started", None)
    add_attempt(subject, attempt(2, "sent"))
    assert subject.attempts == [attempt(1), attempt(2, "sent")]
    assert open_intent(subject) is None
    add_attempt(subject, attempt(4, "started", None))
    add_attempt(subject, attempt(5, "sent"))
    assert [a.outcome for a in subject.attempts] == ["retry", "sent", "started", "sent"]


@pytest.mark.parametrize(
    ("attempts", "is_open"),
    [([], False), ([attempt(1)], False), ([attempt(1, "started")], True), ([attempt(1, "started"), attempt(2)], False)],
)
def test_only_the_last_attempt_can_be_open(attempts: list[Attempt], is_open: bool) -> None:
    assert (open_intent(delivery(attempts=attempts)) is not None) is is_open


def test_an_interrupted_attempt_is_uncertain() -> None:
    subject = delivery(attempts=[attempt(1), attempt(2, "started", None)])
    interrupted(subject, after(2), after(60), hold=False)
    assert [a.outcome for a in subject.attempts] == ["retry", "uncertain"]
    assert (subject.status, subject.updated_at) == (Status.PENDING, after(60))


def test_under_hold_an_interrupted_attempt_ends_it() -> None:
    subject = delivery(attempts=[attempt(1), attempt(2, "started", None)])
    interrupted(subject, after(2), after(60), hold=True)
    assert [a.outcome for a in subject.attempts] == ["retry", "uncertain"]
    assert (subject.status, subject.next_attempt_at, subject.updated_at) == (Status.UNCERTAIN, None, after(60))
    assert subject.error is not None
    assert subject.error.code == "uncertain"


def test_a_message_past_its_time_expires() -> None:
    subject = delivery()
    expire(subject, datetime.fromisoformat("2026-11-21T08:00:00.5+00:00"), NOW)
    assert (subject.status, subject.next_attempt_at, subject.attempts) == (Status.EXPIRED, None, [])
    assert subject.error is not None
    assert subject.error.code == "expired"
    assert subject.error.reason == "content.expires_at (2026-11-21T08:00:00.500Z) passed before it could be sent"


def test_what_cannot_be_attempted_fails() -> None:
    subject = delivery()
    fail(subject, "target_gone", "put it back", after(3))
    assert (subject.status, subject.next_attempt_at, subject.updated_at) == (Status.FAILED, None, after(3))
    assert subject.error is not None
    assert (subject.error.code, subject.error.reason) == ("target_gone", "put it back")
    fail(subject, "message_deleted", "gone", after(4), Status.CANCELLED)
    assert subject.status is Status.CANCELLED


@pytest.mark.parametrize("status", [Status.FAILED, Status.EXPIRED, Status.CANCELLED])
def test_what_may_have_arrived_is_left_to_an_admin(status: Status) -> None:
    subject = delivery()
    concluded(Uncertain("no answer"), subject)
    fail(subject, "some_code", "some reason", subject.updated_at, status)
    assert subject.status is Status.UNCERTAIN
    assert subject.error is not None
    assert subject.error.code == "some_code"
    assert "may have arrived" in subject.error.reason
    certain = delivery()
    concluded(Retry("busy"), certain)
    fail(certain, "some_code", "some reason", certain.updated_at, status)
    assert certain.status is status
