"""`router mapping` on a real CouchDB: what is overwritten, what is refused, and what is shown once the document is gone."""

import json
from pathlib import Path

import pytest

from router.commands.mapping import push_command, show_command, validate_command
from router.commands.route import route_command
from router.couch.database import Database
from router.couch.mapping_store import LAST_GOOD
from router.documents.json_types import JsonObject, JsonValue
from tests.routing.making import READERS
from tests.service.running import MAPPING_ID, Desk

Captured = pytest.CaptureFixture[str]

PRESENT: JsonObject = {"#a": {"mail": "x"}, "#b": {}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mapping.json"


def write(file: Path, document: JsonValue) -> None:
    file.write_text(json.dumps(document))


async def saved_as_last_good(database: Database, desk: Desk, mapping: JsonValue) -> str:
    """The mapping as a router would have saved it; gives its revision."""
    rev = await desk.map(mapping)
    await database.put_local(LAST_GOOD, {"document": await desk.document(MAPPING_ID)})
    return rev


async def delete(desk: Desk) -> None:
    document = await desk.document(MAPPING_ID)
    await desk.database.put({"_id": MAPPING_ID, "_rev": document["_rev"], "_deleted": True})


# --- push


async def test_a_file_with_a_stale_revision_overwrites_nobodys_edit(
    database: Database, desk: Desk, file: Path, capsys: Captured
) -> None:
    await desk.map(PRESENT)
    assert await show_command(database, MAPPING_ID, READERS, as_json=True) == 0
    mine = json.loads(capsys.readouterr().out)
    theirs = await desk.map({**PRESENT, "#theirs": {"mail": "y"}})
    write(file, {**mine, "mapping": {**PRESENT, "#mine": {}}})
    for dry_run in (False, True):
        assert await push_command(database, file, MAPPING_ID, READERS, dry_run=dry_run) == 1
        said = capsys.readouterr()
        [sentence] = said.err.splitlines()
        assert said.out == ""
        assert mine["_rev"] in sentence
        assert theirs in sentence
    assert (await desk.document(MAPPING_ID))["_rev"] == theirs
    # With what they wrote taken over, it goes in.
    write(file, {**mine, "_rev": theirs, "mapping": {**PRESENT, "#mine": {}, "#theirs": {"mail": "y"}}})
    assert await push_command(database, file, MAPPING_ID, READERS) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["added: #mine"]


async def test_a_file_with_the_revision_of_a_deleted_document_does_not_bring_it_back(
    database: Database, desk: Desk, file: Path, capsys: Captured
) -> None:
    rev = await desk.map(PRESENT)
    await delete(desk)
    write(file, {"_id": MAPPING_ID, "_rev": rev, "mapping": PRESENT})
    assert await push_command(database, file, MAPPING_ID, READERS) == 1
    [sentence] = capsys.readouterr().err.splitlines()
    assert "deleted" in sentence
    assert "_rev" in sentence
    assert await database.get(MAPPING_ID) is None


@pytest.mark.parametrize("rev", [5, "", None])
async def test_a_revision_that_is_none_is_not_current(
    database: Database, desk: Desk, file: Path, capsys: Captured, rev: JsonValue
) -> None:
    await desk.map(PRESENT)
    write(file, {"_rev": rev, "mapping": PRESENT})
    assert await push_command(database, file, MAPPING_ID, READERS) == 1
    assert "_rev" in capsys.readouterr().err


async def test_a_dry_run_says_what_would_change_and_writes_nothing(
    database: Database, desk: Desk, file: Path, capsys: Captured
) -> None:
    rev = await desk.map(PRESENT)
    write(file, {"#a": {"mail": "y"}, "#c": {}})
    assert await push_command(database, file, MAPPING_ID, READERS, dry_run=True) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{MAPPING_ID}: nothing is written; to be replaced: revision {rev}",
        "added: #c",
        "changed: #a",
        "removed: #b",
    ]
    assert (await desk.document(MAPPING_ID))["_rev"] == rev
    assert await push_command(database, file, MAPPING_ID, READERS, dry_run=True, as_json=True) == 0
    assert json.loads(capsys.readouterr().out) == {
        "written": False,
        "revision": None,
        "groups": 2,
        "added": ["#c"],
        "changed": ["#a"],
        "removed": ["#b"],
        "problems": [],
    }


async def test_a_first_mapping_can_be_tried_too(database: Database, file: Path, capsys: Captured) -> None:
    write(file, PRESENT)
    assert await push_command(database, file, MAPPING_ID, READERS, dry_run=True) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{MAPPING_ID}: nothing is written; it would be new",
        "added: #a, #b",
    ]
    assert await database.get(MAPPING_ID) is None


