"""Direct chats with users, on a real Synapse: found, made once, and what happens to those who leave."""

import asyncio
from urllib.parse import quote

from router.channels.base import Scope, Sent
from router.channels.matrix.channel import MatrixChannel
from router.channels.matrix.rooms import ROOM_FRESH_SECONDS
from router.demo.matrix_user import MatrixUser
from router.demo.synapse import Synapse
from router.documents.json_types import JsonObject
from tests.channels.matrix.conftest import HandClock, Open
from tests.channels.matrix.said import outgoing, rejected, token_settings
from tests.servers.synapse import bodies, new_room, new_user


async def direct_chats(user: MatrixUser) -> JsonObject:
    return await user.request("GET", f"/user/{quote(user.user_id)}/account_data/m.direct")


async def set_direct_chats(user: MatrixUser, content: JsonObject) -> None:
    await user.request("PUT", f"/user/{quote(user.user_id)}/account_data/m.direct", content)


async def test_ten_messages_at_once_make_one_chat(channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser) -> None:
    outcomes = await asyncio.gather(*(channel.send(outgoing(alice.user_id, str(n))) for n in range(10)))
    assert all(isinstance(outcome, Sent) for outcome in outcomes)
    (room,) = await alice.invitations()
    assert await direct_chats(bot) == {alice.user_id: [room]}
    await alice.join(room)
    events = await alice.events(room)
    assert sorted(map(str, bodies(await alice.messages(room)))) == list("0123456789")
    assert "m.room.encryption" not in [event["type"] for event in events]
    invitation = next(e["content"] for e in events if e.get("state_key") == alice.user_id)
    assert isinstance(invitation, dict)
    assert (invitation["membership"], invitation["is_direct"]) == ("invite", True)


async def test_chats_with_several_users_are_all_noted(
    synapse: Synapse, channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser
) -> None:
    others: JsonObject = {"@somebody:else.where": ["!theirs:else.where"], "odd": "not a list"}
    await set_direct_chats(bot, others)
    users = [alice, *[await new_user(synapse, "bob") for _ in range(3)]]
    await asyncio.gather(*(channel.send(outgoing(user.user_id)) for user in users))
    rooms: JsonObject = {user.user_id: [*await user.invitations()] for user in users}
    assert len({str(room) for room in rooms.values()}) == 4
    assert await direct_chats(bot) == {**others, **rooms}


async def test_there_is_no_chat_with_oneself(channel: MatrixChannel, bot: MatrixUser) -> None:
    assert "direct chat" in rejected(await channel.send(outgoing(bot.user_id)), Scope.TARGET)


async def test_a_chat_is_found_after_a_restart(bot: MatrixUser, alice: MatrixUser, open_channel: Open) -> None:
    for text in "12":
        await open_channel(token_settings(bot)).send(outgoing(alice.user_id, text))
    (room,) = await alice.invitations()
    await alice.join(room)
    assert bodies(await alice.messages(room)) == ["1", "2"]


async def test_a_chat_that_was_made_but_not_noted_is_found(
    bot: MatrixUser, alice: MatrixUser, open_channel: Open
) -> None:
    await new_room(alice, bot)
    await open_channel(token_settings(bot)).send(outgoing(alice.user_id, "1"))
    (room,) = await alice.invitations()
    # As if the router had been killed between making the room and noting it.
    await set_direct_chats(bot, {})
    await alice.join(room)
    assert isinstance(await open_channel(token_settings(bot)).send(outgoing(alice.user_id, "2")), Sent)
    assert bodies(await alice.messages(room)) == ["1", "2"]
    assert await direct_chats(bot) == {alice.user_id: [room]}


async def test_a_chat_that_a_person_noted_is_used(channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser) -> None:
    left, room = await new_room(alice, bot), await new_room(alice, bot)
    await bot.leave(left)
    await set_direct_chats(bot, {alice.user_id: ["!unknown:localhost", 7, left, room]})
    assert isinstance(await channel.send(outgoing(alice.user_id, "hello")), Sent)
    assert bodies(await alice.messages(room)) == ["hello"]
    assert await alice.invitations() == []


async def test_a_chat_that_the_router_was_thrown_out_of_is_replaced(
    channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser
) -> None:
    old = await new_room(alice, bot)
    await set_direct_chats(bot, {alice.user_id: [old]})
    await channel.send(outgoing(alice.user_id, "1"))
    await alice.request("POST", f"/rooms/{old}/kick", {"user_id": bot.user_id})
    assert isinstance(await channel.send(outgoing(alice.user_id, "2")), Sent)
    (new,) = await alice.invitations()
    assert await direct_chats(bot) == {alice.user_id: [old, new]}


async def test_who_left_is_invited_once_more_and_then_let_be(
    channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser
) -> None:
    await channel.send(outgoing(alice.user_id, "1"))
    (room,) = await alice.invitations()
    await alice.join(room)
    await alice.leave(room)
    assert isinstance(await channel.send(outgoing(alice.user_id, "2")), Sent)
    assert await alice.invitations() == [room]
    await alice.leave(room)
    for _ in range(2):
        assert f"{alice.user_id} left the direct chat" in rejected(
            await channel.send(outgoing(alice.user_id, "3")), Scope.TARGET
        )
    assert await alice.invitations() == []
    # Whoever is let in again by a person is reached again.
    await bot.invite(room, alice.user_id)
    await alice.join(room)
    assert isinstance(await channel.send(outgoing(alice.user_id, "4")), Sent)
    assert bodies(await alice.messages(room)) == ["1", "2", "4"]


async def test_a_user_who_does_not_exist(channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser) -> None:
    reason = rejected(await channel.send(outgoing("@nobody-here:localhost")), Scope.TARGET)
    assert "there is no user @nobody-here:localhost" in reason
    assert (await bot.request("GET", "/joined_rooms"))["joined_rooms"] == []


async def test_an_encrypted_chat_is_refused(
    channel: MatrixChannel, clock: HandClock, bot: MatrixUser, alice: MatrixUser
) -> None:
    await channel.send(outgoing(alice.user_id, "1"))
    (room,) = await alice.invitations()
    await alice.join(room)
    await alice.set_state(room, "m.room.encryption", {"algorithm": "m.megolm.v1.aes-sha2"})
    clock.now += ROOM_FRESH_SECONDS
    assert "is encrypted" in rejected(await channel.send(outgoing(alice.user_id, "2")), Scope.TARGET)
    assert bodies(await alice.messages(room)) == ["1"]
