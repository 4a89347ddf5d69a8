"""The router as a process on real servers: all four channels, signals, kill -9, and a CouchDB that comes and goes."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from router.couch.database import Database
from router.demo.matrix_user import MatrixUser
from router.demo.smtp import MailServer
from router.demo.synapse import Synapse
from router.documents.json_types import JsonObject
from router.settings import CouchDBSettings
from tests.peers.slack import GENERAL, SlackPeer
from tests.peers.sphinx import CONTACT_INFO, SphinxPeer
from tests.servers.couchdb import RestartableCouchDB
from tests.servers.synapse import bodies, new_room, new_user
from tests.service.process import command, environment, router_process
from tests.service.running import Desk

MAILBOX = "will@example.org"


@dataclass(frozen=True, slots=True)
class World:
    """All that a router can reach."""

    mail: MailServer
    slack: SlackPeer
    sphinx: SphinxPeer
    alice: MatrixUser
    room: str
    variables: dict[str, str]

    @property
    def mapping(self) -> JsonObject:
        """One group with a target on each channel."""
        return {"#all": {"matrix": self.room, "email": MAILBOX, "slack": GENERAL, "sphinx": CONTACT_INFO}}


@pytest.fixture
async def world(synapse: Synapse) -> AsyncIterator[World]:
    async with MailServer(mails_kept=1000) as mail, SlackPeer() as slack, SphinxPeer() as sphinx:
        sphinx.befriend()
        bot, alice = await new_user(synapse, "router"), await new_user(synapse, "alice")
        room = await new_room(alice, bot)
        yield World(
            mail,
            slack,
            sphinx,
            alice,
            room,
            {
                "ROUTER_MATRIX__HOMESERVER": synapse.url,
                "ROUTER_MATRIX__ACCESS_TOKEN": bot.access_token,
                "ROUTER_EMAIL__HOST": mail.host,
                "ROUTER_EMAIL__PORT": str(mail.port),
                "ROUTER_EMAIL__SECURITY": "none",
                "ROUTER_EMAIL__SENDER": "router@example.org",
                "ROUTER_SLACK__BOT_TOKEN": slack.token,
                "ROUTER_SLACK__API_URL": slack.api_url,
                "ROUTER_SLACK__TARGET_RATE_PER_SECOND": "1000",
                "ROUTER_SPHINX__URL": sphinx.url,
                "ROUTER_SPHINX__ADMIN_TOKEN": sphinx.token,
            },
        )


async def test_all_four_channels_get_everything_though_the_router_is_killed_in_the_middle(
    couchdb_settings: CouchDBSettings, desk: Desk, world: World, tmp_path: Path
) -> None:
    count = 40
    await desk.map(world.mapping)
    env = environment(couchdb_settings, world.variables)
    writer = asyncio.create_task(write_many(desk, count))
    for share in (1, 2):
        async with router_process(env, tmp_path / "log") as router:
            await world.mail.wait_for_mail(MAILBOX, share * count // 3, timeout_seconds=30)
            await router.kill()
    await writer
    async with router_process(env, tmp_path / "log") as router:
        found = await desk.all_have("COMPLETE", 4 * count, timeout_seconds=60)
        assert await router.end() == 0
    wanted = {f"number {n:03}" for n in range(count)}

    in_room = await world.alice.messages(world.room)
    assert Counter(map(str, bodies(in_room))) == Counter(wanted)  # Each once: Matrix can tell a repeat.
    events = {str(event["event_id"]) for event in in_room}
    assert {str(d["reference"]) for d in found if d["channel"] == "matrix"} == events

    mails = world.mail.mailbox(MAILBOX)
    by_id = {mail.message["Message-ID"]: str(mail.message["Subject"]) for mail in mails}
    assert len(by_id) == count  # One Message-ID for each, however often it came.
    assert set(by_id.values()) == wanted

    assert set(world.slack.texts(GENERAL)) == wanted
    assert {message.content for message in world.sphinx.messages} == wanted


async def write_many(desk: Desk, count: int) -> None:
    for number in range(count):
        text = f"number {number:03}"
        await desk.database.put({"_id": f"m{number:03}", "content": {"to": "#all", "body": text, "format": "text"}})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_cleanly(
    couchdb_settings: CouchDBSettings, desk: Desk, tmp_path: Path, number: signal.Signals
) -> None:
    async with router_process(environment(couchdb_settings), tmp_path / "log") as router:
        await router.has_logged("channels")
        assert await router.end(number) == 0
    assert "Traceback" not in router.log
    assert "secret" not in router.log


async def test_it_waits_for_couchdb_and_survives_its_restarts(
    restartable_couchdb: RestartableCouchDB, tmp_path: Path
) -> None:
    couchdb = restartable_couchdb.settings
    async with MailServer() as mail:
        env = environment(
            couchdb,
            {
                "ROUTER_EMAIL__HOST": mail.host,
                "ROUTER_EMAIL__PORT": str(mail.port),
                "ROUTER_EMAIL__SECURITY": "none",
                "ROUTER_EMAIL__SENDER": "router@example.org",
            },
        )
        restartable_couchdb.stop()
        async with router_process(env, tmp_path / "log") as router, Database(couchdb) as database:
            desk = Desk(database)
            await router.has_logged("waiting for CouchDB")
            await asyncio.to_thread(restartable_couchdb.start)
            await router.has_logged("channels")
            await desk.map({"#a": {"email": MAILBOX}})
            await desk.write("before", "#a", "before")
            await mail.wait_for_mail(MAILBOX, 1, timeout_seconds=20)
            await desk.write("at the last moment", "#a", "at the last moment")
            restartable_couchdb.kill()
            await router.has_logged("waiting for CouchDB")
            await asyncio.to_thread(restartable_couchdb.start)
            await desk.write("after", "#a", "after")
            await desk.all_have("COMPLETE", 3, timeout_seconds=30)
            assert await router.end() == 0
        assert router.log.count("waiting for CouchDB") < 10
        subjects = [str(m.message["Subject"]) for m in mail.mailbox(MAILBOX)]
    assert set(subjects) == {"before", "at the last moment", "after"}


async def test_it_can_be_stopped_while_it_waits_for_couchdb(
    restartable_couchdb: RestartableCouchDB, tmp_path: Path
) -> None:
    restartable_couchdb.stop()
    async with router_process(environment(restartable_couchdb.settings), tmp_path / "log") as router:
        await router.has_logged("waiting for CouchDB")
        assert await router.end() == 0
    assert "Traceback" not in router.log


async def test_a_refused_login_ends_it_at_once_with_one_sentence(
    restartable_couchdb: RestartableCouchDB, tmp_path: Path
) -> None:
    env = {**environment(restartable_couchdb.settings), "ROUTER_COUCHDB__PASSWORD": "hunter22"}
    ended = await command(env, "run", folder=tmp_path)
    assert ended.code == 3
    last = ended.error.splitlines()[-1]
    assert last.startswith("error: ")
    assert "ROUTER_COUCHDB__PASSWORD" in last
    assert "hunter22" not in ended.error