async def test_push_in_json_says_what_was_written_or_why_not(
    database: Database, desk: Desk, file: Path, capsys: Captured
) -> None:
    rev = await desk.map(PRESENT)
    write(file, {"#a": {"mail": "NO", "pager": "z"}})
    assert await push_command(database, file, MAPPING_ID, READERS, as_json=True) == 1
    said = capsys.readouterr()
    assert said.err == ""
    answer = json.loads(said.out)
    assert (answer["written"], answer["revision"]) == (False, None)
    assert answer["problems"] == [{"severity": "error", "path": "mapping.#a.mail", "reason": "must be lower case"}]
    write(file, {"_rev": "1-old", "mapping": PRESENT})
    assert await push_command(database, file, MAPPING_ID, READERS, as_json=True) == 1
    [problem] = json.loads(capsys.readouterr().out)["problems"]
    assert (problem["severity"], problem["path"]) == ("error", "_rev")
    write(file, {"_rev": rev, "mapping": {"#a": {"mail": "x", "off": "z"}}})
    assert await push_command(database, file, MAPPING_ID, READERS, as_json=True) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["revision"] == (await desk.document(MAPPING_ID))["_rev"]
    assert [answer[key] for key in ("written", "groups", "added", "changed", "removed")] == [
        True,
        1,
        [],
        ["#a"],
        ["#b"],
    ]
    assert [problem["severity"] for problem in answer["problems"]] == ["warning"]


async def test_a_push_is_compared_with_the_mapping_in_force(
    database: Database, desk: Desk, file: Path, capsys: Captured
) -> None:
    await saved_as_last_good(database, desk, {"#a": {"mail": "x"}})
    await desk.map({"#a": {"mail": "NO"}, "#b": {}})
    write(file, {"#a": {"mail": "x"}})
    assert await push_command(database, file, MAPPING_ID, READERS) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["no group is changed"]


async def test_an_empty_mapping_after_a_delete_is_told_of_as_what_it_is(
    database: Database, desk: Desk, file: Path, capsys: Captured
) -> None:
    await saved_as_last_good(database, desk, PRESENT)
    await delete(desk)
    write(file, {})
    assert await push_command(database, file, MAPPING_ID, READERS) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[1:] == ["removed: #a, #b"]
    assert "has no group" in said.err


# --- validate


async def test_validate_warns_of_a_mapping_without_groups(file: Path, capsys: Captured) -> None:
    write(file, {"mapping": {}})
    assert validate_command(file, MAPPING_ID, READERS) == 0
    said = capsys.readouterr()
    assert said.out.endswith("valid, 0 groups\n")
    assert said.err.splitlines() == ["warning: mapping: has no group, so nobody gets anything that is sent to one"]


@pytest.mark.parametrize(
    ("mapping", "code", "groups", "severities"),
    [
        ({"#a": {"mail": "x"}}, 0, 1, []),
        ({"#a": {"mail": "x", "pager": "y"}}, 0, 1, ["warning"]),
        ({"#a": {"mail": ["NO", "NO"], "pager": "y"}}, 1, None, ["error", "error"]),
    ],
)
async def test_validate_in_json(
    file: Path, capsys: Captured, mapping: JsonValue, code: int, groups: int | None, severities: list[str]
) -> None:
    write(file, mapping)
    assert validate_command(file, MAPPING_ID, READERS, as_json=True) == code
    said = capsys.readouterr()
    assert said.err == ""
    answer = json.loads(said.out)
    assert (answer["valid"], answer["groups"]) == (code == 0, groups)
    assert [problem["severity"] for problem in answer["problems"]] == severities


# --- once the document is gone


async def test_show_and_route_go_by_the_last_good_mapping_once_the_document_is_deleted(
    database: Database, desk: Desk, capsys: Captured
) -> None:
    rev = await saved_as_last_good(database, desk, PRESENT)
    await delete(desk)
    says = f"warning: {MAPPING_ID}: there is no such document; the last good one, revision {rev}, is in force"
    assert await show_command(database, MAPPING_ID, READERS, as_json=False) == 1
    said = capsys.readouterr()
    assert said.err.splitlines() == [says]
    assert [line.replace("│", "").split() for line in said.out.splitlines()[2:]] == [["#a", "mail", "x"]]
    assert await route_command(database, MAPPING_ID, READERS, ["#a"], expect="mail=1", as_json=False) == 0
    assert says in capsys.readouterr().err.splitlines()
    assert await show_command(database, MAPPING_ID, READERS, as_json=True) == 1
    assert json.loads(capsys.readouterr().out)["_rev"] == rev


@pytest.mark.parametrize("saved", [None, {"document": 5}, {"document": {"_id": MAPPING_ID, "mapping": {"a": {}}}}])
async def test_where_there_never_was_one_it_is_said_how_to_write_it(
    database: Database, capsys: Captured, saved: JsonObject | None
) -> None:
    if saved is not None:
        await database.put_local(LAST_GOOD, saved)
    assert await show_command(database, MAPPING_ID, READERS, as_json=False) == 1
    assert await route_command(database, MAPPING_ID, READERS, ["#a"], expect=None, as_json=False) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count(f"error: there is no mapping document '{MAPPING_ID}'; write one with") == 2
