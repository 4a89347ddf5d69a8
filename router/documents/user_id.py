"""The id of a user: what stands in documents' ids, in `@alice` and in a token's `sub`."""

from typing import Annotated, Final

from pydantic import BeforeValidator, WithJsonSchema

from router.documents.problems import shown

MAX_USER_ID_CHARS: Final = 200

_FORBIDDEN: Final = "/:#"
"""They part a document's id and an address, and begin the name of a group."""
_NO_BEGINNING: Final = ("@", "_")
"""`@` begins the mention of a user, `_` what is no user but the router's or CouchDB's own."""


def check_user_id(user_id: object) -> str:
    """Give `user_id` back if it can be that of a user: 1 to 200 printable characters without space, `/`, `:` and `#`, the first
    of them no `@` and no `_`.

    Raises ValueError with what is wrong.
    """
    if not isinstance(user_id, str) or not user_id:
        raise ValueError(f"must be the id of a user, such as alice, not {shown(user_id)}")
    if len(user_id) > MAX_USER_ID_CHARS:
        raise ValueError(f"must be the id of a user of at most {MAX_USER_ID_CHARS} characters")
    if user_id.startswith(_NO_BEGINNING):
        raise ValueError(f"must be the id of a user, which starts with neither @ nor _, not {shown(user_id)}")
    if " " in user_id or not user_id.isprintable() or any(c in user_id for c in _FORBIDDEN):
        raise ValueError(f"must be the id of a user without spaces, / : and #, not {shown(user_id)}")
    return user_id


UserId = Annotated[
    str,
    BeforeValidator(check_user_id),
    WithJsonSchema(
        {"type": "string", "pattern": r"^[^@_/:#\s][^/:#\s]*$", "minLength": 1, "maxLength": MAX_USER_ID_CHARS}
    ),
]
"""The id of a user, `alice`."""
