"""Which targets of the mapping are mailboxes, what becomes of them, and what is said of the others."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.channels.base import TargetError
from router.channels.email import KIND
from router.channels.email.mailbox import read_address, read_host, read_mailbox
from router.documents.json_types import JsonValue
from router.settings import EmailSettings

NO_SETTINGS = EmailSettings()

GOOD: list[tuple[JsonValue, str, str | None]] = [
    ("will@half-shot.uk", "will@half-shot.uk", None),
    ("  will@half-shot.uk ", "will@half-shot.uk", None),
    ("Will@Half-Shot.UK", "Will@half-shot.uk", None),
    ("a.b+c_d-e=f!#$%&'*/?^`{|}~@example.org", "a.b+c_d-e=f!#$%&'*/?^`{|}~@example.org", None),
    ("root@localhost", "root@localhost", None),
    ("x@r3---sn-aigl6.example.com", "x@r3---sn-aigl6.example.com", None),
    ("Will Hunt <will@example.org>", "will@example.org", "Will Hunt"),
    ("<will@example.org>", "will@example.org", None),
    ('"Hunt, Will" <will@example.org>', "will@example.org", "Hunt, Will"),
    ('"Will \\"the\\" Hunt" <will@example.org>', "will@example.org", 'Will "the" Hunt'),
    ("Jürgen Müller <j@example.org>", "j@example.org", "Jürgen Müller"),
    ("Will   Hunt <will@example.org>", "will@example.org", "Will Hunt"),
    ({"address": "list@example.org", "name": "List"}, "list@example.org", "List"),
    ({"address": "list@example.org"}, "list@example.org", None),
    ({"address": "list@example.org", "name": ""}, "list@example.org", None),
    ({"address": "list@example.org", "name": None, "note": 7}, "list@example.org", None),
    ({"address": "Old <list@example.org>", "name": "New"}, "list@example.org", "New"),
    ("will@bücher.example", "will@xn--bcher-kva.example", None),
    ("will@BÜCHER.example", "will@xn--bcher-kva.example", None),
    ("will@bu\u0308cher.example", "will@xn--bcher-kva.example", None),
    ("will@xn--bcher-kva.example", "will@xn--bcher-kva.example", None),
    ("will@XN--BCHER-KVA.example", "will@xn--bcher-kva.example", None),
    ("will@faß.example", "will@xn--fa-hia.example", None),
    ("will@例え。テスト", "will@xn--r8jz45g.xn--zckzah", None),
    ("jürgen@example.org", "jürgen@example.org", None),
    ("用户@例子.example", "用户@xn--fsqu00a.example", None),
    ("l" * 64 + "@example.org", "l" * 64 + "@example.org", None),
]


@pytest.mark.parametrize(("value", "address", "name"), GOOD)
def test_a_mailbox_is_read(value: JsonValue, address: str, name: str | None) -> None:
    target = KIND.parse_target(value, NO_SETTINGS)

    assert (target.channel, target.address, target.options.get("name")) == ("email", address, name)
    assert not target.is_secret


BAD: list[tuple[JsonValue, str]] = [
    (None, "not null"),
    (42, "not a number"),
    (["a@example.org"], "not a list"),
    ({}, '"address"'),
    ({"address": 42}, "not a number"),
    ({"address": "a@example.org", "name": 7}, '"name", not a number'),
    ("", "empty"),
    ("   ", "empty"),
    ("will", "such as will@example.org"),
    ("@example.org", "such as will@example.org"),
    ("will@", "such as will@example.org"),
    ("will @example.org", "without spaces"),
    ("will@exam ple.org", "without spaces"),
    ("will@example.org\r\nBcc: evil@example.com", "without spaces"),
    ("will\x00@example.org", "control characters"),
    ("will\u202e@example.org", "control characters"),
    ("w\udc80@example.org", "control characters"),
    ("a@example.org, b@example.org", "without spaces"),
    ("a@example.org,b@example.org", "write several as a list"),
    ("a@example.org;b@example.org", "write several as a list"),
    ("mailto:a@example.org", "without mailto:"),
    ('"will hunt"@example.org', "without"),
    ('"will"@example.org', "without quotes"),
    ("will(comment)@example.org", "without quotes and comments"),
    ("will<x>@example.org", "such as will@example.org"),
    ("a@b@example.org", "'@' before the @"),
    (".will@example.org", "dots only between"),
    ("will.@example.org", "dots only between"),
    ("wi..ll@example.org", "dots only between"),
    ("wi\\ll@example.org", "without '\\\\' before the @"),
    ("=?utf-8?q?=0aBcc?=@example.org", "without =?"),
    ("l" * 65 + "@example.org", "at most 64 bytes"),
    ("ü" * 33 + "@example.org", "at most 64 bytes"),
    ("will@" + "a" * 64 + ".example", "must have a domain"),
    ("w" * 60 + "@" + ".".join(["a" * 60] * 3) + ".example.org", "at most 254 bytes"),
    ("will@" + ".".join(["a" * 60] * 5), "must have a domain"),
    ("will@[192.0.2.1]", "not a number in brackets"),
    ("will@192.0.2.1", "a domain's name"),
    ("will@example.org.", "must have a domain"),
    ("will@.example.org", "must have a domain"),
    ("will@-example.org", "must have a domain"),
    ("will@example-.org", "must have a domain"),
    ("will@exam_ple.org", "must have a domain"),
    ("will@xn--zzzzzzzz99999.org", "must have a domain"),
    ("will@💩.example", "must have a domain"),
    ("will@\u0338a.example", "must have a domain"),
    ({"address": "a@example.org", "name": "Will\r\nBcc: evil@example.com"}, "without line breaks"),
    ({"address": "a@example.org", "name": "Will\u2028Hunt"}, "without line breaks"),
    ({"address": "a@example.org", "name": "Will\ud800"}, "control characters"),
    ({"address": "a@example.org", "name": "n" * 201}, "at most 200 characters"),
    ("Will\nHunt <will@example.org>", "without line breaks"),
]


@pytest.mark.parametrize(("value", "words"), BAD)
def test_what_is_no_mailbox_is_refused_with_a_sentence(value: JsonValue, words: str) -> None:
    with pytest.raises(TargetError) as caught:
        KIND.parse_target(value, NO_SETTINGS)

    said = str(caught.value)
    assert words in said
    assert said.startswith("must ")
    assert "\n" not in said
    assert not said.endswith(".")


@given(st.text(max_size=80) | st.from_regex(r"[^\n]{0,9}<?[a-zü.\r\n ]{1,9}@[a-zü.\r\n ]{1,12}>?", fullmatch=True))
def test_whatever_the_text_it_is_a_safe_mailbox_or_refused(text: str) -> None:
    try:
        target = KIND.parse_target(text, NO_SETTINGS)
    except TargetError:
        return
    local, _, domain = target.address.rpartition("@")
    assert local
    assert domain.isascii()
    assert domain == domain.lower()
    assert not any(char.isspace() or not char.isprintable() or char in '<>"(),;:\\' for char in target.address)
    assert not set(target.options.get("name", "")) & set("\r\n\x00")
    # What was made of it is its own canonical form.
    assert read_address(target.address).address == target.address


@given(
    local=st.from_regex(r"[a-zA-Z0-9]{1,10}", fullmatch=True),
    labels=st.lists(st.from_regex(r"[a-z0-9äöüéñ]{1,10}", fullmatch=True), min_size=1, max_size=3),
)
def test_every_spelling_of_a_domain_is_one_target(local: str, labels: list[str]) -> None:
    domain = ".".join(labels) + ".example"
    canonical = read_mailbox(f"{local}@{domain}")
    for spelling in (domain.upper(), canonical.domain, canonical.domain.upper()):
        assert read_mailbox(f"Some Name <{local}@{spelling}>").address == canonical.address


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("mail.example.org", "mail.example.org"),
        ("Mail.Example.ORG", "mail.example.org"),
        ("mail_catcher", "mail_catcher"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
        ("post.bücher.example", "post.xn--bcher-kva.example"),
    ],
)
def test_a_server_is_a_name_or_a_number(text: str, host: str) -> None:
    assert read_host(text) == host


@pytest.mark.parametrize(
    "text", ["", "mail.example.org:25", "smtp://mail.example.org", "mail example", "a..b", "x\r\n"]
)
def test_anything_else_is_no_server(text: str) -> None:
    with pytest.raises(ValueError, match="must be a server's name"):
        read_host(text)
