"""Who calls the HTTP API, and what is theirs."""

from dataclasses import dataclass
from enum import StrEnum


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
    customers: frozenset[str] | None
    """The customers that the caller belongs to; None when the token says nothing of them, so that it sets no limit."""
    roles: frozenset[Role]

    def has_any(self, *roles: Role) -> bool:
        """Whether the caller has at least one of `roles`."""
        return not self.roles.isdisjoint(roles)

    def is_of(self, customer_id: str | None) -> bool:
        """Whether the caller may see what is of that customer. What is of none (None) is of everybody."""
        return customer_id is None or self.customers is None or customer_id in self.customers

    def owns(self, user: str, customer_id: str | None = None) -> bool:
        """Whether what is `user`'s, and of that customer, is the caller's own."""
        return self.user == user and self.is_of(customer_id)
