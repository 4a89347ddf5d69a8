"""Pure: refuses the blocks that Slack refuses (Block Kit reference; wire-formats 2, Limits)."""

from collections.abc import Callable
from typing import Final

from router.documents.json_types import JsonObject, JsonValue

MAX_BLOCKS: Final = 50
MAX_ALL_BLOCKS_CHARS: Final = 13_200
"""Undocumented: near this many characters in all blocks together Slack says `msg_blocks_too_long` (slackapi/bolt-js#2509)."""


def units(text: str) -> int:
    """The length of `text` as the strictest reader would count it, in UTF-16 units: an emoji is two."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


class BlockError(ValueError):
    """A block that Slack refuses; `error` is Slack's word for it."""

    def __init__(self, place: str, why: str, error: str = "invalid_blocks") -> None:
        super().__init__(f"{place}: {why}")
        self.error = error


def check_blocks(blocks: JsonValue) -> None:
    """Raises BlockError for the first fault."""
    if not isinstance(blocks, list):
        raise BlockError("blocks", "must be a list", "invalid_blocks_format")
    if len(blocks) > MAX_BLOCKS:
        raise BlockError("blocks", f"more than {MAX_BLOCKS}")
    block_ids: list[str] = []
    for number, block in enumerate(blocks):
        place = f"blocks[{number}]"
        if not isinstance(block, dict):
            raise BlockError(place, "must be an object", "invalid_blocks_format")
        kind = block.get("type")
        check = _BLOCKS.get(kind) if isinstance(kind, str) else None
        if check is None:
            raise BlockError(place, f"unsupported type {kind!r}")
        block_id = block.get("block_id")
        if block_id is not None:
            block_ids.append(_text(block_id, f"{place}.block_id", 255))
        check({key: value for key, value in block.items() if key not in ("type", "block_id")}, place)
    if len(set(block_ids)) != len(block_ids):
        raise BlockError("blocks", "block_id used twice")
    if sum(map(_chars, blocks)) > MAX_ALL_BLOCKS_CHARS:
        raise BlockError("blocks", "too long together", "msg_blocks_too_long")


def _chars(value: JsonValue) -> int:
    """The characters of all texts inside."""
    if isinstance(value, dict):
        return sum(map(_chars, value.values()))
    if isinstance(value, list):
        return sum(map(_chars, value))
    return units(value) if isinstance(value, str) else 0


def _only(block: JsonObject, place: str, *keys: str) -> None:
    unknown = set(block) - set(keys)
    if unknown:
        raise BlockError(place, f"unknown keys {sorted(unknown)}")


def _text(value: JsonValue, place: str, longest: int) -> str:
    if not isinstance(value, str):
        raise BlockError(place, "must be a text")
    if not 1 <= units(value) <= longest:
        raise BlockError(place, f"must have 1 to {longest} characters, not {units(value)}")
    return value


def _text_object(value: JsonValue, place: str, longest: int, *kinds: str) -> None:
    if not isinstance(value, dict):
        raise BlockError(place, "must be a text object")
    _only(value, place, "type", "text", "emoji", "verbatim")
    kind = value.get("type")
    if kind not in kinds:
        raise BlockError(place, f"type must be one of {kinds}, not {kind!r}")
    _text(value.get("text"), f"{place}.text", longest)
    for key, owner in (("emoji", "plain_text"), ("verbatim", "mrkdwn")):
        if key in value and (kind != owner or not isinstance(value[key], bool)):
            raise BlockError(place, f"{key} is a boolean of {owner} only")


def _section(block: JsonObject, place: str) -> None:
    _only(block, place, "text", "fields", "accessory", "expand")
    if "text" not in block and "fields" not in block:
        raise BlockError(place, "needs text or fields")
    if "text" in block:
        _text_object(block["text"], f"{place}.text", 3000, "mrkdwn", "plain_text")
    fields = block.get("fields", [{"type": "plain_text", "text": "-"}])
    if not isinstance(fields, list) or not 1 <= len(fields) <= 10:
        raise BlockError(place, "fields must be a list of 1 to 10")
    for number, part in enumerate(fields):
        _text_object(part, f"{place}.fields[{number}]", 2000, "mrkdwn", "plain_text")
    if "accessory" in block:
        _element(block["accessory"], f"{place}.accessory")


def _header(block: JsonObject, place: str) -> None:
    _only(block, place, "text")
    _text_object(block.get("text"), f"{place}.text", 150, "plain_text")


def _divider(block: JsonObject, place: str) -> None:
    _only(block, place)


def _context(block: JsonObject, place: str) -> None:
    _only(block, place, "elements")
    elements = block.get("elements")
    if not isinstance(elements, list) or not 1 <= len(elements) <= 10:
        raise BlockError(place, "elements must be a list of 1 to 10")
    for number, element in enumerate(elements):
        _text_object(element, f"{place}.elements[{number}]", 2000, "mrkdwn", "plain_text")


def _actions(block: JsonObject, place: str) -> None:
    _only(block, place, "elements")
    elements = block.get("elements")
    if not isinstance(elements, list) or not 1 <= len(elements) <= 25:
        raise BlockError(place, "elements must be a list of 1 to 25")
    ids = [_element(element, f"{place}.elements[{number}]") for number, element in enumerate(elements)]
    named = [name for name in ids if name is not None]
    if len(set(named)) != len(named):
        raise BlockError(place, "action_id used twice")


def _element(value: JsonValue, place: str) -> str | None:
    """Check a button, the only element there is here; give its action_id."""
    if not isinstance(value, dict) or value.get("type") != "button":
        raise BlockError(place, "must be a button")
    _only(value, place, "type", "text", "url", "action_id", "value", "style", "accessibility_label")
    _text_object(value.get("text"), f"{place}.text", 75, "plain_text")
    if "url" in value and not _text(value["url"], f"{place}.url", 3000).lower().startswith(("http://", "https://")):
        raise BlockError(f"{place}.url", "must be an http or https address")
    if "style" in value and value["style"] not in ("primary", "danger"):
        raise BlockError(f"{place}.style", "must be primary or danger")
    for key, longest in (("value", 2000), ("accessibility_label", 75)):
        if key in value:
            _text(value[key], f"{place}.{key}", longest)
    return _text(value["action_id"], f"{place}.action_id", 255) if "action_id" in value else None


def _markdown(block: JsonObject, place: str) -> None:
    _only(block, place, "text")
    _text(block.get("text"), f"{place}.text", 12_000)


_BLOCKS: Final[dict[str, Callable[[JsonObject, str], None]]] = {
    "section": _section,
    "header": _header,
    "divider": _divider,
    "context": _context,
    "actions": _actions,
    "markdown": _markdown,
}
