"""The Slack channel against the stand-in: what arrived there, and what the channel says of it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from router.channels.base import Outcome, Rejected, Retry, Scope, Sent, Uncertain
from router.channels.slack import KIND
from router.channels.slack.channel import SlackChannel
from router.documents.json_types import JsonObject, JsonValue
from router.documents.message import Content, Link
from router.rendering.rendered import Rendered
from router.settings import SlackSettings
from tests.channels.fixed_content import FixedContent, outgoing
from tests.peers.slack import ADMINS, GENERAL, PERSON, TOKEN, SlackChannelState, SlackPeer
from tests.peers.stand_in import Answer, Hang, Reset


@pytest.fixture
async def peer() -> AsyncIterator[SlackPeer]:
    async with SlackPeer() as peer:
        yield peer


def settings_for(peer: SlackPeer, token: str | None = TOKEN, timeout_seconds: float = 5) -> SlackSettings:
    return SlackSettings(
        bot_token=token, api_url=peer.api_url, webhook_hosts=(peer.host,), attempt_timeout_seconds=timeout_seconds
    )


class Sender:
    """Sends to a target as the mapping names it."""

    def __init__(self, settings: SlackSettings) -> None:
        self.settings = settings
        channel = KIND.open(settings)
        assert isinstance(channel, SlackChannel)
        self.channel = channel

    async def send(self, target: JsonValue, content: Rendered | None = None) -> Outcome:
        outcome = await self.channel.send(outgoing(KIND.parse_target(target, self.settings), content))
        reason = "" if isinstance(outcome, Sent) else outcome.reason
        assert TOKEN not in reason
        assert "services" not in reason
        return outcome


@pytest.fixture
async def sender(peer: SlackPeer) -> AsyncIterator[Sender]:
    sender = Sender(settings_for(peer))
    yield sender
    await sender.channel.close()


@pytest.fixture
async def hasty(peer: SlackPeer) -> AsyncIterator[Sender]:
    """A sender with half a second for each attempt."""
    sender = Sender(settings_for(peer, timeout_seconds=0.5))
    yield sender
    await sender.channel.close()


@pytest.mark.parametrize(
    ("target", "channel"),
    [
        (GENERAL, GENERAL),
        ("#general", GENERAL),
        ("general", GENERAL),
        ({"channel": ADMINS}, ADMINS),
        (PERSON, f"D{PERSON[1:]}"),
    ],
)
async def test_a_message_stands_in_the_channel(
    peer: SlackPeer, sender: Sender, target: JsonValue, channel: str
) -> None:
    outcome = await sender.send(target, FixedContent("Card declined"))
    assert [(m.channel, m.text) for m in peer.messages] == [(channel, "Card declined")]
    assert outcome == Sent(peer.messages[0].ts, 200)
    assert peer.messages[0].blocks == [{"type": "section", "text": {"type": "mrkdwn", "text": "Card declined"}}]


async def test_a_message_stands_in_the_webhooks_channel(peer: SlackPeer, sender: Sender) -> None:
    assert await sender.send(peer.hook_url) == Sent(None, 200)
    assert [(m.channel, m.text, m.by_webhook) for m in peer.messages] == [(GENERAL, "hello", True)]
    assert "authorization" not in peer.arrivals[0].headers, "the bot token is nobody's business but the API's"


async def test_links_are_not_unfurled(peer: SlackPeer, sender: Sender) -> None:
    await sender.send(GENERAL)
    await sender.send(peer.hook_url)
    for arrival in peer.arrivals:
        assert isinstance(arrival.body, dict)
        assert (arrival.body["unfurl_links"], arrival.body["unfurl_media"]) == (False, False)


@pytest.mark.parametrize("target", [GENERAL, None])
async def test_blocks_that_slack_refuses_are_left_out_once(peer: SlackPeer, sender: Sender, target: str | None) -> None:
    header: JsonObject = {"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}
    outcome = await sender.send(target or peer.hook_url, FixedContent("the text", [header]))
    assert isinstance(outcome, Sent)
    assert [(m.text, m.blocks) for m in peer.messages] == [("the text", [])]
    assert peer.total == 2


async def test_all_blocks_together_too_long_are_left_out(peer: SlackPeer, sender: Sender) -> None:
    part: JsonObject = {"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3000}}
    assert isinstance(await sender.send(GENERAL, FixedContent("the text", [part] * 5)), Sent)
    assert [(m.text, m.blocks) for m in peer.messages] == [("the text", [])]


async def test_text_refused_like_its_blocks_is_refused_for_good(peer: SlackPeer, sender: Sender) -> None:
    refusal = Answer(200, {"ok": False, "error": "invalid_blocks"})
    peer.next(refusal, refusal)
    outcome = await sender.send(GENERAL)
    assert isinstance(outcome, Rejected)
    assert (outcome.scope, outcome.code, peer.total) == (Scope.MESSAGE, "invalid_blocks", 2)


async def test_nothing_to_say_is_refused_for_good(peer: SlackPeer, sender: Sender) -> None:
    outcome = await sender.send(GENERAL, FixedContent("", []))
    assert isinstance(outcome, Rejected)
    assert (outcome.scope, outcome.code) == (Scope.MESSAGE, "no_text")


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (SlackChannelState("C0OTHER001", "other", archived=True), "is_archived"),
        (SlackChannelState("C0OTHER001", "other", member=False), "not_in_channel"),
        (SlackChannelState("C0OTHER001", "other", restricted=True), "restricted_action"),
        (SlackChannelState("C0THIRD001", "third"), "channel_not_found"),
    ],
)
async def test_a_channel_that_takes_nothing_is_a_target_refused(
    peer: SlackPeer, sender: Sender, state: SlackChannelState, code: str
) -> None:
    peer.add_channel(state)
    outcome = await sender.send("#other")
    assert isinstance(outcome, Rejected)
    assert (outcome.scope, outcome.code) == (Scope.TARGET, code)


async def test_a_webhook_that_was_removed_is_a_target_refused(peer: SlackPeer, sender: Sender) -> None:
    peer.dead_hooks.add(next(iter(peer.hooks)))
    outcome = await sender.send(peer.hook_url)
    assert isinstance(outcome, Rejected)
    assert (outcome.scope, outcome.code) == (Scope.TARGET, "no_service")


async def test_the_webhook_of_an_archived_channel_is_a_target_refused(peer: SlackPeer, sender: Sender) -> None:
    peer.channels[GENERAL].archived = True
    outcome = await sender.send(peer.hook_url)
    assert isinstance(outcome, Rejected)
    assert (outcome.scope, outcome.code) == (Scope.TARGET, "channel_is_archived")


@pytest.mark.parametrize("by_webhook", [False, True])
async def test_too_many_messages_pause_the_target_as_long_as_slack_says(
    peer: SlackPeer, sender: Sender, by_webhook: bool
) -> None:
    peer.one_per_second = True
    target = peer.hook_url if by_webhook else GENERAL
    assert isinstance(await sender.send(target), Sent)
    second = await sender.send(target)
    assert isinstance(second, Retry)
    assert (second.after_seconds, second.pauses, second.code) == (1, Scope.TARGET, 429)
    assert isinstance(await sender.send(ADMINS), Sent), "another channel has a limit of its own"


async def test_a_wrong_token_names_the_variable(peer: SlackPeer) -> None:
    sender = Sender(settings_for(peer, "xoxb-wrong"))
    outcome = await sender.send(GENERAL)
    assert isinstance(outcome, Rejected)
    assert (outcome.scope, outcome.code) == (Scope.CHANNEL, "invalid_auth")
    assert "ROUTER_SLACK__BOT_TOKEN" in outcome.reason
    assert "xoxb" not in outcome.reason
    await sender.channel.close()


async def test_without_a_token_webhooks_work_and_channels_say_what_is_missing(peer: SlackPeer) -> None:
    sender = Sender(settings_for(peer, None))
    assert KIND.missing(sender.settings) is None
    outcome = await sender.send(GENERAL)
    assert isinstance(outcome, Rejected)
    assert outcome.scope is Scope.CHANNEL
    assert "ROUTER_SLACK__BOT_TOKEN" in outcome.reason
    assert peer.total == 0
    assert isinstance(await sender.send(peer.hook_url), Sent)
    await sender.channel.close()


@pytest.mark.parametrize("by_webhook", [False, True])
@pytest.mark.parametrize("step", [Hang(taken=True), Hang(), Reset(taken=True), Reset()], ids=str)
async def test_no_answer_is_uncertain_and_leaves_one_request(
    peer: SlackPeer, hasty: Sender, step: Hang | Reset, by_webhook: bool
) -> None:
    peer.next(step)
    began = asyncio.get_running_loop().time()
    outcome = await hasty.send(peer.hook_url if by_webhook else GENERAL)
    assert asyncio.get_running_loop().time() - began < 2
    assert isinstance(outcome, Uncertain)
    assert (peer.total, len(peer.messages)) == (1, int(step.taken))


async def test_slack_out_of_reach_is_tried_again(peer: SlackPeer, sender: Sender) -> None:
    await peer.__aexit__(None, None, None)
    outcome = await sender.send(GENERAL)
    assert isinstance(outcome, Retry)
    assert outcome.reason == "Slack could not be reached (connection refused)"


async def test_the_fallback_keeps_within_the_attempts_time(peer: SlackPeer, hasty: Sender) -> None:
    peer.next(Answer(200, {"ok": False, "error": "invalid_blocks"}), Hang())
    began = asyncio.get_running_loop().time()
    assert isinstance(await hasty.send(GENERAL), Uncertain)
    assert asyncio.get_running_loop().time() - began < 2


async def test_many_messages_side_by_side_all_arrive(peer: SlackPeer, sender: Sender) -> None:
    outcomes = await asyncio.gather(*(sender.send(GENERAL, FixedContent(f"message {n}")) for n in range(50)))
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert sorted(peer.texts(GENERAL)) == sorted(f"message {n}" for n in range(50))


async def test_check_says_who_we_are(sender: Sender) -> None:
    results = await sender.channel.check()
    assert [(r.what, r.ok, r.detail) for r in results] == [
        ("auth.test", True, "router (B0ROUTER01) of Stand-In"),
        ("scopes", True, "may post (chat:write)"),
    ]


async def test_check_finds_a_missing_scope(peer: SlackPeer, sender: Sender) -> None:
    peer.scopes = ["users:read"]
    results = await sender.channel.check()
    assert [(r.what, r.ok) for r in results] == [("auth.test", True), ("scopes", False)]
    assert "chat:write" in results[1].detail
    outcome = await sender.send(GENERAL)
    assert isinstance(outcome, Rejected)
    assert (outcome.scope, outcome.code) == (Scope.CHANNEL, "missing_scope")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (Answer(200, {"ok": False, "error": "account_inactive"}), "ROUTER_SLACK__BOT_TOKEN"),
        (Answer(200, {"ok": False, "error": "brand_new"}), "brand_new"),
        (Answer(404, "not here"), "ROUTER_SLACK__API_URL"),
        (Answer(200, "<html>"), "ROUTER_SLACK__API_URL"),
        (Reset(), "ROUTER_SLACK__API_URL"),
    ],
)
async def test_check_says_what_is_wrong(peer: SlackPeer, sender: Sender, answer: Answer | Reset, says: str) -> None:
    peer.next(answer)
    [result] = await sender.channel.check()
    assert not result.ok
    assert says in result.detail


async def test_check_without_a_token_tells_of_webhooks(peer: SlackPeer) -> None:
    channel = KIND.open(settings_for(peer, None))
    [result] = await channel.check()
    assert result.ok
    assert "ROUTER_SLACK__BOT_TOKEN" in result.detail
    await channel.close()


LONG = (
    "<h1>Übersicht</h1><ul>"
    + "<li>🎉 &lt;!channel&gt; &amp; <a href='https://example.org/a?b&amp;c'>more</a></li>" * 900
    + "</ul>"
)


@pytest.mark.parametrize(
    "body", ["<b>Card declined</b> <!channel> <script>x</script>", LONG, "&lt;!here&gt; 🎉" * 5000]
)
@pytest.mark.parametrize("by_webhook", [False, True])
async def test_what_is_rendered_passes_slacks_checks_with_its_blocks(
    peer: SlackPeer, sender: Sender, body: str, by_webhook: bool
) -> None:
    content = Content(
        to="#admins", subject="s" * 500, body=body, link=Link(url="https://example.org/x", text="🎉" * 200)
    )
    assert isinstance(await sender.send(peer.hook_url if by_webhook else GENERAL, Rendered(content)), Sent)
    [message] = peer.messages
    assert peer.total == 1, "the blocks must not be refused"
    assert message.blocks
    assert "<!channel>" not in message.text
    assert "<!here>" not in str(message.blocks)


async def test_the_body_is_utf8_json(peer: SlackPeer, sender: Sender) -> None:
    await sender.send(GENERAL, FixedContent("grüße 🎉 \u2028 &amp;"))
    assert peer.texts(GENERAL) == ["grüße 🎉 \u2028 &amp;"]
    assert peer.arrivals[0].headers["content-type"] == "application/json; charset=utf-8"
