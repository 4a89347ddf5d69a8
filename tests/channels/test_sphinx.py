"""The Sphinx channel against the stand-in: what arrived there, and what the channel says of it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from router.channels.base import Outcome, Rejected, Retry, Scope, Sent, Uncertain, Waiting
from router.channels.sphinx import KIND
from router.channels.sphinx.channel import ADD_AGAIN_SECONDS, SphinxChannel
from router.documents.json_types import JsonValue
from router.documents.message import Content, Link
from router.recent import Recent
from router.rendering.rendered import Rendered
from router.settings import SphinxSettings
from tests.channels.fixed_content import FixedContent, outgoing
from tests.peers.sphinx import CONTACT_INFO, LSP, PUBKEY, SCID, TOKEN, SphinxPeer
from tests.peers.stand_in import Answer, Hang, Reset, Step


@pytest.fixture
async def peer() -> AsyncIterator[SphinxPeer]:
    async with SphinxPeer(looks_until_key=None) as peer:
        yield peer


class Sender:
    """Sends to a target as the mapping names it."""

    def __init__(self, settings: SphinxSettings) -> None:
        self.settings = settings
        channel = KIND.open(settings)
        assert isinstance(channel, SphinxChannel)
        self.channel = channel

    async def send(
        self, target: JsonValue = CONTACT_INFO, text: str = "hello", reference: str | None = None
    ) -> Outcome:
        parsed = KIND.parse_target(target, self.settings)
        outcome = await self.channel.send(outgoing(parsed, FixedContent(text), reference))
        assert TOKEN not in ("" if isinstance(outcome, Sent) else outcome.reason)
        return outcome


def settings_for(peer: SphinxPeer, timeout_seconds: float = 5, token: str = TOKEN) -> SphinxSettings:
    return SphinxSettings(
        url=peer.url + "/",
        admin_token=token,
        attempt_timeout_seconds=timeout_seconds,
        key_recheck_seconds=11,
        pending_recheck_seconds=12,
    )


@pytest.fixture
async def sender(peer: SphinxPeer) -> AsyncIterator[Sender]:
    sender = Sender(settings_for(peer))
    yield sender
    await sender.channel.close()


@pytest.fixture
async def hasty(peer: SphinxPeer) -> AsyncIterator[Sender]:
    """A sender with half a second for each attempt."""
    sender = Sender(settings_for(peer, 0.5))
    yield sender
    await sender.channel.close()


def is_waiting_for_key(outcome: Outcome) -> bool:
    return isinstance(outcome, Waiting) and (outcome.status, outcome.after_seconds) == ("WAITING_KEY_EXCHANGE", 11)


# --- the contact


async def test_a_message_to_a_known_contact(peer: SphinxPeer, sender: Sender) -> None:
    peer.befriend()
    outcome = await sender.send(text="grüße")
    assert outcome == Sent(peer.messages[0].tag, 200)
    assert [(m.dest, m.content) for m in peer.messages] == [(PUBKEY, "grüße")]
    [look, send] = peer.arrivals
    assert (look.method, look.path) == ("GET", f"/get_contact/{PUBKEY}")
    assert (send.method, send.path) == ("POST", "/send")
    assert send.body == {"dest": PUBKEY, "amt_msat": 0, "content": "grüße", "is_tribe": False, "wait": True}
    assert {arrival.headers["x-admin-token"] for arrival in peer.arrivals} == {TOKEN}


async def test_a_bare_pubkey_reaches_a_known_contact(peer: SphinxPeer, sender: Sender) -> None:
    peer.befriend()
    assert isinstance(await sender.send(PUBKEY), Sent)


async def test_a_bare_pubkey_of_a_stranger_says_what_to_write(peer: SphinxPeer, sender: Sender) -> None:
    outcome = await sender.send(PUBKEY)
    assert isinstance(outcome, Rejected)
    assert outcome.scope is Scope.TARGET
    assert "mapping" in outcome.reason
    assert not peer.to("add_contact")


async def test_a_stranger_is_added_once_and_written_to_when_the_key_is_there(peer: SphinxPeer, sender: Sender) -> None:
    target: JsonValue = {"pubkey": PUBKEY, "route_hint": f"{LSP}_{SCID}", "alias": "Will"}
    for _ in range(3):
        assert is_waiting_for_key(await sender.send(target))
    [added] = peer.to("add_contact")
    assert added.body == {"contact_info": CONTACT_INFO, "alias": "Will"}
    assert not peer.to("/send")
    peer.finish_key_exchange()
    assert isinstance(await sender.send(target), Sent)
    assert peer.contacts[PUBKEY].exchanges == 1
    assert len(peer.messages) == 1


async def test_a_key_that_is_there_at_once_is_used_at_once(peer: SphinxPeer, sender: Sender) -> None:
    peer.looks_until_key = 0
    assert isinstance(await sender.send(), Sent)
    assert [a.path.split("/")[1] for a in peer.arrivals] == [
        "get_contact",
        "contact",
        "add_contact",
        "get_contact",
        "send",
    ]
    [added] = peer.to("add_contact")
    assert added.body == {"contact_info": CONTACT_INFO, "alias": PUBKEY[:10]}


async def test_an_older_bot_is_asked_under_its_own_path(peer: SphinxPeer, sender: Sender) -> None:
    peer.contact_path = "contact"
    peer.befriend()
    assert isinstance(await sender.send(), Sent)
    assert [a.path.split("/")[1] for a in peer.arrivals] == ["get_contact", "contact", "send"]


async def test_the_contact_path_is_a_setting(peer: SphinxPeer) -> None:
    peer.contact_path = "contact"
    peer.befriend()
    sender = Sender(settings_for(peer).model_copy(update={"contact_path": "/contact"}))
    assert isinstance(await sender.send(), Sent)
    assert [a.path.split("/")[1] for a in peer.arrivals] == ["contact", "send"]
    await sender.channel.close()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, {"error": "contact not found"}),
        (404, None),
        (200, {}),
        (200, {"error": "none"}),
        (500, "oops"),
        (400, "no"),
    ],
)
async def test_a_stranger_is_added_however_the_bot_says_it(
    peer: SphinxPeer, sender: Sender, status: int, body: JsonValue
) -> None:
    peer.unknown_contact_status, peer.unknown_contact = status, body
    assert is_waiting_for_key(await sender.send())
    assert PUBKEY in peer.contacts


async def test_a_contact_that_the_bot_does_not_show_after_adding_is_not_added_again(
    peer: SphinxPeer, sender: Sender
) -> None:
    peer.next(*[Answer(404)] * 8, path="contact/")
    outcomes = [await sender.send() for _ in range(2)]
    assert all(is_waiting_for_key(outcome) for outcome in outcomes)
    assert len(peer.to("add_contact")) == 1


async def test_two_messages_for_a_stranger_add_them_once(peer: SphinxPeer, sender: Sender) -> None:
    outcomes = await asyncio.gather(*(sender.send(text=f"message {n}") for n in range(5)))
    assert all(is_waiting_for_key(outcome) for outcome in outcomes)
    assert len(peer.to("add_contact")) == 1


@pytest.mark.parametrize("step", [Answer(500, "oops"), Answer(503), Reset(), Hang()], ids=str)
async def test_add_contact_that_fails_is_tried_again(
    peer: SphinxPeer, hasty: Sender, step: Answer | Reset | Hang
) -> None:
    peer.next(step, path="add_contact")
    assert isinstance(await hasty.send(), Retry)
    assert is_waiting_for_key(await hasty.send())
    assert len(peer.to("add_contact")) == 2


async def test_add_contact_that_is_refused_is_the_targets_fault(peer: SphinxPeer, sender: Sender) -> None:
    peer.next(Answer(400, {"error": "bad hint"}), path="add_contact")
    outcome = await sender.send()
    assert isinstance(outcome, Rejected)
    assert outcome.scope is Scope.TARGET
    assert "bad hint" in outcome.reason


# A GET that was cut off is repeated once by the HTTP library, as it may be: so it takes two cuts to be seen.
TROUBLE: list[list[Step]] = [[Answer(503)], [Reset(), Reset()], [Hang()]]


@pytest.mark.parametrize("steps", TROUBLE, ids=str)
async def test_a_look_that_fails_is_tried_again(peer: SphinxPeer, hasty: Sender, steps: list[Step]) -> None:
    peer.befriend()
    peer.next(*steps, path="get_contact")
    assert isinstance(await hasty.send(), Retry)
    assert not peer.to("/send")
    assert isinstance(await hasty.send(), Sent)


# --- the message


@pytest.mark.parametrize("step", [Hang(taken=True), Hang(), Reset(taken=True), Reset()], ids=str)
async def test_no_answer_to_send_is_uncertain_and_leaves_one_request(
    peer: SphinxPeer, hasty: Sender, step: Hang | Reset
) -> None:
    peer.befriend()
    peer.next(step, path="/send")
    assert isinstance(await hasty.send(), Uncertain)
    assert (len(peer.to("/send")), len(peer.messages)) == (1, int(step.taken))


async def test_a_message_that_failed_is_tried_again_with_the_bots_words(peer: SphinxPeer, sender: Sender) -> None:
    peer.befriend()
    peer.results.append(("FAILED", "no route found"))
    outcome = await sender.send()
    assert isinstance(outcome, Retry)
    assert (outcome.code, "no route found" in outcome.reason, outcome.pauses) == ("FAILED", True, None)
    assert isinstance(await sender.send(), Sent)


async def test_the_other_shape_of_the_answer_is_not_called_delivered(peer: SphinxPeer, sender: Sender) -> None:
    peer.befriend()
    peer.reply_shape = "hive"
    assert isinstance(await sender.send(), Uncertain)
    peer.results.append(("FAILED", "no route found"))
    outcome = await sender.send()
    assert isinstance(outcome, Retry)
    assert "no route found" in outcome.reason


async def test_a_content_is_kept_to_its_length(peer: SphinxPeer, sender: Sender) -> None:
    peer.befriend()
    assert isinstance(await sender.send(text="ü" * 1000), Sent)
    assert len(peer.messages[0].content.encode()) <= sender.settings.max_content_bytes


async def test_what_is_rendered_fits_a_sphinx_message(peer: SphinxPeer, sender: Sender) -> None:
    peer.befriend()
    content = Content(
        to="#admins",
        subject="Größe",
        body="<p>🎉 Card &amp; declined</p>" * 200,
        link=Link(url="https://example.org/x"),
    )
    outcome = await sender.channel.send(outgoing(KIND.parse_target(CONTACT_INFO, sender.settings), Rendered(content)))
    assert isinstance(outcome, Sent)
    sent = peer.messages[0].content
    assert len(sent.encode()) <= sender.settings.max_content_bytes
    assert sent.startswith("Größe")
    assert "https://example.org/x" in sent


# --- a message that was PENDING


async def pending(peer: SphinxPeer, sender: Sender) -> str:
    """Send a message that stays PENDING; its tag."""
    peer.befriend()
    peer.results.append(("PENDING", None))
    outcome = await sender.send()
    assert isinstance(outcome, Waiting)
    assert (outcome.status, outcome.after_seconds) == ("PENDING", 12)
    assert outcome.reference is not None
    return outcome.reference


async def test_a_pending_message_that_went_out_is_not_sent_again(peer: SphinxPeer, sender: Sender) -> None:
    tag = await pending(peer, sender)
    still = await sender.send(reference=tag)
    assert isinstance(still, Waiting)
    assert still.reference == tag
    peer.resolve(tag, "COMPLETE")
    assert await sender.send(reference=tag) == Sent(tag, 200)
    assert len(peer.to("/send")) == 1 + len(peer.to("/sends/"))
    assert len(peer.messages) == 1


async def test_a_pending_message_that_failed_is_sent_again_at_the_next_attempt(
    peer: SphinxPeer, sender: Sender
) -> None:
    tag = await pending(peer, sender)
    peer.resolve(tag, "FAILED", "no route found")
    failed = await sender.send(reference=tag)
    assert isinstance(failed, Retry)
    assert "no route found" in failed.reason
    assert len(peer.messages) == 1
    # The delivery keeps its reference; the channel knows that it is settled.
    again = await sender.send(reference=tag)
    assert isinstance(again, Sent)
    assert again.reference != tag
    assert len(peer.messages) == 2


async def test_after_a_restart_a_failed_tag_costs_one_more_look(peer: SphinxPeer, sender: Sender) -> None:
    tag = await pending(peer, sender)
    peer.resolve(tag, "FAILED", "no route found")
    await sender.send(reference=tag)
    restarted = Sender(sender.settings)
    assert isinstance(await restarted.send(reference=tag), Retry)
    assert isinstance(await restarted.send(reference=tag), Sent)
    await restarted.channel.close()


@pytest.mark.parametrize("status", [200, 404])
async def test_a_tag_that_the_bot_has_forgotten_is_uncertain_then_sent_again(
    peer: SphinxPeer, sender: Sender, status: int
) -> None:
    peer.befriend()
    peer.unknown_tag_status = status
    assert isinstance(await sender.send(reference="gone/../tag"), Uncertain)
    assert peer.arrivals[0].path == "/sends/gone/../tag"
    assert isinstance(await sender.send(reference="gone/../tag"), Sent)


async def test_a_tag_that_is_used_twice_is_open_again(peer: SphinxPeer, sender: Sender) -> None:
    tag = await pending(peer, sender)
    peer.resolve(tag, "FAILED")
    await sender.send(reference=tag)
    peer.next(Answer(200, {"status": "PENDING", "tag": tag}), path="/send")
    assert isinstance(await sender.send(reference=tag), Waiting)
    peer.resolve(tag, "COMPLETE")
    assert await sender.send(reference=tag) == Sent(tag, 200)


@pytest.mark.parametrize("steps", TROUBLE, ids=str)
async def test_a_look_at_a_tag_that_fails_is_tried_again(peer: SphinxPeer, hasty: Sender, steps: list[Step]) -> None:
    tag = await pending(peer, hasty)
    peer.next(*steps, path="/sends/")
    assert isinstance(await hasty.send(reference=tag), Retry)
    peer.resolve(tag, "COMPLETE")
    assert await hasty.send(reference=tag) == Sent(tag, 200)
    assert len(peer.messages) == 1


# --- the bot


async def test_a_wrong_token_names_the_variable(peer: SphinxPeer) -> None:
    peer.befriend()
    sender = Sender(settings_for(peer, token="wrong"))
    outcome = await sender.send()
    assert isinstance(outcome, Rejected)
    assert (outcome.scope, outcome.code) == (Scope.CHANNEL, 401)
    assert "ROUTER_SPHINX__ADMIN_TOKEN" in outcome.reason
    [result] = await sender.channel.check()
    assert not result.ok
    assert "ROUTER_SPHINX__ADMIN_TOKEN" in result.detail
    await sender.channel.close()


async def test_a_bot_out_of_reach_is_tried_again(peer: SphinxPeer, sender: Sender) -> None:
    await peer.__aexit__(None, None, None)
    outcome = await sender.send()
    assert isinstance(outcome, Retry)
    assert outcome.reason == "the Sphinx bot could not be reached (connection refused)"
    [result] = await sender.channel.check()
    assert not result.ok
    assert "ROUTER_SPHINX__URL" in result.detail


async def test_check_says_who_the_bot_is(peer: SphinxPeer, sender: Sender) -> None:
    [result] = await sender.channel.check()
    assert (result.what, result.ok, result.detail) == ("account", True, "stand-in bot on regtest")


@pytest.mark.parametrize("answer", [Answer(404, "no"), Answer(200, "<html>"), Answer(500, "no")], ids=str)
async def test_check_of_something_else_names_the_address(peer: SphinxPeer, sender: Sender, answer: Answer) -> None:
    peer.next(answer)
    [result] = await sender.channel.check()
    assert not result.ok
    assert "ROUTER_SPHINX__URL" in result.detail


# --- what is remembered


def test_what_is_recent_is_forgotten_by_age_and_by_number() -> None:
    recent = Recent(2, ADD_AGAIN_SECONDS)
    recent.add("a", 0)
    recent.add("b", 1)
    assert recent.has("a", ADD_AGAIN_SECONDS - 1)
    assert not recent.has("a", ADD_AGAIN_SECONDS)
    recent.add("a", 2)
    recent.add("c", 3)
    assert [key for key in "abc" if recent.has(key, 3)] == ["a", "c"]
    recent.discard("a")
    recent.discard("never there")
    assert not recent.has("a", 3)
