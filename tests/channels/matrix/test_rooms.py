"""Aliases that move, and rooms that are replaced by others, on a real Synapse."""

import pytest

from router.channels.base import Outcome, Rejected, Scope, Sent
from router.channels.matrix.channel import MatrixChannel
from router.channels.matrix.homeserver import Homeserver
from router.channels.matrix.rooms import ALIAS_FRESH_SECONDS, ROOM_FRESH_SECONDS, Rooms
from router.demo.matrix_user import MatrixUser
from tests.channels.matrix.conftest import HandClock
from tests.channels.matrix.said import outgoing, rejected
from tests.servers.synapse import bodies, new_room


def alias_of(user: MatrixUser) -> str:
    """An alias of the user's own, free at the start of a test."""
    return f"#ops-{user.user_id.removeprefix('@')}"


async def point(user: MatrixUser, alias: str, room: str | None) -> None:
    """Have `alias` name `room`, or nothing."""
    path = f"/directory/room/{alias.replace('#', '%23')}"
    if room is None:
        await user.request("DELETE", path)
    else:
        await user.request("PUT", path, {"room_id": room})


async def upgrade(owner: MatrixUser, room: str) -> str:
    """Replace a room by a newer one, as a person does in their client; the new room's id."""
    return str((await owner.request("POST", f"/rooms/{room}/upgrade", {"new_version": "12"}))["replacement_room"])


async def test_an_alias_leads_to_its_room(channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser) -> None:
    room = await new_room(alice, bot)
    await point(alice, alias_of(alice), room)
    for text in "12":
        assert isinstance(await channel.send(outgoing(alias_of(alice), text)), Sent)
    assert bodies(await alice.messages(room)) == ["1", "2"]


async def test_an_unknown_alias(channel: MatrixChannel, alice: MatrixUser) -> None:
    outcome = await channel.send(outgoing(alias_of(alice)))
    assert f"there is no room with the alias {alias_of(alice)}" in rejected(outcome, Scope.TARGET)


async def test_an_alias_that_moved_is_looked_up_again_when_the_old_room_is_closed(
    channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser
) -> None:
    old, new = await new_room(alice, bot), await new_room(alice, bot)
    alias = alias_of(alice)
    await point(alice, alias, old)
    await channel.send(outgoing(alias, "before"))
    await point(alice, alias, None)
    await point(alice, alias, new)
    await alice.request("POST", f"/rooms/{old}/kick", {"user_id": bot.user_id})
    assert isinstance(await channel.send(outgoing(alias, "after")), Sent)
    assert bodies(await alice.messages(old)) == ["before"]
    assert bodies(await alice.messages(new)) == ["after"]


async def test_an_alias_that_moved_is_noticed_though_the_old_room_is_open(bot: MatrixUser, alice: MatrixUser) -> None:
    now = 1000.0
    homeserver = Homeserver(bot.homeserver, bot.user_id, "")
    rooms = Rooms(homeserver, clock=lambda: now)
    old, new = await new_room(alice, bot), await new_room(alice, bot)
    alias = alias_of(alice)
    await point(alice, alias, old)
    assert await rooms.find(alias) == old
    await point(alice, alias, None)
    await point(alice, alias, new)
    now += ALIAS_FRESH_SECONDS - 1
    assert await rooms.find(alias) == old
    now += 1
    assert await rooms.find(alias) == new
    await homeserver.close()


@pytest.mark.parametrize("by_alias", [True, False])
async def test_a_replaced_room_is_followed(
    channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser, by_alias: bool
) -> None:
    old = await new_room(alice, bot, public=True)
    address = alias_of(alice) if by_alias else old
    await point(alice, alias_of(alice), old)
    # So that the old room would still take what the router sends.
    levels = await alice.request("GET", f"/rooms/{old}/state/m.room.power_levels")
    await alice.set_state(old, "m.room.power_levels", {**levels, "users_default": 100})
    await channel.send(outgoing(address, "before"))
    new = await upgrade(alice, await upgrade(alice, old))
    assert isinstance(await channel.send(outgoing(address, "after")), Sent)
    assert bodies(await alice.messages(old)) == ["before"]
    assert bodies(await alice.messages(new)) == ["after"]


async def test_a_replaced_room_that_is_still_open_is_left_in_time(
    channel: MatrixChannel, clock: HandClock, bot: MatrixUser, alice: MatrixUser
) -> None:
    old, new = await new_room(alice, bot), await new_room(alice, bot)
    await channel.send(outgoing(old, "before"))
    await alice.set_state(old, "m.room.tombstone", {"body": "moved", "replacement_room": new})
    clock.now += ROOM_FRESH_SECONDS
    assert isinstance(await channel.send(outgoing(old, "after")), Sent)
    assert bodies(await alice.messages(old)) == ["before"]
    assert bodies(await alice.messages(new)) == ["after"]


async def test_a_replacement_that_does_not_let_the_router_in(
    channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser
) -> None:
    old = await new_room(alice, bot)
    await channel.send(outgoing(old, "before"))
    new = await upgrade(alice, old)
    assert f"invite {bot.user_id} to the room" in rejected(await channel.send(outgoing(old, "after")), Scope.TARGET)
    assert await alice.messages(new) == []
    await alice.invite(new, bot.user_id)
    assert isinstance(await channel.send(outgoing(old, "at last")), Sent)
    assert bodies(await alice.messages(new)) == ["at last"]


async def test_a_replacement_that_is_encrypted(channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser) -> None:
    old = await new_room(alice, bot)
    new = await new_room(alice, bot, encrypted=True)
    await alice.set_state(old, "m.room.tombstone", {"body": "moved", "replacement_room": new})
    assert "is encrypted" in rejected(await channel.send(outgoing(old)), Scope.TARGET)
    assert await alice.messages(new) == []


async def test_rooms_that_replace_each_other(channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser) -> None:
    one, two = await new_room(alice, bot), await new_room(alice, bot)
    for old, new in ((one, two), (two, one)):
        await alice.set_state(old, "m.room.tombstone", {"body": "moved", "replacement_room": new})
    outcome: Outcome = await channel.send(outgoing(one))
    assert isinstance(outcome, Rejected)
    assert "without end" in outcome.reason


@pytest.mark.parametrize("replacement", [7, "", "nowhere", None])
async def test_a_tombstone_that_names_no_room(
    channel: MatrixChannel, bot: MatrixUser, alice: MatrixUser, replacement: str | int | None
) -> None:
    room = await new_room(alice, bot)
    await alice.set_state(room, "m.room.tombstone", {"body": "closed", "replacement_room": replacement})
    assert isinstance(await channel.send(outgoing(room)), Sent)
