"""Sphinx targets of the mapping, and what the settings lack."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.channels.base import TargetError
from router.channels.sphinx import KIND
from router.channels.sphinx.targets import Person, parse_target, person_of
from router.documents.json_types import JsonValue
from router.settings import SphinxSettings

PUBKEY = "02" + "ab" * 32
LSP = "03" + "15" * 32
HINT = f"{LSP}_529771090609569795"
WHOLE = f"{PUBKEY}_{HINT}"
SETTINGS = SphinxSettings()


@pytest.mark.parametrize(
    ("value", "address", "alias"),
    [
        (WHOLE, WHOLE, None),
        (f" {WHOLE.upper()}\n", WHOLE, None),
        (f"{PUBKEY}_{LSP}_007", f"{PUBKEY}_{LSP}_7", None),
        (PUBKEY, PUBKEY, None),
        ({"address": WHOLE}, WHOLE, None),
        ({"address": PUBKEY, "alias": " Will "}, PUBKEY, "Will"),
        ({"pubkey": PUBKEY, "route_hint": HINT}, WHOLE, None),
        ({"pubkey": PUBKEY.upper(), "route_hint": f" {HINT.upper()} ", "alias": "Will"}, WHOLE, "Will"),
        ({"pubkey": PUBKEY}, PUBKEY, None),
        ({"pubkey": PUBKEY, "route_hint": None, "alias": None, "note": 7}, PUBKEY, None),
        ({"pubkey": PUBKEY, "alias": " "}, PUBKEY, None),
    ],
)
def test_a_target_is_read(value: JsonValue, address: str, alias: str | None) -> None:
    target = parse_target(value, SETTINGS)
    assert (target.channel, target.address, target.shown) == ("sphinx", address, address)
    assert target.options.get("alias") == alias
    assert person_of(address) == Person(PUBKEY, "_" in address)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "not null"),
        (7, "a number"),
        ([WHOLE], "a list"),
        ("", "<pubkey>"),
        ("will", "<pubkey>"),
        (PUBKEY[:-1], "<pubkey>"),
        (f"04{PUBKEY[2:]}", "<pubkey>"),
        (f"{PUBKEY}_", "route hint"),
        (f"{PUBKEY}_{LSP}", "route hint"),
        (f"{PUBKEY}_{LSP}_", "route hint"),
        (f"{PUBKEY}_{LSP}_12x", "route hint"),
        (f"{PUBKEY}_{LSP}_-1", "route hint"),
        (f"{PUBKEY}_{LSP}_٣", "route hint"),
        (f"{PUBKEY}_{LSP}_{2**64}", "route hint"),
        (f"{PUBKEY}_{LSP[:-2]}_1", "route hint"),
        ({}, '"pubkey"'),
        ({"pubkey": PUBKEY, "address": WHOLE}, '"pubkey"'),
        ({"pubkey": WHOLE}, '"pubkey"'),
        ({"pubkey": 7}, '"pubkey"'),
        ({"address": None}, '"address"'),
        ({"pubkey": PUBKEY, "route_hint": 7}, '"route_hint"'),
        ({"pubkey": PUBKEY, "route_hint": ""}, "route hint"),
        ({"pubkey": PUBKEY, "route_hint": WHOLE}, "route hint"),
        ({"pubkey": PUBKEY, "alias": 7}, '"alias"'),
        ({"pubkey": PUBKEY, "alias": "a\nb"}, '"alias"'),
        ({"pubkey": PUBKEY, "alias": "x" * 101}, '"alias"'),
    ],
)
def test_a_bad_target_is_refused_with_a_sentence(value: JsonValue, says: str) -> None:
    with pytest.raises(TargetError) as caught:
        parse_target(value, SETTINGS)
    assert says in str(caught.value)


@given(
    st.text()
    | st.from_regex(r"0[23][0-9a-fA-F]{64}", fullmatch=True)
    | st.from_regex(r"0[23][0-9a-fA-F]{64}_0[23][0-9a-f]{64}_\d{1,20}", fullmatch=True)
)
def test_any_text_is_refused_or_has_an_address_that_is_read_as_itself(text: str) -> None:
    try:
        target = parse_target(text, SETTINGS)
    except TargetError:
        return
    assert parse_target(target.address, SETTINGS) == target


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (SphinxSettings(url="http://sphinx-bot:3000", admin_token="t"), ()),
        (SphinxSettings(url="https://bot.example.org/base/", admin_token="t"), ()),
        (SphinxSettings(), ("ROUTER_SPHINX__URL", "ROUTER_SPHINX__ADMIN_TOKEN")),
        (SphinxSettings(url="http://bot"), ("ROUTER_SPHINX__ADMIN_TOKEN",)),
        (SphinxSettings(admin_token="t"), ("ROUTER_SPHINX__URL",)),
        (SphinxSettings(url="bot:3000", admin_token="t"), ("ROUTER_SPHINX__URL",)),
        (SphinxSettings(url="http://u:p@bot", admin_token="t"), ("ROUTER_SPHINX__URL",)),
        (SphinxSettings(url="http://bot/?a", admin_token="t"), ("ROUTER_SPHINX__URL",)),
        (SphinxSettings(url="http://bot", admin_token="two words"), ("ROUTER_SPHINX__ADMIN_TOKEN",)),
    ],
)
def test_what_is_missing_is_one_sentence_that_names_the_variables(
    settings: SphinxSettings, says: tuple[str, ...]
) -> None:
    found = KIND.missing(settings)
    assert (found is not None) == bool(says)
    assert all(name in (found or "") for name in says)
