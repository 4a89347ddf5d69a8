"""Two documents of one delivery, written side by side, become one in which nothing that happened is lost."""

from itertools import pairwise

import pytest
from hypothesis import given, settings

from router.delivery.merge import merge
from router.delivery.verdict import open_intent
from router.documents.delivery import KEPT_ATTEMPTS, Attempt, Delivery, Status
from router.documents.json_types import JsonObject
from tests.delivery.making import DELIVERIES, after, attempt, delivery


def without_rev(one: Delivery) -> JsonObject:
    document = one.to_document()
    document.pop("_rev", None)
    return document


@settings(max_examples=120)
@given(one=DELIVERIES, other=DELIVERIES)
def test_it_does_not_matter_whose_document_is_whose_but_for_the_revision(one: Delivery, other: Delivery) -> None:
    assert without_rev(merge(one, other)) == without_rev(merge(other, one))
    assert merge(one, other).rev == other.rev
    assert merge(other, one).rev == one.rev


@settings(max_examples=120)
@given(one=DELIVERIES, other=DELIVERIES)
def test_merging_again_changes_nothing(one: Delivery, other: Delivery) -> None:
    merged = merge(one, other)
    for again in (merge(merged, merged), merge(merged, one), merge(other, merged)):
        assert without_rev(again) == without_rev(merged)


@settings(max_examples=120)
@given(one=DELIVERIES, other=DELIVERIES)
def test_no_attempt_is_lost_up_to_the_last_twenty(one: Delivery, other: Delivery) -> None:
    merged = merge(one, other).attempts
    everything: list[Attempt] = []
    for each in (*one.attempts, *other.attempts):
        if each not in everything:
            everything.append(each)
    ended = [each.at for each in everything if each.outcome != "started"]
    happened = [each for each in everything if each.outcome != "started" or each.at not in ended]
    assert len(merged) == min(len(happened), KEPT_ATTEMPTS)
    assert all(each in happened for each in merged)
    assert sorted(each.at for each in happened)[-KEPT_ATTEMPTS:] == [each.at for each in merged]
    assert all(a != b for a, b in pairwise(merged))


@settings(max_examples=120)
@given(one=DELIVERIES, other=DELIVERIES)
def test_what_arrived_stays_arrived_and_what_ended_stays_ended(one: Delivery, other: Delivery) -> None:
    merged = merge(one, other)
    statuses = {one.status, other.status}
    assert merged.status in statuses
    for strongest in (Status.COMPLETE, Status.UNCERTAIN):
        if strongest in statuses:
            assert merged.status is strongest
            break
    else:
        if one.retried_at == other.retried_at and any(status.is_final for status in statuses):
            assert merged.status.is_final


@given(one=DELIVERIES, other=DELIVERIES)
def test_neither_document_is_changed_by_it(one: Delivery, other: Delivery) -> None:
    before = one.to_document(), other.to_document()
    merged = merge(one, other)
    merged.attempts.append(attempt(99))
    assert (one.to_document(), other.to_document()) == before


@given(one=DELIVERIES, other=DELIVERIES)
def test_times_span_both(one: Delivery, other: Delivery) -> None:
    merged = merge(one, other)
    assert merged.created_at == min(one.created_at, other.created_at)
    assert merged.updated_at == max(one.updated_at, other.updated_at)
    assert merged.waiting_since >= min(one.waiting_since, other.waiting_since)


FINALITY = ["UNROUTABLE", "PENDING", "CANCELLED", "EXPIRED", "FAILED", "UNCERTAIN", "COMPLETE"]


@pytest.mark.parametrize(("weaker", "stronger"), list(pairwise(FINALITY)))
def test_the_status_that_tells_more_stands_though_it_is_older(weaker: str, stronger: str) -> None:
    merged = merge(delivery(status=stronger), delivery(status=weaker, updated_at=after(60)))
    assert merged.status == stronger


def test_of_two_that_wait_the_later_one_stands() -> None:
    waiting = delivery(status="WAITING_KEY_EXCHANGE", updated_at=after(1), next_attempt_at=after(31))
    pending = delivery(status="PENDING", updated_at=after(2), next_attempt_at=after(4))
    assert merge(waiting, pending).next_attempt_at == after(4)
    assert merge(waiting, pending).status is Status.PENDING
    later = delivery(status="WAITING_KEY_EXCHANGE", updated_at=after(3), next_attempt_at=after(33))
    assert merge(pending, later).status is Status.WAITING_KEY_EXCHANGE


def test_a_retry_that_was_asked_for_meanwhile_stands_and_begins_to_count_anew() -> None:
    """`router retry` and the router's own FAILED, whose answer was lost, meet."""
    failed = delivery(status="FAILED", retries=20, updated_at=after(10), attempts=[attempt(9)])
    asked = delivery(retries=0, retried_at=after(20), updated_at=after(20), next_attempt_at=after(20))
    merged = merge(failed, asked)
    assert (merged.status, merged.retries, merged.next_attempt_at) == (Status.PENDING, 0, after(20))
    assert merged.retried_at == merged.waiting_since == after(20)
    assert merged.attempts == [attempt(9)]


@pytest.mark.parametrize("status", ["COMPLETE", "UNCERTAIN"])
def test_a_retry_that_did_not_know_of_it_sends_nothing_again(status: str) -> None:
    ended = delivery(status=status, updated_at=after(10), next_attempt_at=None)
    asked = delivery(retries=0, retried_at=after(20), updated_at=after(20), next_attempt_at=after(20))
    assert merge(ended, asked).status == status
    assert merge(ended, asked).next_attempt_at is None


def test_the_higher_count_of_retries_stands() -> None:
    assert merge(delivery(retries=3), delivery(retries=5, updated_at=after(-9))).retries == 5


def test_an_intent_gives_way_to_its_outcome_and_is_not_open_any_more() -> None:
    intent = delivery(attempts=[attempt(1), attempt(2, "started", None)])
    outcome = delivery(attempts=[attempt(1), attempt(2, "retry", 34)])
    merged = merge(outcome, intent)
    assert merged.attempts == [attempt(1), attempt(2, "retry", 34)]
    assert open_intent(merge(intent, outcome)) is None


def test_two_attempts_of_the_same_millisecond_are_two() -> None:
    merged = merge(delivery(attempts=[attempt(1, ms=3)]), delivery(attempts=[attempt(1, ms=4)]))
    assert [a.ms for a in merged.attempts] == [3, 4]


def test_what_the_other_side_calls_it_is_kept_from_either() -> None:
    assert merge(delivery(status="COMPLETE"), delivery(reference="tag")).reference == "tag"
    assert merge(delivery(status="COMPLETE", reference="$e"), delivery(reference="tag")).reference == "$e"


def test_two_that_differ_only_in_what_the_other_side_calls_it_give_one_answer() -> None:
    one, other = delivery(status="COMPLETE", reference="$1"), delivery(status="COMPLETE", reference="$2")
    assert merge(one, other).reference == merge(other, one).reference
