"""The commands as a person runs them: processes with arguments, exit codes, tables and sentences."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from router.couch.mapping_store import LAST_GOOD, STATUS_ID
from router.demo.smtp import MailServer
from router.documents.json_types import JsonObject, JsonValue
from router.settings import CouchDBSettings
from tests.servers.couchdb import CouchServer
from tests.service.process import command, environment, router_process
from tests.service.running import MAPPING_ID, Desk

MAPPING: JsonObject = {
    "#admins": {"email": ["will@example.org", "ann@example.org"], "groups": "#ops"},
    "#ops": {"email": "ops@example.org"},
}


@pytest.fixture
async def mail() -> AsyncIterator[MailServer]:
    async with MailServer(refused=("gone@example.org",)) as server:
        yield server


@pytest.fixture
def env(couchdb_settings: CouchDBSettings, mail: MailServer) -> dict[str, str]:
    return environment(
        couchdb_settings,
        {
            "ROUTER_EMAIL__HOST": mail.host,
            "ROUTER_EMAIL__PORT": str(mail.port),
            "ROUTER_EMAIL__SECURITY": "none",
            "ROUTER_EMAIL__SENDER": "router@example.org",
        },
    )


async def test_help_and_version_need_no_settings() -> None:
    helped, version = await asyncio.gather(command({}, "--help"), command({}, "--version"))
    assert helped.code == version.code == 0
    for name in ("run", "setup", "check", "route", "send", "status", "retry", "mapping", "demo", "Exit codes"):
        assert name in helped.out


async def test_a_mistyped_setting_is_one_sentence(tmp_path: Path) -> None:
    ended = await command({"ROUTER_EMAIL__HOTS": "x", "ROUTER_EMAIL__PORT": "no"}, "check", folder=tmp_path)
    assert ended.code == 2
    assert ended.error.splitlines() == [
        "error: ROUTER_EMAIL__HOTS is no setting of the router; did you mean ROUTER_EMAIL__HOST?",
        "error: ROUTER_EMAIL__PORT must be a whole number, not 'no'",
    ]


async def test_no_couchdb_is_one_sentence_and_exit_3(unused_tcp_port: int) -> None:
    env = {"ROUTER_COUCHDB__URL": f"http://user:hunter22@127.0.0.1:{unused_tcp_port}"}
    for arguments in (
        ("route", "#a"),
        ("send", "#a", "x"),
        ("status", "m"),
        ("retry", "m"),
        ("mapping", "show"),
        ("setup",),
    ):
        ended = await command(env, *arguments)
        assert ended.code == 3, arguments
        assert len(ended.error.splitlines()) == 1
        assert str(unused_tcp_port) in ended.error
        assert "hunter22" not in ended.error


async def test_a_wrong_password_is_said_and_not_shown(env: dict[str, str]) -> None:
    ended = await command({**env, "ROUTER_COUCHDB__PASSWORD": "hunter22"}, "route", "#a")
    assert ended.code == 3
    assert "ROUTER_COUCHDB__PASSWORD" in ended.error
    assert "hunter22" not in ended.error


async def test_setup_makes_database_and_users(
    couchdb_server: CouchServer, couchdb_settings: CouchDBSettings, env: dict[str, str]
) -> None:
    with couchdb_server.http() as http:
        http.delete(f"/{couchdb_settings.database}").raise_for_status()
    first = await command(env, "setup", "--user", f"app=orders-{couchdb_settings.database}", "--json")
    assert first.code == 0, first.error
    report = json.loads(first.out)
    assert report["created_database"] is True
    [(name, password)] = report["passwords"].items()
    again = await command(env, "setup")
    assert again.code == 0
    assert "design documents: current" in again.out
    as_app = {**env, "ROUTER_COUCHDB__USERNAME": name, "ROUTER_COUCHDB__PASSWORD": password}
    assert (await command(as_app, "send", "#admins", "hello", "--id", "m1")).code == 0
    assert (await command(env, "setup", "--user", "boss=x")).code == 2


async def test_mapping_validate_push_show_and_route(env: dict[str, str], tmp_path: Path) -> None:
    await command(env, "setup")
    good, bad, broken = tmp_path / "good.json", tmp_path / "bad.json", tmp_path / "broken.json"
    good.write_text(json.dumps({"mapping": MAPPING}))
    bad.write_text(json.dumps({"#admins": {"email": ["will@example.org", "nobody"]}}))
    broken.write_text('{"mapping": {,}}')

    assert (await command(env, "mapping", "show")).code == 1
    valid, invalid, unread, missing = await asyncio.gather(
        command(env, "mapping", "validate", str(good)),
        command(env, "mapping", "push", str(bad)),
        command(env, "mapping", "validate", str(broken)),
        command(env, "mapping", "validate", str(tmp_path / "no.json")),
    )
    assert valid.code == 0
    assert invalid.code == 1
    assert "mapping.#admins.email[1]: " in invalid.error
    assert unread.code == missing.code == 2
    assert "line 1" in unread.error

    tried = await command(env, "mapping", "push", "--dry-run", "--json", str(good))
    assert tried.code == 0, tried.error
    assert json.loads(tried.out)["added"] == ["#admins", "#ops"]
    assert (await command(env, "mapping", "show")).code == 1
    valid_json = await command(env, "mapping", "validate", "--json", str(good))
    assert json.loads(valid_json.out)["groups"] == 2
    pushed = await command(env, "mapping", "push", str(good))
    assert pushed.code == 0, pushed.error
    shown, route, as_json, right, wrong, unknown, unquoted = await asyncio.gather(
        command(env, "mapping", "show"),
        command(env, "route", "#admins"),
        command(env, "route", "#admins", "--json"),
        command(env, "route", "#admins", "--expect", "email=3"),
        command(env, "route", "#admins", "--expect", "email=2 matrix=1"),
        command(env, "route", "#nobody"),
        command(env, "route", "admins"),
    )
    assert shown.code == 0
    assert "ops@example.org" in shown.out
    assert route.code == 0
    assert "#admins > #ops" in route.out
    assert {t["target"]: t["via"] for t in json.loads(as_json.out)["targets"]} == {
        "will@example.org": ["#admins"],
        "ann@example.org": ["#admins"],
        "ops@example.org": ["#admins", "#ops"],
    }
    assert right.code == 0
    assert wrong.code == 1
    assert "expected email=2 matrix=1, got email=3" in wrong.error
    assert unknown.code == 1
    assert "no such group" in unknown.error
    assert unquoted.code == 2
    assert "'#admins'" in unquoted.error


async def test_send_wait_status_and_retry(env: dict[str, str], desk: Desk, mail: MailServer, tmp_path: Path) -> None:
    await command(env, "setup")
    await desk.map({**MAPPING, "#gone": {"email": "gone@example.org"}})
    async with router_process(env, tmp_path / "log") as router:
        await router.has_logged("mapping in force")
        sent, failed, malformed = await asyncio.gather(
            command(env, "send", "#admins", "-s", "Hello", "a < b & c", "--id", "m1", "--wait"),
            command(env, "send", "#gone", "x", "--id", "m2", "--wait", "--json"),
            command(env, "send", "#admins", "--id", "m3"),
        )
        assert sent.code == 0, sent.error + sent.out
        assert sent.out.count("COMPLETE") == 3
        assert failed.code == 1
        [document] = json.loads(failed.out)
        assert document["status"] == "FAILED"
        assert document["error"]["code"] == "rejected_target"
        assert malformed.code == 2
        assert "content: needs a body or a subject" in malformed.error

        [arrived] = await mail.wait_for_mail("will@example.org")
        text = arrived.message.get_body(("plain",))
        assert text is not None
        assert "a < b & c" in text.get_content()

        status, nothing, twice = await asyncio.gather(
            command(env, "status", "m2"),
            command(env, "status", "no-such"),
            command(env, "send", "#admins", "x", "--id", "m1"),
        )
        assert status.code == 1
        assert "550" in status.out
        assert nothing.code == 1
        assert "no document 'no-such'" in nothing.error
        assert twice.code == 1
        assert "--id" in twice.error

        again = await command(env, "retry", "m2")
        assert again.code == 0
        await desk.until(lambda d: len(d[0]["attempts"]) == 2 and d[0]["status"] == "FAILED", "m2")  # type: ignore[arg-type]
        assert (await command(env, "retry", "m1")).out == "nothing to try again\n"
        piped = await command(env, "send", "#ops", "-", "--html", "--link", "https://example.org/x", stdin="<b>hi</b>")
        assert piped.code == 0
        [mailed] = [m for m in await mail.wait_for_mail("ops@example.org", 2) if "hi" in str(m.message["Subject"])]
        html = mailed.message.get_body(("html",))
        assert html is not None
        assert "https://example.org/x" in html.get_content()


async def test_check_tells_right_from_wrong(env: dict[str, str], desk: Desk, mail: MailServer) -> None:
    await command(env, "setup")
    await desk.map(MAPPING)
    good = await command(env, "check")
    assert good.code == 0, good.out
    as_json = json.loads((await command(env, "check", "--json")).out)
    parts = {"settings", "couchdb", "mapping", "catalogue", "matrix", "email", "slack", "sphinx", "inapp"}
    assert {row["part"] for row in as_json} == parts
    assert {row["state"] for row in as_json} == {"ok", "off"}

    await desk.map({"#admins": {"email": "will@example.org", "sphinx": "02" + "ab" * 32}})
    await mail.stop()
    bad = await command(env, "check")
    assert bad.code == 1
    assert "ROUTER_SPHINX__URL" in bad.out
    assert "mapping.#admins.sphinx" in bad.out
    assert "found something wrong" in bad.out


async def test_check_tells_what_is_odd_from_what_is_wrong(env: dict[str, str], desk: Desk) -> None:
    async def rows() -> tuple[int, list[tuple[str, str, str]]]:
        ended = await command(env, "check", "--json")
        found = [
            (row["check"], row["state"], row["detail"]) for row in json.loads(ended.out) if row["part"] == "mapping"
        ]
        return ended.code, found

    await command(env, "setup")
    good = await desk.map({"#admins": {"email": "will@example.org", "pager": "x", "groups": "#gone"}})
    await desk.database.put_local(LAST_GOOD, {"document": await desk.document(MAPPING_ID)})
    status: JsonObject = {"_id": STATUS_ID, "in_force_rev": good}
    status["_rev"] = await desk.database.put(status)
    code, found = await rows()
    assert code == 0
    assert [row[:2] for row in found] == [
        ("read", "ok"),
        ("mapping.#admins.pager", "odd"),
        ("mapping.#admins.groups", "odd"),
        ("in force", "ok"),
    ]
    assert found[-1][2] == f"revision {good}"

    bad = await desk.map({"#admins": {"email": "nobody", "pager": "x"}})
    code, found = await rows()
    assert code == 1
    assert [row[:2] for row in found] == [("read", "wrong"), ("mapping.#admins.email", "wrong"), ("in force", "ok")]
    assert found[0][2] == f"{MAPPING_ID}, revision {bad}, is invalid: 1 problem"
    assert found[-1][2] == f"the last good one, revision {good}"

    await desk.database.put({"_id": MAPPING_ID, "_rev": bad, "_deleted": True})
    code, found = await rows()
    assert code == 1
    assert [row[:2] for row in found] == [("read", "wrong"), ("in force", "ok")]
    assert found[-1][2] == f"the last good one, revision {good}"

    newest = await desk.map({"#admins": {"email": "will@example.org"}})
    code, found = await rows()
    assert code == 0
    assert found[0][2].startswith(f"{MAPPING_ID}, revision {newest}, ")
    assert found[-1][1:] == ("odd", f"revision {good}, not the newest: is the router running?")


async def test_an_id_that_no_message_can_have_is_one_sentence_and_exit_2(unused_tcp_port: int) -> None:
    # Said before CouchDB is asked: nobody answers at that address.
    env = {"ROUTER_COUCHDB__URL": f"http://127.0.0.1:{unused_tcp_port}", "PYTHONUTF8": "1"}
    for arguments, says in (
        (("send", "#a", "x", "--id", ""), "must not be empty"),
        (("send", "#a", "x", "--id", "delivery:m1"), "must not start with 'delivery:'"),
        (("status", "m\udcff"), "must be valid UTF-8"),
        (("retry", "ccs.notifications"), "is the mapping document"),
    ):
        ended = await command(env, *arguments)
        assert ended.code == 2, ended.error
        [sentence] = ended.error.splitlines()
        assert sentence.startswith("error: ")
        assert says in sentence


async def test_check_of_a_mapping_with_thousands_of_problems_can_be_read(env: dict[str, str], desk: Desk) -> None:
    await desk.map({"#admins": {"email": [f"bad {n}" for n in range(3000)]}})
    status: JsonObject = {"_id": STATUS_ID, "type": "mapping-status", "in_force_rev": "7-" + "ab" * 16}
    status["_rev"] = await desk.database.put(status)
    bad = await command(env, "check")
    assert bad.code == 1
    about = [line for line in bad.out.splitlines() if line.startswith("mapping")]
    assert len(about) == 23
    assert "is invalid: 3000 problems" in about[0]
    assert "mapping.#admins.email[19]" in about[20]
    assert "and 2980 more" in about[21]
    assert f"the document {STATUS_ID} lists them" in about[21]
    assert "the last good one, revision 7-abab" in about[22]
    shown = await command(env, "mapping", "show")
    assert shown.code == 1
    assert "mapping.#admins.email[2999]" in shown.error

    # That somebody wrote into the status document by hand.
    damage: JsonValue = "x" * 100_000
    await desk.database.put({**status, "in_force_rev": damage, "problems": damage})
    damaged = await command(env, "check")
    assert damaged.code == 1
    assert len(damaged.out) < 20_000
    [line] = [line for line in damaged.out.splitlines() if "in force" in line]
    assert f"{STATUS_ID} is damaged" in line
    await desk.map(MAPPING)
    shown = await command(env, "mapping", "show")
    assert shown.code == 1
    assert shown.error == (
        f"error: {STATUS_ID} is damaged: its in_force_rev is no revision; restart the router, which writes it anew\n"
    )

    # Thousands of warnings, too.
    await desk.map({"#admins": {"groups": [f"#gone-{n}" for n in range(3000)]}})
    odd = await command(env, "check")
    assert odd.code == 1  # The status document is still damaged.
    assert "and 2980 more" in odd.out
    assert len(odd.out.splitlines()) < 50
