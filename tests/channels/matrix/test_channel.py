"""The Matrix channel against a real Synapse: what is sent, and what other users read."""

import asyncio
import time
import uuid

import pytest

from router.channels.base import CheckResult, Rejected, Retry, Scope, Sent
from router.channels.matrix import KIND
from router.channels.matrix.channel import MatrixChannel
from router.channels.matrix.rooms import ROOM_FRESH_SECONDS
from router.demo.matrix_user import MatrixUser
from router.demo.synapse import Synapse
from router.documents.message import Content
from router.rendering.rendered import Rendered
from tests.channels.matrix.conftest import HandClock, Open
from tests.channels.matrix.said import outgoing, password_settings, rejected, token_settings
from tests.servers.synapse import bodies, new_room


async def test_a_message_is_read_by_another_user(channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser) -> None:
    room = await new_room(alice, bot)
    outcome = await channel.send(outgoing(room, "Disk full ✂ \u2028 <&>", formatted="<b>Disk full</b>"))
    assert isinstance(outcome, Sent)
    (event,) = await alice.messages(room)
    assert (event["event_id"], event["sender"]) == (outcome.reference, bot.user_id)
    assert event["content"] == {
        "msgtype": "m.text",
        "body": "Disk full ✂ \u2028 <&>",
        "format": "org.matrix.custom.html",
        "formatted_body": "<b>Disk full</b>",
        "m.mentions": {},
    }


async def test_a_notice_without_formatting(bot: MatrixUser, alice: MatrixUser, open_channel: Open) -> None:
    room = await new_room(alice, bot)
    await open_channel(token_settings(bot, msgtype="m.notice")).send(outgoing(room, "quiet"))
    (event,) = await alice.messages(room)
    assert event["content"] == {"msgtype": "m.notice", "body": "quiet", "m.mentions": {}}


async def test_one_delivery_tried_again_is_one_event(bot: MatrixUser, alice: MatrixUser, open_channel: Open) -> None:
    room, key = await new_room(alice, bot), uuid.uuid4()
    # The second channel stands for a router that was started anew.
    outcomes = [await open_channel(token_settings(bot)).send(outgoing(room, key=key)) for _ in range(2)]
    assert isinstance(outcomes[0], Sent)
    assert outcomes[0] == outcomes[1]
    assert len(await alice.messages(room)) == 1


async def test_one_delivery_is_one_event_across_logins(bot: MatrixUser, alice: MatrixUser, open_channel: Open) -> None:
    room, key = await new_room(alice, bot), uuid.uuid4()
    outcomes = [await open_channel(password_settings(bot)).send(outgoing(room, key=key)) for _ in range(2)]
    assert isinstance(outcomes[0], Sent)
    assert outcomes[0] == outcomes[1]
    assert len(await alice.messages(room)) == 1


async def test_a_login_that_is_gone_is_made_again(bot: MatrixUser, alice: MatrixUser, open_channel: Open) -> None:
    room, keys = await new_room(alice, bot), [uuid.uuid4() for _ in range(5)]
    channel = open_channel(password_settings(bot))
    first = await channel.send(outgoing(room, key=keys[0]))
    assert isinstance(first, Sent)
    # Somebody else's login under the same device id ends ours.
    await bot.request(
        "POST",
        "/login",
        {
            "type": "m.login.password",
            "identifier": {"type": "m.id.user", "user": bot.user_id},
            "password": bot.password,
            "device_id": "NOTIFICATIONROUTER",
        },
    )
    outcomes = await asyncio.gather(*(channel.send(outgoing(room, key=key)) for key in keys))
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert outcomes[0] == first
    assert len(await alice.messages(room)) == 5


async def test_a_wrong_password(bot: MatrixUser, open_channel: Open) -> None:
    settings = password_settings(bot, password="not it")
    reason = rejected(await open_channel(settings).send(outgoing("!room")), Scope.CHANNEL)
    assert "ROUTER_MATRIX__PASSWORD" in reason
    assert "not it" not in reason


async def test_a_revoked_token(bot: MatrixUser, alice: MatrixUser, channel: MatrixChannel) -> None:
    room = await new_room(alice, bot)
    assert isinstance(await channel.send(outgoing(room)), Sent)
    await bot.request("POST", "/logout", {})
    outcome = await channel.send(outgoing(room))
    reason = rejected(outcome, Scope.CHANNEL)
    assert "ROUTER_MATRIX__ACCESS_TOKEN" in reason
    assert bot.access_token not in reason
    assert isinstance(outcome, Rejected)
    assert outcome.code == "M_UNKNOWN_TOKEN"
    assert len(await alice.messages(room)) == 1


