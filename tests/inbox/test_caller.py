"""What is a caller's own, and what a caller may."""

from uuid import uuid4

import pytest

from router.documents.json_types import JsonObject
from router.documents.notification import Notification
from router.documents.time_ordered_id import time_ordered_id
from router.documents.timestamps import to_text, utc_now
from router.inbox.caller import Caller, Role

NOW = utc_now()
USER = Caller("alice", frozenset({"acme", "b"}), frozenset({Role.USER}))
FREE = Caller("alice", None, frozenset({Role.USER, Role.ADMIN}))
BARE = Caller("alice", frozenset(), frozenset())


@pytest.mark.parametrize(
    ("caller", "user", "customer_id", "sees"),
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
def test_what_is_anothers_is_not_seen(caller: Caller, user: str, customer_id: str | None, sees: bool) -> None:
    its_id = time_ordered_id(NOW, uuid4())
    of_theirs: JsonObject = {"_id": f"notification:{user}:{its_id}", "user": user, "created_at": to_text(NOW)}
    notification = Notification.model_validate({**of_theirs, "customer_id": customer_id})
    assert caller.sees(notification) == sees
    assert not caller.sees(notification.model_copy(update={"deleted_at": NOW}))


def test_roles_are_asked_for_one_or_another() -> None:
    assert USER.has_any(Role.USER)
    assert not USER.has_any(Role.SERVICE, Role.ADMIN)
    assert FREE.has_any(Role.SERVICE, Role.ADMIN)
    assert not BARE.has_any(*Role)
    assert not FREE.has_any()
