"""Slack's mrkdwn from laid-out lines.

Only `&`, `<` and `>` are escaped, as Slack asks; that is what makes `<!channel>`, `<@U…>` and `<url|text>` in a message
stay text (wire-formats.md 2, Limits). `*`, `_`, `~` and backticks in a text are left as they are: Slack has no escape for
them, the worst they do is to make a word bold, and an invisible character put beside them would be copied along into
somebody's terminal.
"""

import re
from typing import Final

from router.rendering.lines import Line, Span, Style
from router.rendering.shorten import ELLIPSIS, largest, safe_cut, utf16_units
from router.rendering.text import margin

_MARKS: Final[dict[Style, str]] = {"bold": "*", "italic": "_", "strike": "~", "code": "`"}
_FENCE: Final = "```"
_RULE: Final = "———"
_MAX_URL_CHARS: Final = 2000
"""A longer address does not become a link inside text, so that a line can always be split."""

_URL = re.compile(r"https?://[^\s<>|\"`]+")
_URL_END = ".,;:!?'*_~)]}"


def escape(text: str) -> str:
    """`text` so that Slack shows it as it stands."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def to_mrkdwn(lines: list[Line]) -> str:
    """The lines as one mrkdwn text."""
    out: list[str] = []
    quoted = False
    for group in _groups(lines):
        if group[0].gap and out:
            out.append(">" if group[0].quote and quoted else "")
        quoted = group[-1].quote > 0
        if group[0].kind == "pre":
            text = "\n".join(escape(line.text) for line in group)
            # A fence inside would end ours; without one the text is at least whole.
            out.append(text if _FENCE in text else f"{_FENCE}\n{text}\n{_FENCE}")
        else:
            out.append(_line(group[0]))
    return "\n".join(out)


def split(lines: list[Line], total_chars: int, part_chars: int) -> list[str]:
    """The lines as mrkdwn texts of at most `part_chars` each and `total_chars` together, cut between lines where possible.

    What is too long in all ends in an ellipsis. No part is empty. `part_chars` is at least 2,500, `total_chars` at least 20.
    """
    whole = to_mrkdwn(lines)
    if utf16_units(whole) <= min(total_chars, part_chars):
        return [whole] if whole.strip() else []
    budget = total_chars
    while True:
        parts = [text for text in map(to_mrkdwn, _parts(_shortened(lines, budget), part_chars)) if text.strip()]
        # A line that is split repeats its marks and its link's address.
        excess = sum(map(utf16_units, parts)) - total_chars
        if excess <= 0 or budget < _LEAST_ROOM:
            return parts
        budget = max(budget - excess, budget // 2)


_LEAST_ROOM = 3 + 2 * len(_FENCE) + 2 + len(ELLIPSIS)
"""What another line needs at least: a gap, fences, an ellipsis."""


def _shortened(lines: list[Line], chars: int) -> list[Line]:
    """The lines that fit in `chars`; when that is not all of them, the last ends in an ellipsis."""
    kept: list[Line] = []
    room = chars
    for number, line in enumerate(lines):
        cost = _cost(line, kept[-1] if kept else None)
        if cost + (_LEAST_ROOM if number + 1 < len(lines) else 0) > room:
            kept.append(_cut(line, room - (cost - _length(line)), mark=ELLIPSIS))
            break
        kept.append(line)
        room -= cost
    return kept


def _parts(lines: list[Line], chars: int) -> list[list[Line]]:
    """The lines in lots of at most `chars`; a line that is longer than that is split."""
    parts: list[list[Line]] = [[]]
    room = chars
    rest = list(reversed(lines))
    while rest:
        line = rest.pop()
        cost = _cost(line, parts[-1][-1] if parts[-1] else None)
        if cost <= room:
            parts[-1].append(line)
            room -= cost
        elif parts[-1]:
            parts.append([])
            room = chars
            rest.append(line._replace(gap=False))
        else:
            first = _cut(line, chars - (cost - _length(line)))
            parts[-1].append(first)
            room = 0
            rest.append(_after(line, len(first.text)))
    return parts


def _groups(lines: list[Line]) -> list[list[Line]]:
    """Preformatted lines that follow one another together, each other line alone."""
    groups: list[list[Line]] = []
    for line in lines:
        if groups and line.kind == "pre" and groups[-1][-1].kind == "pre" and not line.gap:
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


def _cost(line: Line, previous: Line | None) -> int:
    """What the line adds to a text that ends in `previous`."""
    fences = (
        2 * len(_FENCE) + 2 if line.kind == "pre" and (previous is None or previous.kind != "pre" or line.gap) else 0
    )
    return _length(line) + fences + (0 if previous is None else 1 + 2 * line.gap)


def _length(line: Line) -> int:
    return utf16_units(escape(line.text) if line.kind == "pre" else _line(line))


def _cut(line: Line, length: int, mark: str = "") -> Line:
    """The start of `line` that measures at most `length` with `mark` behind it; cut after a space where one is near."""
    text = line.text

    def start(count: int) -> Line:
        spans: list[Span] = []
        for span in line.spans:
            if count <= 0:
                break
            spans.append(span._replace(text=span.text[:count]))
            count -= len(span.text)
        return line._replace(spans=(*spans, Span(mark)) if mark else tuple(spans))

    place = safe_cut(text, largest(lambda count: _length(start(count)) <= length, min(len(text), max(length, 0))))
    space = text.rfind(" ", 0, place)
    if space > place // 2:
        place = space + 1
    if mark:
        return start(place) if _length(start(place)) <= length else Line((Span(mark),))
    return start(max(place, 1))


def _after(line: Line, count: int) -> Line:
    """What is left of `line` behind its first `count` characters."""
    spans: list[Span] = []
    for span in line.spans:
        if count < len(span.text):
            spans.append(span._replace(text=span.text[max(count, 0) :]))
        count -= len(span.text)
    return line._replace(spans=tuple(spans), marker="", gap=False)


def _line(line: Line) -> str:
    if line.kind == "rule":
        return _RULE
    # Slack knows quotes of one level only, and only at the very start of a line.
    before = margin(line._replace(quote=0, marker="•" if line.marker == "-" else line.marker))
    return (("> " if line.quote else "") + before + _spans(line.spans)).rstrip()


def _spans(spans: tuple[Span, ...]) -> str:
    out: list[str] = []
    for number, span in enumerate(spans):
        before = spans[number - 1].text[-1:] if number else ""
        after = spans[number + 1].text[:1] if number + 1 < len(spans) else ""
        # Slack sees a mark only at the edge of a word: inside one it would be shown as a stray star.
        touches_word = _is_inside_word(before, span.text[:1]) or _is_inside_word(span.text[-1:], after)
        out.append(_span(span, touches_word=touches_word))
    return "".join(out)


def _is_inside_word(before: str, after: str) -> bool:
    return before.isalnum() and after.isalnum()


def _span(span: Span, *, touches_word: bool) -> str:
    core = span.text.strip()
    if not core:
        return escape(span.text)
    start = len(span.text) - len(span.text.lstrip())
    before, after = span.text[:start], span.text[start + len(core) :]
    if span.link is not None:
        shown = _link(core, span.link.url)
    elif "code" in span.styles:
        shown = escape(core)
    else:
        shown = _linkified(core)
    if not touches_word:
        # Inside code nothing else is read, and a backtick would end it.
        if "code" in span.styles and "`" not in core:
            shown = f"`{shown}`"
        for style in ("italic", "bold", "strike"):
            if style in span.styles:
                shown = f"{_MARKS[style]}{shown}{_MARKS[style]}"
    return before + shown + after


def _address(url: str) -> str | None:
    """`url` as it may stand in a link; None when it is too long for one."""
    # `|` and `>` would end the address, a space breaks it (Slack, same page).
    url = re.sub(r"[<>|\"`\s]", lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), url)
    address = escape(url)
    return address if utf16_units(address) <= _MAX_URL_CHARS else None


def _link(text: str, url: str) -> str:
    address = _address(url)
    return escape(text) if address is None else f"<{address}|{escape(text)}>"


def _linkified(text: str) -> str:
    """`text` escaped, with the bare addresses in it as links."""
    if "://" not in text:
        return escape(text)
    out: list[str] = []
    place = 0
    for found in _URL.finditer(text):
        url = found[0].rstrip(_URL_END)
        address = _address(url)
        if address is not None and len(url) > len("https://"):
            out.append(f"{escape(text[place : found.start()])}<{address}>")
            place = found.start() + len(url)
    return "".join(out) + escape(text[place:])
