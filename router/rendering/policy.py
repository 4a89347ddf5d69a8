"""What HTML may stay: the Matrix specification's list of tags, attributes and schemes, which is ours for every channel.

Source: Matrix client-server API, `m.room.message` msgtypes (wire-formats.md 3).
"""

import re
from typing import Final

HEADINGS: Final = frozenset({"h1", "h2", "h3", "h4", "h5", "h6"})
TABLE_PARTS: Final = frozenset({"caption", "thead", "tbody", "tr", "th", "td"})
VOID: Final = frozenset({"br", "hr", "img"})
"""Elements that have no content and no end tag."""

BLOCKS: Final = (
    HEADINGS | TABLE_PARTS | {"blockquote", "details", "div", "hr", "li", "ol", "p", "pre", "summary", "table", "ul"}
)
"""Elements that start on a line of their own."""

_INLINE = frozenset({"a", "b", "br", "code", "del", "em", "i", "img", "s", "span", "strong", "sub", "sup", "u"})

TAGS: Final = BLOCKS | _INLINE

SCHEMES: Final = frozenset({"http", "https", "ftp", "mailto", "magnet"})
"""What an address in a link may start with. Pictures are `mxc:` only."""

MAX_DEPTH: Final = 100
"""Elements inside one another, at most; the specification's own advice."""

_ANY = re.compile(r"[\s\S]*")
_SIZE = re.compile(r"[0-9]{1,5}")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")

ATTRIBUTES: Final[dict[str, dict[str, re.Pattern[str]]]] = {
    # Absolute addresses only: a message has no page that a relative one could start from.
    "a": {"href": re.compile(r"(?i:(?:https?|ftp)://[^/?#]|mailto:|magnet:)[\s\S]*"), "target": re.compile(r"_blank")},
    "img": {"src": re.compile(r"mxc://[\s\S]+"), "alt": _ANY, "title": _ANY, "width": _SIZE, "height": _SIZE},
    "ol": {"start": re.compile(r"-?[0-9]{1,9}")},
    "code": {"class": re.compile(r"language-[^\s\"'<>&]{1,50}")},
    "span": {"data-mx-bg-color": _COLOUR, "data-mx-color": _COLOUR, "data-mx-spoiler": _ANY, "data-mx-maths": _ANY},
    "div": {"data-mx-maths": _ANY},
}
"""Tag to attribute to what the whole value must match."""


def allows(tag: str, attribute: str, value: str) -> bool:
    """Whether `tag` may keep `attribute` with this value."""
    pattern = ATTRIBUTES.get(tag, {}).get(attribute)
    return pattern is not None and pattern.fullmatch(value) is not None
