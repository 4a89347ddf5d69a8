"""Puts subject, text and link together as plain text, within a limit if there is one."""

from router.documents.message import Link
from router.rendering.characters import one_line
from router.rendering.lines import same_address
from router.rendering.shorten import Measure, shorten

_HEAD_SHARE = 3
"""The link's own words give way when they leave less than a third of the room to subject and text."""


def link_text(link: Link) -> str:
    """What a link says, on one line: its text, or its address."""
    return one_line(link.text) or link.url


def link_line(link: Link | None) -> str:
    """A link as one line of plain text: `Open order: https://…`, or the address alone; empty for none."""
    if link is None:
        return ""
    text = one_line(link.text)
    return link.url if not text or same_address(text, link.url) else f"{text}: {link.url}"


def compose(subject: str, text: str, link: Link | None) -> str:
    """Subject, text and link below one another; an empty line sets the link apart from a text of many lines."""
    between = "\n\n" if "\n" in text else "\n"
    return between.join(filter(None, ("\n".join(filter(None, (subject, text))), link_line(link))))


def compose_within(subject: str, text: str, link: Link | None, limit: int, measure: Measure) -> str:
    """Subject, text and link, measuring at most `limit` together.

    The text gives way first, then the subject, then the link's words; its address stays whole, or is left out where it
    cannot fit.
    """
    head = "\n".join(filter(None, (subject, text)))
    if link is None:
        return shorten(head, limit, measure)
    whole = "\n".join(filter(None, (head, link_line(link))))
    if measure(whole) <= limit:
        return whole
    for tail, least_room in ((link_line(link), limit // _HEAD_SHARE), (link.url, 0)):
        room = limit - measure("\n" + tail)
        if room >= least_room:
            kept = shorten(head, room, measure)
            return f"{kept}\n{tail}" if kept else tail
    return link.url if measure(link.url) <= limit else shorten(head, limit, measure)
