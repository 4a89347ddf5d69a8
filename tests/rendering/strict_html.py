"""Reads HTML as strictly as can be: raises for anything but balanced, allowed, fully escaped markup."""

import re

from router.rendering.policy import ATTRIBUTES, MAX_DEPTH, TAGS, VOID

_TOKEN = re.compile(
    r"<(?P<close>/?)(?P<name>[a-z][a-z0-9]*)(?P<attributes>(?: [a-z-]+=\"[^\"<>]*\")*)>|(?P<text>[^<>]+)"
)
_ATTRIBUTE = re.compile(r" ([a-z-]+)=\"([^\"<>]*)\"")
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|#x27);")


class NotStrictError(AssertionError):
    """What is wrong, and where."""


def check(markup: str) -> None:
    """Raises NotStrictError for the first fault."""
    position = 0
    is_open: list[str] = []
    while position < len(markup):
        found = _TOKEN.match(markup, position)
        if found is None:
            raise NotStrictError(f"stray markup: {markup[position : position + 60]!r}")
        position = found.end()
        if "&" in _ENTITY.sub("", found[0]):
            raise NotStrictError(f"an ampersand that is no entity: {found[0][:60]!r}")
        if found["text"]:
            if is_open and is_open[-1] in ("table", "thead", "tbody", "tr", "ul", "ol") and found["text"].strip():
                raise NotStrictError(f"text {found['text'][:60]!r} right inside {is_open[-1]}")
            continue
        name = found["name"]
        if name not in TAGS:
            raise NotStrictError(f"the tag {name} is not allowed")
        if found["close"]:
            if not is_open or is_open.pop() != name:
                raise NotStrictError(f"</{name}> closes nothing")
            continue
        for attribute, _ in _ATTRIBUTE.findall(found["attributes"]):
            if attribute not in ATTRIBUTES.get(name, {}):
                raise NotStrictError(f"{name} may not have {attribute}")
        if name not in VOID:
            is_open.append(name)
        if len(is_open) > MAX_DEPTH:
            raise NotStrictError("nested too deeply")
    if is_open:
        raise NotStrictError(f"never closed: {is_open}")
