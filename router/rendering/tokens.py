"""Reads raw HTML, however broken, as a row of texts and tags, in one pass and in time that grows with its length only."""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.entities import html5
from typing import Final

from router.rendering.characters import tidy


@dataclass(frozen=True, slots=True)
class Start:
    """A start tag: its name in small letters, its attributes with entities read."""

    name: str
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class End:
    """An end tag."""

    name: str


Token = str | Start | End
"""A piece of text with entities read, or a tag."""

UNSHOWN: Final = frozenset({"script", "style", "title", "iframe", "noembed", "noframes", "noscript"})
"""Elements whose content is no text for people: it is left out together with them."""

_NAME = re.compile(r"</?([A-Za-z][^ \t\n/>]*)")
# Possessive throughout (`++`), so that no input makes the pattern try twice. An unclosed quote is taken for a stray
# character rather than for an attribute that reaches to the end of the message.
_ATTRIBUTE = re.compile(
    r"""[ \t\n/]*+ (?: (?P<end>>)
    | (?P<name>[^ \t\n/>][^ \t\n/>=]*+)
      (?: [ \t\n]*+ = [ \t\n]*+ (?: "(?P<double>[^"]*+)" | '(?P<single>[^']*+)' | (?P<bare>[^ \t\n>"'][^ \t\n>]*+) ) )?+ )""",
    re.VERBOSE,
)
# `<john@example.org>` and `<https://example.org>` are tags to a browser, which shows nothing; people mean the address.
_ADDRESS = re.compile(r"""<(?:(?:https?|ftp|mailto):[^\s<>"']*+|[^\s<>@/"'=]++@[^\s<>"'=]++)>""")
# Only what ends in `;` is read: `?a=1&copy=2` is an address, not a copyright sign. The lengths keep numbers readable to Python.
_REFERENCE = re.compile(r"&(?:(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,7})|([A-Za-z][A-Za-z0-9]{1,31}));")
_COMMENT_END = re.compile("--!?>")


def _character(found: re.Match[str]) -> str:
    return html.unescape(found[0]) if found[1] else html5.get(f"{found[2]};", found[0])


def read_text(raw: str) -> str:
    """`raw` with entities read as the characters they stand for."""
    return tidy(_REFERENCE.sub(_character, raw)) if "&" in raw else raw


def tokens(raw: str) -> Iterator[Token]:
    """Every text and tag in `raw` (tidied already), in order. Comments and `UNSHOWN` elements are left out."""
    last_end = raw.rfind(">")
    position = 0
    while position < len(raw):
        opening = raw.find("<", position)
        if opening < 0:
            opening = len(raw)
        if opening > position:
            yield read_text(raw[position:opening])
            position = opening
        elif raw.startswith("<!--", position):
            position = _after_comment(raw, position)
        elif position > last_end:
            # No `>` up to the end: not tags but text, shown as it stands so that nothing is lost.
            yield read_text(raw[position:])
            return
        elif (name := _NAME.match(raw, position)) is None or _ADDRESS.match(raw, position):
            after = None if name else _after_bogus_comment(raw, position)
            if after is None:
                yield "<"
            position = after or position + 1
        else:
            attributes: dict[str, str] = {}
            position = _read_attributes(raw, name.end(), attributes)
            tag = name[1].lower()
            if name[0].startswith("</"):
                yield End(tag)
            elif tag in UNSHOWN:
                position = _before_end_tag(raw, position, tag)
            else:
                yield Start(tag, attributes)


def _read_attributes(raw: str, position: int, attributes: dict[str, str]) -> int:
    """Fill `attributes`; give the place behind the tag's `>`, or the end of `raw` when there is none."""
    while found := _ATTRIBUTE.match(raw, position):
        position = found.end()
        if found["end"]:
            return position
        value = found["double"] or found["single"] or found["bare"] or ""
        attributes.setdefault(found["name"].lower(), read_text(value))
    return len(raw)


def _before_end_tag(raw: str, position: int, tag: str) -> int:
    closing = re.compile(rf"</{tag}(?=[ \t\n/>])", re.IGNORECASE).search(raw, position)
    return closing.start() if closing else len(raw)


def _after_comment(raw: str, position: int) -> int:
    # `<!-->` and `<!--->` are whole comments. One without an end reaches to the end of the text.
    for short in ("<!-->", "<!--->"):
        if raw.startswith(short, position):
            return position + len(short)
    closing = _COMMENT_END.search(raw, position + 4)
    return closing.end() if closing else len(raw)


def _after_bogus_comment(raw: str, position: int) -> int | None:
    """The place behind `<!doctype …>`, `<?xml …>` or `</ …>`; None when `<` starts nothing of the kind."""
    if raw[position + 1 : position + 2] not in ("!", "?", "/"):
        return None
    return raw.find(">", position) + 1
