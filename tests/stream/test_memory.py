"""What a row is to those who heard all rows before it."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from router.couch.rows import FeedRow
from router.documents.time_ordered_id import time_ordered_id
from router.stream.memory import LONG_MS, WRITING_MS, Memory, News
from router.stream.telling import made_at_ms

BEGAN = datetime(2026, 11, 21, 8, 27, tzinfo=UTC)
BEGAN_MS = round(BEGAN.timestamp() * 1000)


def row(made_ms: int, generation: int, number: int = 0) -> FeedRow:
    its_id = time_ordered_id(datetime.fromtimestamp(made_ms / 1000, UTC), UUID(int=number))
    return FeedRow(1, f"notification:alice:{its_id}", f"{generation}-x", False, {})


@pytest.mark.parametrize(
    ("made_ms", "generation", "news"),
    [
        (BEGAN_MS + 1000, 1, News.NEW),
        (BEGAN_MS + 1000, 2, News.NEW),  # written and changed before the feed told of it
        (BEGAN_MS - WRITING_MS + 1, 2, News.NEW),
        (BEGAN_MS - WRITING_MS, 2, News.CHANGED),
        (BEGAN_MS - 86_400_000, 1, News.NEW),  # it waited for a retry
        (BEGAN_MS - 86_400_000, 12, News.CHANGED),
    ],
)
def test_the_first_row_of_a_notification(made_ms: int, generation: int, news: News) -> None:
    assert Memory(BEGAN_MS).take(row(made_ms, generation)) is news


def test_made_at() -> None:
    assert made_at_ms(row(BEGAN_MS + 123, 1).id) == BEGAN_MS + 123
    assert made_at_ms("notification:alice:nonsense") == 0


def test_the_next_rows_of_a_notification() -> None:
    memory = Memory(BEGAN_MS)
    assert [memory.take(row(BEGAN_MS, n)) for n in (1, 2, 2, 3, 3)] == [
        News.NEW,
        News.CHANGED,
        News.REPEATED,
        News.CHANGED,
        News.REPEATED,
    ]


def test_one_that_was_forgotten_counts_as_known() -> None:
    memory = Memory(BEGAN_MS, most_kept=2)
    for number in range(3):
        assert memory.take(row(BEGAN_MS + number, 1, number)) is News.NEW
    assert memory.take(row(BEGAN_MS, 2, 0)) is News.CHANGED


def test_what_shows_that_a_feed_began_further_back() -> None:
    memory = Memory(BEGAN_MS)
    old = row(BEGAN_MS - WRITING_MS - LONG_MS - 1, 1, 1)
    assert memory.is_long_known(old)
    assert not memory.is_long_known(row(BEGAN_MS - LONG_MS, 1, 2))
    assert not memory.is_long_known(row(BEGAN_MS - 2 * LONG_MS, 2, 3))
    memory.take(old)
    assert not memory.is_long_known(old)
