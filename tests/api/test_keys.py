"""API keys: where a request brings one, and whose it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.datastructures import Headers

from router.api.keys import ApiKeys, key_in
from router.documents.user_id import check_user_id
from router.inbox.caller import Caller, Role

FIRST, SECOND = "first-key-0123456789", "second-key-0123456789"
KEYS = ApiKeys([SecretStr(FIRST), SecretStr(SECOND)])


@pytest.mark.parametrize(("key", "user"), [(FIRST, "_key:1"), (SECOND, "_key:2")])
def test_a_key_of_ours_is_a_service_that_is_no_user(key: str, user: str) -> None:
    caller = KEYS.caller_of(key)
    assert caller is not None
    assert caller == Caller(user, None, frozenset({Role.SERVICE}))
    with pytest.raises(ValueError, match="must be the id of a user"):
        check_user_id(caller.user)


@pytest.mark.parametrize(
    "key",
    [None, "", FIRST[:-1], FIRST + "x", FIRST.upper(), f" {FIRST}", f"{FIRST},{SECOND}", "größe", "\ud800", "x" * 1_000_000],
    ids=lambda key: repr(key)[:40],
)  # fmt: skip
def test_any_other_is_nobody(key: str | None) -> None:
    assert KEYS.caller_of(key) is None


@given(key=st.text(st.characters(), max_size=60))
def test_no_text_makes_it_crash(key: str) -> None:
    assert (KEYS.caller_of(key) is not None) == (key in (FIRST, SECOND))


@pytest.mark.parametrize("key", [None, "", FIRST])
def test_without_keys_nobody_has_one(key: str | None) -> None:
    assert ApiKeys([]).caller_of(key) is None


def test_an_empty_key_is_nobodys_even_where_one_is_set() -> None:
    assert ApiKeys([SecretStr("")]).caller_of("") is None


def test_keys_do_not_show() -> None:
    assert FIRST not in repr(vars(KEYS))


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({}, None),
        ({"X-API-Key": FIRST}, FIRST),
        ({"x-api-key": f" {FIRST} "}, FIRST),
        ({"Authorization": f"Bearer {FIRST}"}, FIRST),
        ({"Authorization": f"bearer  {FIRST} "}, FIRST),
        ({"X-API-Key": FIRST, "Authorization": "Bearer some.jwt.token"}, FIRST),
        ({"X-API-Key": " ", "Authorization": f"Bearer {FIRST}"}, FIRST),
        ({"Authorization": f"Basic {FIRST}"}, None),
        ({"Authorization": FIRST}, None),
        ({"Authorization": "Bearer"}, None),
        ({"Authorization": "Bearer "}, None),
        ({"Authorization": ""}, None),
    ],
    ids=str,
)
def test_a_request_brings_its_key_in_either_header(headers: dict[str, str], key: str | None) -> None:
    assert key_in(Headers(headers)) == key
