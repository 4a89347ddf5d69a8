"""Slack targets of the mapping: read, refused with a sentence, and never shown where they are secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.channels.base import Target, TargetError
from router.channels.slack import KIND
from router.channels.slack.targets import is_webhook, parse_target
from router.documents.json_types import JsonValue
from router.settings import SlackSettings

SECRET = "XXXXXXXXXXXXXXXXXXXXXXXX"
HOOK = f"https://hooks.slack.com/services/T01234567/B01234567/{SECRET}"
SHOWN = "https://hooks.slack.com/services/T012…/B012…/…"
SETTINGS = SlackSettings(webhook_hosts=("hooks.slack.com", "Hooks.Example.org:8443", "127.0.0.1:8080", "[::1]:8080"))


@pytest.mark.parametrize(
    ("value", "address"),
    [
        ("C0123ABCD", "C0123ABCD"),
        (" G0123ABCD ", "G0123ABCD"),
        ("D0123ABCD", "D0123ABCD"),
        ("U0123ABCD", "U0123ABCD"),
        ("W0123ABCD", "W0123ABCD"),
        ("general", "#general"),
        ("#general", "#general"),
        ("#größe_1-a", "#größe_1-a"),
        ({"channel": "C0123ABCD"}, "C0123ABCD"),
        ({"channel": "#general", "note": "kept and ignored"}, "#general"),
        ({"address": "general"}, "#general"),
        (HOOK, HOOK),
        ({"webhook": HOOK}, HOOK),
        ({"address": HOOK}, HOOK),
        (HOOK.replace("https://hooks.slack.com", "HTTPS://Hooks.Slack.COM"), HOOK),
        (
            HOOK.replace("hooks.slack.com", "hooks.example.org:8443"),
            HOOK.replace("hooks.slack.com", "hooks.example.org:8443"),
        ),
        (HOOK.replace("https://hooks.slack.com", "http://127.0.0.1:8080"), None),
        (HOOK.replace("https://hooks.slack.com", "http://[::1]:8080"), None),
    ],
)
def test_a_target_is_read(value: JsonValue, address: str | None) -> None:
    target = parse_target(value, SETTINGS)
    assert target.address == (address or value)
    assert is_webhook(target.address) is target.is_secret


def test_a_webhook_is_shown_without_its_secret() -> None:
    target = parse_target(HOOK, SETTINGS)
    assert target == Target("slack", HOOK, SHOWN, host="hooks.slack.com")
    assert SECRET not in target.shown


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "null"),
        (7, "a number"),
        (["C0123ABCD"], "a list"),
        ("", "#general"),
        ("#", "#general"),
        ("two words", "#general"),
        ("General", "no capital letters"),
        ("#" + "x" * 81, "#general"),
        ("hooks.slack.com/services/T01234567/B01234567/x", "C0123ABCD"),
        ({}, '"channel" and "webhook"'),
        ({"channel": "C0123ABCD", "webhook": HOOK}, '"channel" and "webhook"'),
        ({"channel": None}, "null"),
        ({"channel": HOOK}, 'under "webhook"'),
        ({"webhook": "C0123ABCD"}, "https://hooks.slack.com/services/"),
        (SHOWN, "whole address"),
        (HOOK.replace("https", "http"), "https://"),
        (HOOK.replace("https", "ftp"), "incoming webhook"),
        (HOOK.replace("hooks.slack.com", "evil.example.org"), "ROUTER_SLACK__WEBHOOK_HOSTS"),
        (HOOK.replace("hooks.slack.com", "hooks.slack.com.evil.example.org"), "ROUTER_SLACK__WEBHOOK_HOSTS"),
        (HOOK.replace("hooks.slack.com", "hooks.slack.com:8443"), "without a port"),
        (HOOK.replace("hooks.slack.com", "hooks.example.org"), "ROUTER_SLACK__WEBHOOK_HOSTS"),
        (HOOK.replace("https://hooks", "https://user:pass@hooks"), "without a user"),
        (HOOK.replace("https://hooks.slack.com", "https://hooks.slack.com@evil.example.org"), "without a user"),
        (HOOK.replace("hooks.slack.com/", "evil.example.org\\@hooks.slack.com/"), "incoming webhook"),
        (HOOK.replace("https://hooks.slack.com", "http://127.0.0.1:9999"), "ROUTER_SLACK__WEBHOOK_HOSTS"),
        (HOOK.replace("https://hooks.slack.com", "http://hooks.example.org:8443"), "https://"),
        (HOOK.replace("/services/", "/workflows/"), "whole address"),
        (HOOK.rpartition("/")[0], "whole address"),
        (HOOK + "/more", "whole address"),
        (HOOK + "?a=b", "whole address"),
        (HOOK + "#a", "whole address"),
        (HOOK.replace("/services/", "/services/../services/"), "whole address"),
        (HOOK.replace("hooks.slack.com", "[::1"), "incoming webhook"),
        (HOOK.replace("hooks.slack.com", "hooks.slack.com:99999"), "incoming webhook"),
        (HOOK.replace("services", "ser\nvices"), "incoming webhook"),
    ],
)
def test_a_bad_target_is_refused_with_a_sentence_that_holds_no_secret(value: JsonValue, says: str) -> None:
    with pytest.raises(TargetError) as caught:
        parse_target(value, SETTINGS)
    assert says in str(caught.value)
    assert SECRET not in str(caught.value)


def test_webhooks_can_be_switched_off() -> None:
    with pytest.raises(TargetError, match="ROUTER_SLACK__ALLOW_WEBHOOKS"):
        parse_target(HOOK, SlackSettings(allow_webhooks=False))


@given(
    st.text() | st.from_regex(r"https?://(hooks\.slack\.com|127\.0\.0\.1:8080)/services/T\w+/B\w+/\w+", fullmatch=True)
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
        (SlackSettings(), None),
        (SlackSettings(bot_token="xoxb-1"), None),
        (SlackSettings(bot_token="xoxb-1", api_url="http://127.0.0.1:1234/api"), None),
        (SlackSettings(allow_webhooks=False), "ROUTER_SLACK__BOT_TOKEN"),
        (SlackSettings(bot_token=""), "ROUTER_SLACK__BOT_TOKEN"),
        (SlackSettings(bot_token="xoxb-1\n"), "ROUTER_SLACK__BOT_TOKEN"),
        (SlackSettings(bot_token="xoxb-ü"), "ROUTER_SLACK__BOT_TOKEN"),
        (SlackSettings(bot_token="xoxb-1", api_url="http://slack.example.org/api"), "https://"),
        (SlackSettings(bot_token="xoxb-1", api_url="slack.com/api"), "ROUTER_SLACK__API_URL"),
        (SlackSettings(bot_token="xoxb-1", api_url="https://a:b@slack.com/api"), "user and password"),
        (SlackSettings(bot_token="xoxb-1", api_url="https://slack.com/api?x=1"), "without ?"),
        (SlackSettings(bot_token="xoxb-1", api_url=f"https://{'x' * 64}.com"), "ROUTER_SLACK__API_URL"),
        (SlackSettings(webhook_hosts=("https://hooks.slack.com",)), "ROUTER_SLACK__WEBHOOK_HOSTS"),
    ],
)
def test_what_is_missing_is_one_sentence_that_names_the_variable(settings: SlackSettings, says: str | None) -> None:
    found = KIND.missing(settings)
    assert (found is None) if says is None else (found is not None and says in found and "xoxb" not in found)


@pytest.mark.parametrize(
    ("value", "host"),
    [
        ("C0123ABCD", ""),
        ("#general", ""),
        (HOOK, "hooks.slack.com"),
        (HOOK.replace("hooks.slack.com", "HOOKS.example.org:8443"), "hooks.example.org:8443"),
        (HOOK.replace("https://hooks.slack.com", "http://127.0.0.1:8080"), "127.0.0.1:8080"),
    ],
)
def test_the_host_that_is_asked(value: str, host: str) -> None:
    assert parse_target(value, SETTINGS).host == host
