"""Pure: reads an in-app target of the mapping, a user."""

from typing import Final

from router.channels.base import Target, TargetError
from router.documents.json_types import JsonValue
from router.documents.message import USER_SIGN
from router.documents.user_id import check_user_id
from router.settings import InAppSettings

CHANNEL: Final = "inapp"


def parse_target(value: JsonValue, _: InAppSettings) -> Target:
    """Read a target: a user's id, with or without the `@`. Raises TargetError."""
    try:
        return inbox_of(check_user_id(value.removeprefix(USER_SIGN) if isinstance(value, str) else value))
    except ValueError as error:
        raise TargetError(str(error)) from None


def inbox_of(user: str) -> Target:
    """The target that is a user's inbox."""
    return Target(CHANNEL, user, user)