async def test_another_users_token(bot: MatrixUser, alice: MatrixUser, open_channel: Open) -> None:
    channel = open_channel(token_settings(bot, access_token=alice.access_token))
    reason = rejected(await channel.send(outgoing("!room")), Scope.CHANNEL)
    assert f"ROUTER_MATRIX__ACCESS_TOKEN belongs to {alice.user_id}" in reason
    assert bot.user_id in reason


async def test_a_deactivated_user(synapse: Synapse, bot: MatrixUser, alice: MatrixUser, open_channel: Open) -> None:
    room = await new_room(alice, bot)
    await synapse.administer("POST", f"/v1/deactivate/{bot.user_id}", {})
    assert "ROUTER_MATRIX__ACCESS_TOKEN" in rejected(
        await open_channel(token_settings(bot)).send(outgoing(room)), Scope.CHANNEL
    )
    rejected(await open_channel(password_settings(bot)).send(outgoing(room)), Scope.CHANNEL)


async def test_an_invitation_is_taken(channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser) -> None:
    room = await alice.create_room(invite=(bot.user_id,))
    assert isinstance(await channel.send(outgoing(room)), Sent)
    assert len(await alice.messages(room)) == 1


async def test_a_public_room_is_joined(channel: MatrixChannel, alice: MatrixUser) -> None:
    room = await alice.create_room(public=True)
    outcomes = await asyncio.gather(*(channel.send(outgoing(room, str(n))) for n in range(5)))
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    assert sorted(map(str, bodies(await alice.messages(room)))) == list("01234")


async def test_a_private_room_asks_for_an_invitation(
    channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser
) -> None:
    room = await alice.create_room()
    outcome = await channel.send(outgoing(room))
    assert f"invite {bot.user_id} to the room" in rejected(outcome, Scope.TARGET)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "M_FORBIDDEN"
    await alice.invite(room, bot.user_id)
    assert isinstance(await channel.send(outgoing(room)), Sent)


@pytest.mark.parametrize("room", ["!nothing-here", "!nothing:localhost", "!a/b?c#d%2F..:localhost", "!../../x"])
async def test_a_room_that_does_not_exist(channel: MatrixChannel, room: str) -> None:
    assert room in rejected(await channel.send(outgoing(room)), Scope.TARGET)


async def test_a_room_where_the_router_may_not_post(channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser) -> None:
    room = await new_room(alice, bot)
    levels = await alice.request("GET", f"/rooms/{room}/state/m.room.power_levels")
    await alice.set_state(room, "m.room.power_levels", {**levels, "events_default": 50})
    assert "raise its power level" in rejected(await channel.send(outgoing(room)), Scope.TARGET)
    assert await alice.messages(room) == []


async def test_a_kicked_router_asks_for_an_invitation(
    channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser
) -> None:
    room = await new_room(alice, bot)
    assert isinstance(await channel.send(outgoing(room)), Sent)
    await alice.request("POST", f"/rooms/{room}/kick", {"user_id": bot.user_id})
    assert "invite" in rejected(await channel.send(outgoing(room)), Scope.TARGET)
    assert len(await alice.messages(room)) == 1


@pytest.mark.parametrize("invited_only", [False, True])
async def test_nothing_goes_into_an_encrypted_room(
    channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser, invited_only: bool
) -> None:
    room = await alice.create_room(invite=(bot.user_id,), encrypted=True)
    if not invited_only:
        await bot.join(room)
    for _ in range(2):
        assert f"{room} is encrypted" in rejected(await channel.send(outgoing(room)), Scope.TARGET)
    assert await alice.messages(room) == []


@pytest.mark.parametrize("content", [{"algorithm": "m.megolm.v1.aes-sha2"}, {"algorithm": "x"}, {}])
async def test_a_room_may_turn_encrypted(
    channel: MatrixChannel, clock: HandClock, bot: MatrixUser, alice: MatrixUser, content: dict[str, str]
) -> None:
    room = await new_room(alice, bot)
    assert isinstance(await channel.send(outgoing(room, "before")), Sent)
    await alice.set_state(room, "m.room.encryption", {**content})
    clock.now += ROOM_FRESH_SECONDS
    rejected(await channel.send(outgoing(room, "after")), Scope.TARGET)
    assert bodies(await alice.messages(room)) == ["before"]


