"""Bodies that mean harm: known ways of XSS, written for these tests, and shapes that parsers choke on."""

from hypothesis import settings
from hypothesis import strategies as st

examples = settings(deadline=None)
"""No deadline for one example: a busy machine is no finding. What must be quick is measured for itself."""

few_examples = settings(deadline=None, max_examples=60)
"""For what does much in one example."""

XSS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<script>alert(1)</script foo='>'>",
    "<script/x>alert(1)</script/x>",
    "</script><script>alert(1)//",
    "<img src=x onerror=alert(1)>",
    "<img src=`javascript:alert(1)`>",
    '<img src="x` `<script>alert(1)</script>"` `>',
    '<img """><script>alert(1)</script>">',
    "<img/src=x/onerror=alert(1)//>",
    "<img src=javascript:alert(1)>",
    "<img src=https://tracker.example/pixel.gif>",
    "<img src=mxc://a/b onload=alert(1)>",
    "<a href=javascript:alert(1)>x</a>",
    "<a href='JaVaScRiPt:alert(1)'>x</a>",
    "<a href='java\tscript:alert(1)'>x</a>",
    "<a href='java\nscript:alert(1)'>x</a>",
    "<a href='java&#10;script:alert(1)'>x</a>",
    "<a href='&#106;avascript:alert(1)'>x</a>",
    "<a href='&#x6A;&#x61;vascript&colon;alert(1)'>x</a>",
    "<a href='\x01javascript:alert(1)'>x</a>",
    "<a href='  javascript:alert(1)'>x</a>",
    "<a href='\u00a0javascript:alert(1)'>x</a>",
    "<a href='javascript&NewLine;:alert(1)'>x</a>",
    "<a href='vbscript:msgbox(1)'>x</a>",
    "<a href='data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg=='>x</a>",
    "<a href='http:javascript:alert(1)'>x</a>",
    "<a href='//evil.example'>x</a>",
    "<a href='/relative'>x</a>",
    "<a href='file:///etc/passwd'>x</a>",
    "<a href='https://good.example' onclick=alert(1) style='position:fixed'>x</a>",
    '<a href="https://x.example/?a=&quot; onmouseover=alert(1) b=&quot;">x</a>',
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><a xlink:href='javascript:alert(1)'><text>x</text></a></svg>",
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<math><mi xlink:href='data:x,<script>alert(1)</script>'>x</mi></math>",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<noembed><img src='</noembed><script>alert(1)</script>'>",
    "<noframes><p title='</noframes><script>alert(1)</script>'>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc='<script>alert(1)</script>'>",
    "<object data=javascript:alert(1)></object>",
    "<embed src=javascript:alert(1)>",
    "<base href=javascript:alert(1)//>",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<style>@import 'javascript:alert(1)'; body{background:url(//evil.example)}</style>",
    "<div style='background:url(javascript:alert(1))'>x</div>",
    "<div style='width: expression(alert(1))'>x</div>",
    "<body onload=alert(1)>x",
    "<details open ontoggle=alert(1)>x</details>",
    "<table background=javascript:alert(1)><td background=x onclick=alert(1)>x",
    "<input autofocus onfocus=alert(1)>",
    "<select><template><img src=x onerror=alert(1)></template></select>",
    "<textarea></textarea><img src=x onerror=alert(1)></textarea>",
    "<title><img src=x onerror=alert(1)></title>",
    "<xmp><img src=x onerror=alert(1)></xmp>",
    "<plaintext><script>alert(1)</script>",
    "<!--><script>alert(1)</script>-->",
    "<!-- --!><script>alert(1)</script> -->",
    "<!--[if IE]><script>alert(1)</script><![endif]-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?xml version='1.0'?><script>alert(1)</script>",
    "<!DOCTYPE html><html><head><title>t</title></head><body onload=alert(1)>x</body></html>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&amp;lt;script&amp;gt;alert(1)",
    "&#60;script&#62;alert(1)&#60;/script&#62;",
    "<<script>alert(1)</script>",
    "<b <script>alert(1)</script>>x</b>",
    "<b/onmouseover=alert(1)>x",
    "<p/id=x/onclick=alert(1)>x",
    "<code class='language-x\" onclick=alert(1) \"'>x</code>",
    "<span data-mx-color='red;background:url(x)' data-mx-bg-color='#12345g'>x</span>",
    "<ol start='1 onclick=alert(1)'><li>x</ol>",
    "<a target=_blank onclick=alert(1) href=https://x.example>x</a>",
    "<img alt='<script>alert(1)</script>'>",
    "<img src='mxc://a/b' alt='\"><script>alert(1)</script>'>",
    "<xss style='behavior:url(x)'>x</xss>",
    "\x00<scr\x00ipt>alert(1)</scr\x00ipt>",
    "<a\x00 href=javascript:alert(1)>x</a>",
]
"""Each in a form of its own; all in one list, so that every channel is tried with every one."""


def _million(unit: str, before: str = "") -> str:
    return before + unit * (1_000_000 // len(unit))


HEAVY = {
    "open divs": _million("<div>"),
    "mis-nested": _million("<b><i></b>"),
    "links in links": _million("<a href=http://x.example>y"),
    "rows in cells": _million("<table><tr><td>"),
    "text between rows": _million("<tr></tr>x", "<table>" + "<b>" * 80),
    "paragraphs in many styles": _million("<p>", "<b>" * 1000),
    "many attributes": "<a " + " ".join(f"a{n}=1" for n in range(120_000)) + ">x",
    "endless number": "&#" + "1" * 1_000_000 + ";x",
    "endless number in a link": '<a href="&#' + "1" * 1_000_000 + ';">x</a>',
    "ampersands": _million("&amp;"),
    "open angles": _million("<"),
    "bogus comments": _million("<!"),
    "open comments": _million("<!--"),
    "open quotes": _million("<a b='"),
    "quotes in quotes": _million("<a b='<a b=\"") + ">",
    "open scripts": _million("<script>") + "</script",
    "short spans": _million("<b>a</b><i>b</i>"),
    "combining marks": "<b>a</b>" + "\u0301" * 1_000_000,
    "flags": "<b>a</b>" + "\U0001f1e6" * 1_000_000,
    "spaces": _million(" \n", "<b>x"),
    "line breaks": _million("x<br>", "<blockquote>" * 90),
    "list items": _million("<li>x"),
    "verbatim lines": _million("x\n", "<pre>"),
}
"""A megabyte each of what makes a parser's time grow faster than its input."""

_NAMES = [
    *("a", "b", "i", "em", "p", "div", "ul", "ol", "li", "table", "tr", "td", "th", "tbody", "caption", "pre", "code"),
    *("blockquote", "h1", "h2", "br", "hr", "img", "span", "del", "sup", "details", "summary"),
    *(
        "script",
        "style",
        "svg",
        "math",
        "title",
        "textarea",
        "iframe",
        "template",
        "select",
        "option",
        "xmp",
        "section",
    ),
]
_ATTRIBUTES = [
    *('href="https://x.example/?a=1&amp;b=2"', "href=javascript:alert(1)", "href='mailto:a@x.example'", "href=/x"),
    *("src=x", "src=mxc://a/b", "alt='a \"b\" <c>'", "onclick=alert(1)", "style='color:red'", "start=3", "start=x"),
    *('class="language-py"', "data-mx-color=#aabbcc", 'data-mx-spoiler="why"', "title='", 'a"b', "<", "=x"),
]
_TEXTS = [
    *(
        "word",
        " ",
        "\n",
        "two words",
        "&amp;",
        "&lt;b&gt;",
        "&#60;",
        "&nbsp;",
        "&",
        "<",
        ">",
        "a < b",
        '"',
        "'",
        "<!channel>",
    ),
    *(
        "<@U123>",
        "<https://x.example|y>",
        "*bold*",
        "`code`",
        "```",
        "https://x.example/a?b=1&c=2.",
        "\ud800",
        "\x00",
        "\x1b",
    ),
    *(
        "\u2028",
        "\u0085",
        "👩‍👩‍👧",
        "🇩🇪🇫🇷",
        "e\u0301",
        "한국",
        "…",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "</",
        "<a",
        "_x_",
        "@channel",
    ),
]

_starts = st.builds(
    lambda name, attributes: f"<{' '.join([name, *attributes])}>",
    st.sampled_from(_NAMES),
    st.lists(st.sampled_from(_ATTRIBUTES), max_size=2),
)
_ends = st.sampled_from(_NAMES).map(lambda name: f"</{name}>")

soup = st.lists(st.one_of(st.sampled_from(_TEXTS), st.text(max_size=12), _starts, _ends), max_size=30).map("".join)
"""HTML as no person would write it."""

markup_of_words = st.lists(
    st.one_of(st.sampled_from(["word", " ", "\n"]), st.sampled_from(_NAMES).map(lambda name: f"<{name}>"), _ends),
    max_size=30,
).map("".join)
"""Tags in any order, and words that have no `<`, `>` or `&` in them."""

any_text = st.one_of(st.text(max_size=200), st.lists(st.sampled_from(_TEXTS), max_size=20).map("".join))
"""Text of all kinds, markup of every channel among it; half characters too."""
