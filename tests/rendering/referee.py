"""nh3, an independent sanitiser with the same list: what it would still change in our HTML is a finding."""

import nh3

from router.rendering.policy import ATTRIBUTES, SCHEMES, TAGS
from router.rendering.tree import Element, read


def seen_by_us(markup: str) -> Element:
    return read(markup)


def seen_by_nh3(markup: str, *more_attributes: str) -> Element:
    """The tree of `markup` as a browser's parser reads it, less what nh3 removes."""
    allowed = {tag: set(ATTRIBUTES.get(tag, {})) | set(more_attributes) for tag in TAGS}
    cleaned = nh3.clean(
        markup,
        tags=set(TAGS),
        attributes=allowed,
        url_schemes=set(SCHEMES | {"mxc"}),
        link_rel=None,
    )
    return read(cleaned)
