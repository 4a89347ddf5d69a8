"""The in-app inbox behind a running router: every user has one, and no crash makes a second notification."""

from router.channels.inapp import KIND
from router.channels.registry import AnyKind
from router.documents.json_types import JsonObject
from router.settings import CouchDBSettings
from tests.peers.postbox import Postbox
from tests.service.running import Desk, outcomes, running, running_until_killed, settings_for

KILLS = 8
MESSAGES = 40


async def inbox(desk: Desk, user: str) -> list[JsonObject]:
    return await desk.database.ids_between(f"notification:{user}:", f"notification:{user}:\ufff0")


async def test_every_user_has_one_and_preferences_hold(
    couchdb_settings: CouchDBSettings, desk: Desk, postbox: Postbox
) -> None:
    kinds: dict[str, AnyKind] = {"inapp": KIND, "postbox": postbox.kind()}
    await desk.map({"#team": {"users": ["alice", "bob"], "inapp": ["carol"], "postbox": "door"}})
    await desk.database.bulk(
        [
            {"_id": "recipient:alice"},
            {"_id": "recipient:bob"},
            {"_id": "preferences:bob", "channels": {"inapp": False}},
        ]
    )
    async with running(settings_for(couchdb_settings, kinds), kinds):
        await desk.write("m", "#team", "<i>Hello</i>", subject="Hi", type="chats")
        found = await desk.until(lambda found: len(found) == 4 and all(d["status"] != "PENDING" for d in found))
    assert {d["target"]: d["status"] for d in found} == {
        "alice": "COMPLETE",
        "bob": "SUPPRESSED",
        "carol": "COMPLETE",
        "door": "COMPLETE",
    }
    (notification,) = await inbox(desk, "alice")
    assert (notification["title"], notification["content"], notification["type"]) == ("Hi", "<i>Hello</i>", "chats")
    (delivery,) = (d for d in found if d["target"] == "alice")
    assert delivery["reference"] == notification["_id"]
    assert len(await inbox(desk, "carol")) == 1
    assert await inbox(desk, "bob") == []


async def test_a_router_that_is_killed_again_and_again_makes_each_notification_once(
    couchdb_settings: CouchDBSettings, desk: Desk
) -> None:
    kinds: dict[str, AnyKind] = {"inapp": KIND}
    settings = settings_for(couchdb_settings, kinds)
    await desk.map({"#team": {"inapp": ["alice", "bob"]}})
    written = 0
    for kill in range(KILLS):
        async with running_until_killed(settings, kinds):
            for _ in range(MESSAGES // KILLS):
                await desk.write(f"m{written}", "#team", f"say {written}")
                written += 1
            # Cut off at another moment of their way each time. One that is cut off while it takes the lease leaves it behind,
            # and the next one waits for it to run out.
            there = kill * 3
            await desk.until(lambda found, there=there: len(found) >= there, timeout_seconds=30)  # type: ignore[misc]  # bound now
    async with running(settings, kinds):
        found = await desk.all_have("COMPLETE", 2 * MESSAGES, timeout_seconds=20)
    for user in ("alice", "bob"):
        assert sorted(str(n["message_id"]) for n in await inbox(desk, user)) == sorted(f"m{n}" for n in range(MESSAGES))
    assert {outcomes(delivery)[-1] for delivery in found} == {"sent"}
