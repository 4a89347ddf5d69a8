"""Shortens texts visibly, and never inside a character that a person sees as one."""

import unicodedata
from collections.abc import Callable
from typing import Final

ELLIPSIS: Final = "…"

Measure = Callable[[str], int]
"""How long a text is to the one who sets the limit. A longer text must never measure less."""

_WORD_LOOK_BACK_CHARS = 24
"""How far back a cut may move to fall between two words."""

_ZERO_WIDTH_JOINER = "\u200d"
_VIRAMA = 9
"""Combining class of the sign that binds two Indic consonants into one."""
_MARKS = frozenset({"Mn", "Me", "Mc"})


def utf8_bytes(text: str) -> int:
    """Length of `text` in bytes of UTF-8."""
    return len(text.encode())


def utf16_units(text: str) -> int:
    """Length of `text` as JavaScript and Java count; never less than its characters."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def safe_cut(text: str, place: int) -> int:
    """The last place at or before `place` where `text` may be cut: not before a combining mark, a variation selector, a skin
    tone or a vowel of a Hangul syllable, not beside a zero-width joiner, not inside a flag."""
    place = min(place, len(text))
    while 0 < place < len(text) and _belongs_together(text, place):
        place -= 1
    return place


def _belongs_together(text: str, place: int) -> bool:
    before, after = text[place - 1], text[place]
    if after < "\u0300" and before < "\u0300":
        return False
    return (
        _ZERO_WIDTH_JOINER in (before, after)
        or unicodedata.category(after) in _MARKS
        or unicodedata.combining(before) == _VIRAMA
        or "\U0001f3fb" <= after <= "\U0001f3ff"
        or "\U000e0020" <= after <= "\U000e007f"
        or "\u1160" <= after <= "\u11ff"
        or (_is_flag_half(before) and _is_flag_half(after) and _flag_halves_before(text, place) % 2 == 1)
    )


def _is_flag_half(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flag_halves_before(text: str, place: int) -> int:
    count = 0
    while count < place and _is_flag_half(text[place - 1 - count]):
        count += 1
    return count


def largest(fits: Callable[[int], bool], upper: int) -> int:
    """The largest number from 0 to `upper` for which `fits`, found by halving; 0 also when none does."""
    low, high = 0, upper
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle):
            low = middle
        else:
            high = middle - 1
    return low


def shorten(text: str, limit: int, measure: Measure = len) -> str:
    """`text` if it measures at most `limit`; else the start of it and an ellipsis, which together do.

    Empty when not even the ellipsis fits. A cut falls between words where one ends nearby.
    """
    # No character measures less than one, so nothing past `limit` characters can stay.
    start = text[: limit + 1] if limit >= 0 else ""
    if len(start) == len(text) and measure(text) <= limit:
        return text
    if measure(ELLIPSIS) > limit:
        return ""
    place = safe_cut(text, largest(lambda n: measure(start[:n]) + measure(ELLIPSIS) <= limit, len(start)))
    kept = start[:place]
    between_words = max(kept.rfind(" "), kept.rfind("\n"))
    if between_words > place - _WORD_LOOK_BACK_CHARS and between_words > place // 2 and not text[place].isspace():
        kept = kept[:between_words]
    return kept.rstrip() + ELLIPSIS
