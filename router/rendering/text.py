"""Plain text from laid-out lines: what a person reads where nothing can be formatted."""

from router.rendering.lines import Line, Span, same_address

_RULE = "---"


def to_text(lines: list[Line]) -> str:
    """The lines as text: lists and quotes marked, links as `text (url)` or, where both say the same, as the text alone."""
    ends = _last_places_of_links(lines)
    out: list[str] = []
    for number, line in enumerate(lines):
        if line.gap:
            out.append(("> " * min(line.quote, lines[number - 1].quote if number else 0)).rstrip())
        if line.kind == "rule":
            words = _RULE
        elif line.kind == "pre":
            words = line.text
        else:
            words = "".join(_span(span, ends.get((number, place))) for place, span in enumerate(line.spans))
        out.append((margin(line) + words).rstrip())
    return "\n".join(out)


def margin(line: Line, quote: str = "> ") -> str:
    """What stands before the line's own words: quotes, room and the item's marker."""
    marker = f"{line.marker} " if line.marker else ""
    return quote * line.quote + " " * (line.indent - len(marker)) + marker


def _span(span: Span, link_text: str | None) -> str:
    text = span.text
    if "strike" in span.styles and text.strip():
        # What was struck out must not read as if it still held.
        text = text.replace(text.strip(), f"~{text.strip()}~", 1)
    if link_text is not None and span.link is not None and not same_address(link_text, span.link.url):
        text += f" ({span.link.url.removeprefix('mailto:')})"
    return text


def _last_places_of_links(lines: list[Line]) -> dict[tuple[int, int], str]:
    """Where each link's last span is (line, span), with all of the link's text."""
    texts: dict[int, str] = {}
    places: dict[int, tuple[int, int]] = {}
    for number, line in enumerate(lines):
        for place, span in enumerate(line.spans):
            if span.link is not None:
                texts[span.link.number] = texts.get(span.link.number, "") + span.text
                places[span.link.number] = (number, place)
    return {place: texts[link] for link, place in places.items()}
