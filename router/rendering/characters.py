"""Makes any text safe to hand on: no control characters, no half characters."""

import re

# C0 and C1 controls and DEL, but for tab, line feed and NEL (U+0085), which is a line break to those who know it.
_CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f]")
_LINE_ENDS = re.compile("\r\n|[\r\x0b\x0c]")
# Half of a UTF-16 pair: JSON can spell one (`"\ud800"`), UTF-8 cannot.
_SURROGATES = re.compile("[\ud800-\udfff]")


def tidy(text: str) -> str:
    """`text` without control characters, line ends as `\\n`, half characters as U+FFFD. All else stays as it is."""
    if text.isprintable():
        return text
    text = _LINE_ENDS.sub("\n", text)
    text = _CONTROLS.sub("", text)
    return _SURROGATES.sub("\ufffd", text)


def one_line(text: str | None) -> str:
    """`text` tidied, with every run of space and line breaks (U+2028 and its like too) as one space; empty for None."""
    return " ".join(tidy(text or "").split())
