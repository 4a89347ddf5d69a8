"""JSON bodies as bytes, both ways: fast where it can be, and right for what is odd."""

import json
from typing import cast

import orjson

from router.documents.json_types import JsonValue


def encode(value: object) -> bytes:
    """`value` as JSON. Raises ValueError or TypeError when it cannot be written so."""
    try:
        return orjson.dumps(value)
    except TypeError:
        # orjson writes neither a whole number past 64 bits nor half of a surrogate pair; JSON has both.
        return json.dumps(value, allow_nan=False).encode("ascii")


def decode(body: bytes) -> JsonValue:
    """The value that the JSON `body` holds. Half a surrogate pair, which no UTF-8 can hold, is read as U+FFFD.

    Raises ValueError when `body` is no JSON, or nested deeper than can be read.
    """
    try:
        return cast("JsonValue", orjson.loads(body))
    except orjson.JSONDecodeError:
        # PouchDB keeps an escaped half of a surrogate pair, which orjson refuses. One such document must stop nobody.
        try:
            text = json.dumps(json.loads(body), ensure_ascii=False)
        except RecursionError:
            raise ValueError("is nested too deep") from None
        whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        return cast("JsonValue", orjson.loads(whole))
