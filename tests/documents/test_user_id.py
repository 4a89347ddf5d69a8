"""What can be the id of a user, and the sentence that says why not."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from router.documents.user_id import MAX_USER_ID_CHARS, UserId, check_user_id

ADAPTER = TypeAdapter(UserId)


@pytest.mark.parametrize(
    "user_id",
    [
        "alice",
        "a",
        "42",
        "größe",
        "😀" * MAX_USER_ID_CHARS,
        "auth0|5f7c",
        "a@example.org",
        "a_b",
        "-",
        "..",
        "a%2Fb",
        "<b>",
    ],
)
def test_a_good_id_is_given_back(user_id: str) -> None:
    assert check_user_id(user_id) == ADAPTER.validate_python(user_id) == user_id


@pytest.mark.parametrize(
    ("user_id", "says"),
    [
        ("", "must be the id of a user, such as alice, not ''"),
        (None, "must be the id of a user, such as alice, not null"),
        (5, "must be the id of a user, such as alice, not a number"),
        (["alice"], "must be the id of a user, such as alice, not a list"),
        ("x" * 201, "must be the id of a user of at most 200 characters"),
        ("@alice", "must be the id of a user, which starts with neither @ nor _, not '@alice'"),
        ("_design", "must be the id of a user, which starts with neither @ nor _, not '_design'"),
        *(
            (user_id, f"must be the id of a user without spaces, / : and #, not {user_id!r}")
            for user_id in ("a b", " a", "a ", "a/b", "a:b", "#a", "a#b", "a\nb", "a\x00", "a\u200b", "a\u00a0b", "a\ud800",
                            "\u202ea")
        ),
    ],
)  # fmt: skip
def test_a_bad_id_is_refused_with_a_sentence(user_id: object, says: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(says)}$"):
        check_user_id(user_id)
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(user_id)


@given(user_id=st.text(st.characters(), max_size=MAX_USER_ID_CHARS + 1))
def test_what_is_taken_is_what_the_schema_says(user_id: str) -> None:
    schema = ADAPTER.json_schema()
    try:
        check_user_id(user_id)
    except ValueError:
        return
    assert re.search(schema["pattern"], user_id)
    assert schema["minLength"] <= len(user_id) <= schema["maxLength"]
