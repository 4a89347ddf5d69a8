"""What may name a user."""

from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from router.documents.problems import shown

MAX_USER_ID_CHARS = 200
_TAKEN = frozenset(" /:#")
"""What separates names elsewhere: in the ids of documents, in addresses, in `content.to`."""


def check_user_id(value: object) -> str:
    """Give `value` back if it names a user: 1 to 200 printable characters, no space, `/`, `:` or `#`, and no `@` or `_` first.

    Raises ValueError with what is wrong.
    """
    if not isinstance(value, str) or not value:
        raise ValueError(f"must be the id of a user, not {shown(value)}")
    if value[0] in "@_":
        raise ValueError(f"must be the id of a user, which does not start with {value[0]}, not {shown(value)}")
    if not value.isprintable() or not _TAKEN.isdisjoint(value):
        raise ValueError(f"must be the id of a user without spaces, /, : and #, not {shown(value)}")
    if len(value) > MAX_USER_ID_CHARS:
        raise ValueError(f"must be the id of a user of at most {MAX_USER_ID_CHARS} characters")
    return value


UserId = Annotated[
    str,
    BeforeValidator(check_user_id),
    WithJsonSchema({"type": "string", "pattern": "^[^\\s/:#@_][^\\s/:#]*$", "maxLength": MAX_USER_ID_CHARS}),
]
"""The id of a user, `alice`."""
