"""The HTML document of a mail: one card, readable in light and dark, in Outlook as on a phone."""

from html import escape
from typing import Final

from router.documents.delivery import Priority

_ACCENTS: Final = {"low": "#8a94a3", "normal": "#2563eb", "critical": "#d92d20"}
"""Colour of the card's edge and of the button, by priority."""

# What an inline style says for light, a style sheet takes back for dark: mail programs that know neither
# `color-scheme` nor the media query show the light card, or turn its colours round by themselves.
_STYLE_SHEET: Final = """
:root { color-scheme: light dark; supported-color-schemes: light dark; }
body { margin: 0; padding: 0; }
.content li > ul, .content li > ol { margin-bottom: 4px !important; }
.content blockquote > :last-child, .content li > p:last-child, .content td > :last-child { margin-bottom: 0 !important; }
@media (max-width: 620px) {
  .page { padding: 0 !important; }
  .card { border-radius: 0 !important; border-left: 0 !important; border-right: 0 !important; }
  .inside { padding: 22px 20px 24px !important; }
}
@media (prefers-color-scheme: dark) {
  body, .page { background: #101418 !important; }
  .card { background: #1a2027 !important; border-color: #303842 !important; }
  .inside, .heading, .content { color: #e4e8ed !important; }
  .content a { color: #8ab8ff !important; }
  .content blockquote { color: #a9b3bf !important; border-color: #46505c !important; }
  .content pre, .content code, .content th { background: #262e37 !important; color: #e4e8ed !important; }
  .content td, .content th, .content hr { border-color: #3a444f !important; }
}
"""

_FONT: Final = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif"

_PAGE: Final = """\
<!doctype html>
<html lang="und">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{title}</title>
<style>{style_sheet}</style>
</head>
<body style="margin:0;padding:0;background:#f1f3f6">
{preview}<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0"><tr>
<td class="page" align="center" style="padding:28px 12px;background:#f1f3f6">
<table class="card" role="presentation" width="600" cellpadding="0" cellspacing="0" border="0" style="{card}">
<tr><td style="height:4px;line-height:4px;font-size:0;background:{accent};border-radius:9px 9px 0 0">&nbsp;</td></tr>
<tr><td class="inside" style="{inside};{font}">
{heading}{content}{button}</td></tr>
</table>
</td></tr></table>
</body>
</html>
"""

_CARD: Final = (
    "width:100%;max-width:600px;background:#ffffff;border:1px solid #dfe3e8;border-radius:10px;border-collapse:separate"
)

_INSIDE: Final = (
    "padding:26px 32px 28px;text-align:left;font-size:16px;line-height:1.55;color:#1f2733;word-break:break-word"
)

_HEADING: Final = (
    '<h1 class="heading" style="margin:0 0 {below};font-size:21px;line-height:1.3;font-weight:650;color:#10161f">'
    "{text}</h1>\n"
)

_PREVIEW: Final = (
    '<div style="display:none;max-height:0;max-width:0;overflow:hidden;opacity:0;font-size:1px;line-height:1px;mso-hide:all">'
    "{text}</div>\n"
)

# Outlook paints a cell but not a link, so the colour is the cell's and the room the link's.
_BUTTON: Final = (
    '<table role="presentation" cellpadding="0" cellspacing="0" border="0" style="margin:{above} 0 0;'
    'border-collapse:separate"><tr>'
    '<td style="border-radius:7px;background:{accent}"><a href="{url}" style="display:inline-block;padding:11px 22px;'
    "border-radius:7px;background:{accent};color:#ffffff;font-size:15px;font-weight:600;text-decoration:none;word-break:break-word;"
    '{font}">{text}</a></td></tr></table>\n'
)


def page(
    *,
    title: str,
    heading: str,
    preview: str,
    content: str,
    button: tuple[str, str] | None,
    priority: Priority,
) -> str:
    """The whole document. `content` is safe HTML; all else is text, and escaped here. `button` is address and words."""
    accent = _ACCENTS[priority]
    shown_button = ""
    if button is not None:
        url, words = button
        above = "22px" if content else "6px"
        shown_button = _BUTTON.format(above=above, accent=accent, url=escape(url), text=escape(words), font=_FONT)
    return _PAGE.format(
        title=escape(title),
        style_sheet=_STYLE_SHEET,
        preview=_PREVIEW.format(text=escape(preview)) if preview else "",
        card=_CARD,
        inside=_INSIDE,
        accent=accent,
        font=_FONT,
        heading=_HEADING.format(below="14px" if content else "8px", text=escape(heading)) if heading else "",
        content=f'<div class="content">\n{content}\n</div>\n' if content else "",
        button=shown_button,
    )
