"""Ids that sort by when they were made."""

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4, uuid5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.documents.time_ordered_id import is_time_ordered_id, time_ordered_id

MOMENTS = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))


def test_the_example_of_the_rfc() -> None:
    # RFC 9562 appendix A.6: Tuesday, February 22, 2022 2:22:22.00 PM GMT-05:00, rand_a CC3, rand_b 18C4DC0C0C07398F.
    moment = datetime(2022, 2, 22, 14, 22, 22, tzinfo=UTC) + timedelta(hours=5)
    source = UUID("00000000-0000-4cc3-98c4-dc0c0c07398f")
    assert time_ordered_id(moment, source) == "017f22e2-79b0-7cc3-98c4-dc0c0c07398f"


@given(MOMENTS, st.uuids())
def test_it_is_a_uuid_of_version_7_that_tells_the_moment(moment: datetime, source: UUID) -> None:
    text = time_ordered_id(moment, source)
    made = UUID(text)
    assert (str(made), made.version, made.variant) == (text, 7, UUID(int=0x8 << 60).variant)
    assert is_time_ordered_id(text)
    told = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=made.int >> 80)
    assert timedelta(0) <= moment - told < timedelta(milliseconds=1)


@given(MOMENTS, MOMENTS, st.uuids(), st.uuids())
def test_it_sorts_as_the_moments_do(one: datetime, other: datetime, source: UUID, another: UUID) -> None:
    if abs(one - other) >= timedelta(milliseconds=1):
        assert (one < other) == (time_ordered_id(one, source) < time_ordered_id(other, another))


def test_the_same_makes_the_same_and_another_delivery_another() -> None:
    moment = datetime(2026, 11, 21, tzinfo=UTC)
    sources = [uuid5(UUID(int=1), str(number)) for number in range(1000)] + [uuid4() for _ in range(1000)]
    made = [time_ordered_id(moment, source) for source in sources]
    assert made == [time_ordered_id(moment, source) for source in sources]
    assert len(set(made)) == len(sources)


def test_before_1970_is_its_first_moment() -> None:
    assert time_ordered_id(datetime(1, 1, 1, tzinfo=UTC), UUID(int=0)).startswith("00000000-0000-7")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
        "017f22e279b07cc398c4dc0c0c07398f",
        "017f22e2-79b0-4cc3-98c4-dc0c0c07398f",
        "017f22e2-79b0-7cc3-18c4-dc0c0c07398f",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398f\n",
        " 017f22e2-79b0-7cc3-98c4-dc0c0c07398f",
        "017f22e2-79b0-7cc3-98c4-dc0c0c07398٣",
    ],
)
def test_no_such_id(text: str) -> None:
    assert not is_time_ordered_id(text)
