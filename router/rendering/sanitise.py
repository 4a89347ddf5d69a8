"""The one function that makes HTML from an app safe, and the only place that knows bleach.

bleach gets no more releases (ground.md 12). What replaces it needs the same three tables; the tests hold the result
against nh3.
"""

import re
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING, Final

from router.rendering.normalise import normalise
from router.rendering.policy import SCHEMES, TAGS, allows

if TYPE_CHECKING:
    import bleach

_BARE_TAG: Final = re.compile(rf"</?(?:{'|'.join(sorted(TAGS))})>")
"""A tag that may stay, without an attribute."""
_TURN: Final = Lock()
"""A cleaner cleans one text at a time (bleach's own warning)."""


def sanitise(raw: str) -> str:
    """HTML as an app wrote it, however broken or hostile, as balanced HTML that keeps to `policy`. Never raises."""
    balanced = normalise(raw)
    if "<" not in _BARE_TAG.sub("", balanced):
        # Nothing in it that bleach could take away, as in most of what apps write; and bleach takes its time.
        return balanced
    with _TURN:
        return _cleaner().clean(balanced)


@cache
def _cleaner() -> "bleach.Cleaner":
    """Made once: making one takes longer than cleaning a short text. It starts each text afresh. Bleach is imported when it is
    first needed, so that a router that starts is not kept waiting."""
    import bleach

    return bleach.Cleaner(
        tags=TAGS,
        attributes=allows,
        # `mxc` passes here for pictures only: `allows` has told links apart already.
        protocols=SCHEMES | {"mxc"},
        strip=True,
        strip_comments=True,
    )
