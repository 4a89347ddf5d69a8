"""Pure: the text by which a client asks for the page behind the one it has."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from uuid import UUID

from router.couch.codec import encode
from router.documents.time_ordered_id import is_time_ordered_id
from router.inbox.keys import Status

_VERSION = 1
_ID_BYTES, _CHECK_BYTES = 16, 8
CHARS = 32


def to_cursor(last_id: str, user: str, customer_id: str | None, status: Status) -> str:
    """The cursor behind the notification `last_id` of the list that the other three name: 32 characters that stand in an
    address as they are.

    It holds the id and a checksum over all four, so that one that was cut off, mended by hand, or taken over into another list
    is noticed. It is no secret and needs none: it only says where to go on among what the caller may see.
    """
    its_id = UUID(last_id).bytes
    return urlsafe_b64encode(its_id + _check(its_id, user, customer_id, status)).decode("ascii")


def from_cursor(cursor: str, user: str, customer_id: str | None, status: Status) -> str:
    """The id that `to_cursor` put into `cursor` for that list. Raises ValueError with what is wrong."""
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii")) if len(cursor) == CHARS else b""
    except (UnicodeEncodeError, binascii.Error):
        raw = b""
    its_id, check = raw[:_ID_BYTES], raw[_ID_BYTES:]
    # Decoding passes over characters that do not belong there.
    if len(check) != _CHECK_BYTES or urlsafe_b64encode(raw).decode("ascii") != cursor:
        raise ValueError("must be the cursor of an earlier page, as it was given")
    last_id = str(UUID(bytes=its_id))
    if check != _check(its_id, user, customer_id, status) or not is_time_ordered_id(last_id):
        raise ValueError("must be the cursor of an earlier page of this very list: same user, customer and status")
    return last_id


def _check(its_id: bytes, user: str, customer_id: str | None, status: Status) -> bytes:
    return sha256(encode([_VERSION, its_id.hex(), user, customer_id, status])).digest()[:_CHECK_BYTES]