async def test_too_fast_pauses_the_channel(
    synapse: Synapse, channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser
) -> None:
    room, key = await new_room(alice, bot), uuid.uuid4()
    await synapse.limit_messages(bot.user_id, per_second=1, burst=1)
    await channel.send(outgoing(room, "0"))
    began = time.monotonic()
    outcomes = [await channel.send(outgoing(room, str(n))) for n in range(1, 4)]
    assert time.monotonic() - began < 3
    limited = [outcome for outcome in outcomes if isinstance(outcome, Retry)]
    assert limited
    for outcome in limited:
        assert (outcome.code, outcome.pauses) == ("M_LIMIT_EXCEEDED", Scope.CHANNEL)
        assert outcome.after_seconds is not None
        assert 0 < outcome.after_seconds < 60
    await synapse.limit_messages(bot.user_id, per_second=0, burst=0)
    assert isinstance(await channel.send(outgoing(room, "again", key=key)), Sent)


async def test_too_large(channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser) -> None:
    room = await new_room(alice, bot)
    outcome = await channel.send(outgoing(room, "x" * 70_000))
    assert "ROUTER_MATRIX__MAX_CONTENT_BYTES" in rejected(outcome, Scope.MESSAGE)
    assert isinstance(outcome, Rejected)
    assert outcome.code == "M_TOO_LARGE"


@pytest.mark.parametrize("body", ["x", '"', "\u2028", "🚨", "&", "\\", "\x01a", "<i>&quot;</i>"])
async def test_nothing_that_is_rendered_is_too_large(
    bot: MatrixUser, alice: MatrixUser, open_channel: Open, body: str
) -> None:
    room = await new_room(alice, bot)
    content = Rendered(Content(to="#test", subject="Log", body=f"<p>{body * 80_000}</p>"))
    outcome = await open_channel(token_settings(bot, max_content_bytes=60_000)).send(outgoing(room, content=content))
    assert isinstance(outcome, Sent)
    (event,) = await alice.messages(room)
    sent = event["content"]
    assert isinstance(sent, dict)
    assert str(sent["body"]).startswith("Log")
    assert str(sent["formatted_body"]).startswith("<p><strong>Log</strong></p>")


async def test_a_homeserver_that_is_killed_and_started_again(
    synapse: Synapse, channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser
) -> None:
    room, keys = await new_room(alice, bot), [uuid.uuid4() for _ in range(10)]
    sent = [await channel.send(outgoing(room, key=key)) for key in keys[:5]]
    await synapse.kill()
    try:
        down = await channel.send(outgoing(room, key=keys[5]))
        assert isinstance(down, Retry)
        assert "could not be reached (connection refused)" in down.reason
        assert (down.after_seconds, down.pauses) == (None, None)
        (found,) = await channel.check()
        assert (found.what, found.ok) == ("versions", False)
        assert "ROUTER_MATRIX__HOMESERVER" in found.detail
    finally:
        await synapse.start()
    again = [await channel.send(outgoing(room, key=key)) for key in keys]
    assert all(isinstance(outcome, Sent) for outcome in again)
    assert again[:5] == sent
    assert len(await alice.messages(room)) == 10


async def test_check(bot: MatrixUser, open_channel: Open) -> None:
    for settings, device in ((token_settings(bot), bot.device_id), (password_settings(bot), "NOTIFICATIONROUTER")):
        versions, whoami = await open_channel(settings).check()
        assert (versions.what, versions.ok) == ("versions", True)
        assert versions.detail.startswith("speaks Matrix up to v1.")
        assert whoami == CheckResult("whoami", True, f"{bot.user_id}, device {device}")


async def test_check_of_a_token_that_is_none(bot: MatrixUser, open_channel: Open) -> None:
    _, whoami = await open_channel(token_settings(bot, access_token="syt_not_a_token")).check()
    assert not whoami.ok
    assert "ROUTER_MATRIX__ACCESS_TOKEN" in whoami.detail
    assert "syt_not_a_token" not in whoami.detail


async def test_closing_before_and_after_use(bot: MatrixUser, alice: MatrixUser) -> None:
    await KIND.open(token_settings(bot)).close()
    room = await new_room(alice, bot)
    channel = KIND.open(token_settings(bot))
    sending = asyncio.create_task(channel.send(outgoing(room)))
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await channel.close()
    # Closing is no logout: the token still works.
    assert (await bot.request("GET", "/account/whoami"))["user_id"] == bot.user_id
