"""Reads a mapping from a JSON file, and finds what a JSON parser silently passes over: a key that stands twice."""

import json
from pathlib import Path

import orjson

from router.commands.output import BadArgument
from router.documents.json_types import JsonObject
from router.documents.problems import shown

MOST_KEYS = 10
"""How many repeated keys are named."""


def read_file(path: Path, mapping_id: str) -> JsonObject:
    """The mapping document in a file: the whole document, or only what stands under `mapping`. Raises BadArgument.

    A file without an `_id` gets `mapping_id`.
    """
    try:
        # Some editors begin a file with a byte order mark, which a reader may pass over (RFC 8259 section 8.1).
        text = path.read_text(encoding="utf-8-sig")
        value = orjson.loads(text)
    except OSError as error:
        raise BadArgument(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        where = f"byte 0x{error.object[error.start]:02x} at position {error.start}"
        raise BadArgument(f"{path}: is not UTF-8 ({where}); save it as UTF-8") from None
    except orjson.JSONDecodeError as error:
        raise BadArgument(f"{path}: line {error.lineno}, column {error.colno}: {error.msg}") from None
    if not isinstance(value, dict):
        raise BadArgument(f"{path}: must hold a JSON object")
    repeated = _repeated_keys(text, path)
    if repeated:
        raise BadArgument(
            f"{path}: {', '.join(map(shown, repeated[:MOST_KEYS]))} stands more than once in one object, and only the "
            "last would count; make one of them"
        )
    if "mapping" not in value and all(key.startswith("#") for key in value):
        value = {"mapping": value}
    return {"_id": mapping_id, **value}


def _repeated_keys(text: str, path: Path) -> list[str]:
    """The keys that stand more than once in an object of a JSON text that can be read, each once."""
    repeated: dict[str, None] = {}

    def look(pairs: list[tuple[str, object]]) -> None:
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                repeated[key] = None
            seen.add(key)

    try:
        json.loads(text, object_pairs_hook=look)
    except RecursionError:
        raise BadArgument(f"{path}: is nested too deep") from None
    return list(repeated)
