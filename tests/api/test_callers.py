"""What is a caller's own, and what a caller may."""

import pytest

from router.api.callers import Caller, Role

USER = Caller("alice", frozenset({"acme", "b"}), frozenset({Role.USER}))
FREE = Caller("alice", None, frozenset({Role.USER, Role.ADMIN}))
BARE = Caller("alice", frozenset(), frozenset())


@pytest.mark.parametrize(
    ("caller", "user", "customer_id", "owns"),
    [
        (USER, "alice", None, True),
        (USER, "alice", "acme", True),
        (USER, "alice", "other", False),
        (USER, "alice", "", False),
        (USER, "bob", None, False),
        (USER, "bob", "acme", False),
        (USER, "Alice", None, False),
        (FREE, "alice", "other", True),
        (FREE, "bob", None, False),
        (BARE, "alice", None, True),
        (BARE, "alice", "acme", False),
    ],
)
def test_what_is_anothers_is_not_ones_own(caller: Caller, user: str, customer_id: str | None, owns: bool) -> None:
    assert caller.owns(user, customer_id) == owns


def test_roles_are_asked_for_one_or_another() -> None:
    assert USER.has_any(Role.USER)
    assert not USER.has_any(Role.SERVICE, Role.ADMIN)
    assert FREE.has_any(Role.SERVICE, Role.ADMIN)
    assert not BARE.has_any(*Role)
    assert not FREE.has_any()
