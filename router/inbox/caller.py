"""Who calls, and what is theirs."""

from dataclasses import dataclass
from enum import StrEnum

from router.documents.notification import Notification


class Role(StrEnum):
    """What a caller may do beyond nothing."""

    USER = "user"
    """Sees and changes what is the user's own."""
    SERVICE = "service"
    """A program of ours: sends, and asks what became of it."""
    ADMIN = "admin"
    """Sees what the delivery documents say of everybody."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever made a request, verified."""

    user: str
    """A valid user id; of an API key `_key:1`, which no user can have."""
    customers: frozenset[str] | None = None
    """The customers that the caller belongs to; None when the token says nothing of them, so that it sets no limit."""
    roles: frozenset[Role] = frozenset({Role.USER})

    def has_any(self, *roles: Role) -> bool:
        """Whether the caller has at least one of `roles`."""
        return not self.roles.isdisjoint(roles)

    def is_of(self, customer_id: str | None) -> bool:
        """Whether the caller may see what is of that customer. What is of none (None) is of everybody."""
        return customer_id is None or self.customers is None or customer_id in self.customers

    def sees(self, notification: Notification) -> bool:
        """Whether there is such a notification, as far as this user is concerned."""
        return (
            notification.user == self.user and notification.deleted_at is None and self.is_of(notification.customer_id)
        )
