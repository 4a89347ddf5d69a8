"""The text by which a client asks for the next page."""

import string
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.documents.time_ordered_id import is_time_ordered_id
from router.inbox.cursor import CHARS, from_cursor, to_cursor
from router.inbox.keys import Status, newest_first

IDS = st.uuids(version=4).map(lambda uuid: str(UUID(int=uuid.int & ~(0xF << 76) | 7 << 76)))
USERS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=10)
STATUSES: st.SearchStrategy[Status] = st.sampled_from(["all", "read", "unread"])
LISTS = st.tuples(USERS, st.none() | USERS, STATUSES)
ALPHABET = string.ascii_letters + string.digits + "-_"


@given(IDS, LISTS)
def test_there_and_back(its_id: str, its_list: tuple[str, str | None, Status]) -> None:
    assert is_time_ordered_id(its_id)
    cursor = to_cursor(its_id, *its_list)
    assert from_cursor(cursor, *its_list) == its_id
    assert len(cursor) == CHARS
    assert set(cursor) <= set(ALPHABET)


@given(IDS, LISTS, LISTS)
def test_it_is_good_for_its_own_list_only(
    its_id: str, its_list: tuple[str, str | None, Status], another: tuple[str, str | None, Status]
) -> None:
    if its_list != another:
        with pytest.raises(ValueError, match="of this very list: same user, customer and status"):
            from_cursor(to_cursor(its_id, *its_list), *another)


@given(IDS, LISTS, st.integers(0, CHARS - 1), st.sampled_from(ALPHABET))
def test_one_character_changed_is_noticed(
    its_id: str, its_list: tuple[str, str | None, Status], place: int, character: str
) -> None:
    cursor = to_cursor(its_id, *its_list)
    changed = cursor[:place] + character + cursor[place + 1 :]
    if changed != cursor:
        with pytest.raises(ValueError, match="must be the cursor of an earlier page"):
            from_cursor(changed, *its_list)


@given(st.text(max_size=40) | st.text(ALPHABET + "=+/ \n", min_size=30, max_size=34))
def test_any_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must be the cursor of an earlier page"):
        from_cursor(text, "alice", None, "all")


@given(IDS, IDS)
def test_a_page_begins_right_below_the_cursor(its_id: str, another: str) -> None:
    start, end = newest_first("alice", None, "all", its_id)
    assert isinstance(start, list)
    assert (start[:-1], another <= str(start[-1])) == (end, another < its_id)
