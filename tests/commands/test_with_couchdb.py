"""Commands on a real CouchDB, run as functions: what they print, and the code with which they end."""

import io
import json
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from router.commands.mapping import push_command, show_command
from router.commands.output import BadArgument
from router.commands.retry import retry_command
from router.commands.route import NOTHING_SAID, About, route_command
from router.commands.send import send_command
from router.commands.setup import ROLE_OF, setup_command
from router.couch.database import Database
from router.couch.mapping_store import LAST_GOOD
from router.couch.setup import setup
from router.documents.delivery import Delivery, Status
from router.documents.json_types import JsonObject
from router.documents.timestamps import utc_now
from tests.routing.making import READERS
from tests.servers.couchdb import CouchServer
from tests.service.running import MAPPING_ID, Desk

Captured = pytest.CaptureFixture[str]


@pytest.fixture
async def bad_edit(database: Database, desk: Desk) -> str:
    """A good mapping that a router saved, and a bad edit after it; gives the good one's revision."""
    rev = await desk.map({"#a": {"mail": ["x", "y"]}})
    await database.put_local(LAST_GOOD, {"document": await database.get(MAPPING_ID)})
    await desk.map({"#a": {"mail": ["NO"]}, "#b": {"mail": "z"}})
    return rev


async def test_show_of_an_invalid_document_shows_the_mapping_in_force(
    database: Database, bad_edit: str, capsys: Captured
) -> None:
    assert await show_command(database, MAPPING_ID, READERS, as_json=False) == 1
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "warning: mapping.#a.mail[0]: must be lower case",
        f"warning: {MAPPING_ID}: the mapping document is invalid; the last good one, revision {bad_edit}, is in force",
    ]
    assert [line.replace("│", "").split() for line in said.out.splitlines()[2:]] == [
        ["#a", "mail", "x"],
        ["#a", "mail", "y"],
    ]
    assert await show_command(database, MAPPING_ID, READERS, as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["_rev"] == bad_edit


async def test_route_goes_by_the_mapping_in_force(database: Database, bad_edit: str, capsys: Captured) -> None:
    async def route(group: str, *, expect: str | None = None, as_json: bool = False) -> int:
        return await route_command(database, MAPPING_ID, READERS, [group], expect=expect, as_json=as_json)

    assert await route("#a", expect="mail=2") == 0
    said = capsys.readouterr()
    assert said.out.endswith("2 targets: mail=2\n")
    assert f"revision {bad_edit}, is in force" in said.err
    assert "error:" not in said.err
    # Only the bad edit has this one.
    assert await route("#b") == 1
    assert "error: #b: the mapping has no such group" in capsys.readouterr().err
    assert await route("#a", as_json=True) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["mapping_rev"] == bad_edit
    assert [problem["severity"] for problem in answer["problems"]] == ["warning", "warning"]


@pytest.mark.parametrize("saved", [None, {"document": 5}, {"document": {"_id": MAPPING_ID, "mapping": {"a": {}}}}])
async def test_without_a_good_mapping_there_is_nothing_to_go_by(
    database: Database, desk: Desk, capsys: Captured, saved: JsonObject | None
) -> None:
    await desk.map({"#a": {"mail": "NO"}})
    if saved is not None:
        await database.put_local(LAST_GOOD, saved)
    assert await show_command(database, MAPPING_ID, READERS, as_json=False) == 1
    assert await route_command(database, MAPPING_ID, READERS, ["#a"], expect=None, as_json=False) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("there is no good one to go by") == 2


async def test_route_marks_what_it_cannot_reach_and_warns_of_what_is_odd(
    database: Database, desk: Desk, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    await desk.map({"#a": {"mail": "x", "off": "y"}, "#b": {"mail": "x", "pager": "z" * 100}})

    async def route(group: str, expect: str | None = None) -> int:
        return await route_command(database, MAPPING_ID, READERS, [group], expect=expect, as_json=False)

    assert await route("#a") == 0
    assert capsys.readouterr().err == "warning: mapping.#a.off: set ROUTER_OFF__TOKEN to use off\n"
    assert await route("#b", "mail=1") == 1
    said = capsys.readouterr()
    assert "pager (unknown) │ " + "z" * 30 + "…" + "z" * 29 + " │ #b" in said.out
    assert said.out.endswith("\n1 target: mail=1\n")
    assert [line.split(":")[0] for line in said.err.splitlines()] == ["warning", "error"]
    with pytest.raises(BadArgument) as caught:
        await route("admins")
    assert str(caught.value).count("'admins'") == 1


async def test_push_says_what_changed_and_refuses_another_document(
    database: Database, desk: Desk, tmp_path: Path, capsys: Captured
) -> None:
    await desk.map({"#a": {"mail": "x"}, "#b": {}})
    file = tmp_path / "mapping.json"
    file.write_text('{"_id": "theirs", "mapping": {}}')
    with pytest.raises(BadArgument, match=f"its _id is 'theirs', and the mapping document is '{MAPPING_ID}'"):
        await push_command(database, file, MAPPING_ID, READERS)
    file.write_text('{"#a": {"mail": "y"}, "#c": {}}')
    assert await push_command(database, file, MAPPING_ID, READERS) == 0
    written, *lines = capsys.readouterr().out.splitlines()
    assert written.startswith(f"{MAPPING_ID}: written, revision 2-")
    assert lines == ["added: #c", "changed: #a", "removed: #b"]


async def test_retry_says_at_once_that_there_is_no_such_document_and_prints_json(
    database: Database, capsys: Captured
) -> None:
    await setup(database, MAPPING_ID)
    assert await retry_command(database, "nope", {"mail"}, as_json=False) == 1
    assert capsys.readouterr().err == f"error: there is no document 'nope' in database '{database.name}'\n"
    await database.put(_complete("m1").to_document())
    assert await retry_command(database, "m1", {"mail"}, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == []


async def test_send_wait_shows_the_id_above_the_table_but_not_in_json(database: Database, capsys: Captured) -> None:
    await setup(database, MAPPING_ID)

    async def send(message_id: str, *, as_json: bool) -> int:
        await database.put(_complete(message_id).to_document())
        content: JsonObject = {"to": "#a", "body": "hello"}
        return await send_command(database, message_id, content, wait_seconds=10, as_json=as_json)

    assert await send("m1", as_json=False) == 0
    first, header, *_ = capsys.readouterr().out.splitlines()
    assert first == "m1"
    assert header.startswith("channel")
    assert await send("m2", as_json=True) == 0
    [document] = json.loads(capsys.readouterr().out)
    assert document["message_id"] == "m2"


async def test_setup_keeps_the_password_of_a_user_who_is_there(
    database: Database, couchdb_server: CouchServer, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"orders-{database.name}"

    async def run(*users: str, stdin: str | None = None, as_json: bool = True) -> str:
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin or ""))
        given = stdin is not None
        assert await setup_command(database, MAPPING_ID, users, password_stdin=given, as_json=as_json) == 0
        return capsys.readouterr().out

    first = json.loads(await run(f"app={name}"))
    assert first["users_created"] == list(first["passwords"]) == [name]
    assert first["passwords_kept"] == []
    again = json.loads(await run(f"admin={name}", f"app={name}"))
    assert (again["users_created"], again["passwords"], again["passwords_kept"]) == ([], {}, [name])
    said = await run(f"app={name}", as_json=False)
    assert f"user {name}: there, has the role, kept its password\n" in said

    async def roles(password: str) -> tuple[str, ...]:
        async with Database(couchdb_server.settings(database.name, name, password)) as theirs:
            return (await theirs.user()).roles

    assert set(await roles(first["passwords"][name])) == {ROLE_OF["app"], ROLE_OF["admin"]}
    given = json.loads(await run(f"app={name}", stdin="another-one\n"))
    assert (given["users_updated"], given["passwords"], given["passwords_kept"]) == ([name], {}, [])
    assert await roles("another-one")


def _complete(message_id: str) -> Delivery:
    its_id, now = f"delivery:{message_id}:mail:{'0' * 16}", utc_now()
    return Delivery(
        id=its_id,
        message_id=message_id,
        group="#a",
        channel="mail",
        target="x",
        targets=1,
        status=Status.COMPLETE,
        uuid=UUID(int=1),
        created_at=now,
        updated_at=now,
    )


async def test_route_shows_what_users_want_before_it_happens(
    database: Database, desk: Desk, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    now = utc_now()
    hours: JsonObject = {"start": f"{now - timedelta(hours=1):%H:%M}", "end": f"{now + timedelta(hours=1):%H:%M}"}
    await database.bulk(
        [
            {"_id": "recipient:alice", "addresses": {"mail": ["a", "NO"], "room": "r"}},
            {"_id": "preferences:alice", "groups": {"chats": {"events": {"mention": {"channels": {"mail": False}}}}}},
            {"_id": "preferences:alice:acme", "quiet_hours": hours},
            {"_id": "notifications", "groups": {"chats": {"events": {"mention": True}}}, "channels": {"fax": True}},
        ]
    )

    async def route(*names: str, about: About = NOTHING_SAID, expect: str | None = None, as_json: bool = False) -> int:
        return await route_command(database, MAPPING_ID, READERS, names, about=about, expect=expect, as_json=as_json)

    # No mapping is needed for a user.
    assert await route("@alice", expect="mail=1 room=1") == 1
    said = capsys.readouterr()
    assert said.err.splitlines() == [
        "warning: channels.fax: this router knows no channel 'fax'; it knows mail, off, room",
        "error: mail: recipient:alice: addresses.mail[1]: must be lower case",
    ]
    assert [[cell.strip() for cell in line.split("│")] for line in said.out.splitlines()[2:-1]] == [
        ["mail", "a", "@alice", "sent"],
        ["room", "r", "@alice", "sent"],
        ["mail", "NO", "@alice", "failed"],
    ]
    await database.put({"_id": "recipient:bob", "addresses": {"mail": "b"}})
    await desk.map({"#team": {"users": "bob"}})
    assert await route("#team", as_json=True) == 0
    (target,) = json.loads(capsys.readouterr().out)["targets"]
    assert (target["user"], target["via"], target["decision"], target["rule"]) == ("bob", ["#team"], "sent", None)

    await database.put({**(await desk.document("recipient:alice")), "addresses": {"mail": "a", "room": "r"}})
    about = About(event="mention", customer="acme")
    assert await route("@alice", about=about, expect="room=1", as_json=True) == 0
    decisions = [(t["decision"], t["rule"]) for t in json.loads(capsys.readouterr().out)["targets"]]
    assert decisions == [
        ("suppressed", "preferences:alice groups.chats.events.mention.channels.mail"),
        ("held", "preferences:alice:acme quiet_hours"),
    ]
    assert await route("@alice", about=about) == 0
    out = capsys.readouterr().out
    assert "suppressed by preferences:alice groups.chats.events.mention.channels.mail" in out
    assert "held until " in out
    assert await route("@carol") == 1
    assert "error: @carol: there is no document recipient:carol" in capsys.readouterr().err
