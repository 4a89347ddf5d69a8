"""What commands say, and what they read from a file: the parts that need neither CouchDB nor a process."""

import json
import os
from pathlib import Path

import pytest

from router.channels.registry import kinds
from router.commands.check import check_command
from router.commands.mapping_changes import changes_between
from router.commands.mapping_file import read_file
from router.commands.output import PIPED_WIDTH, BadArgument, counted, print_table, shortened
from router.commands.route import Answer
from router.documents.json_types import JsonValue
from router.documents.problems import Problem
from router.documents.timestamps import utc_now
from router.routing.catalogue import NO_CATALOGUE
from router.routing.choice import Topic
from router.routing.plan import Plan, plan
from router.routing.resolve import Resolution, resolve
from router.service import readers
from router.settings import CouchDBSettings, EmailSettings, Settings
from tests.routing.making import READERS, mapping_of


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (None, {"#a": {}}, ["added: #a"]),
        ("damaged", {"#a": {}}, ["added: #a"]),
        ({"#a": {}}, {"#a": {}}, ["no group is changed"]),
        (
            {"#a": {}, "#b": {"email": "x"}, "#c": {}},
            {"#d": {}, "#b": {"email": "y"}, "#c": {}},
            ["added: #d", "changed: #b", "removed: #a"],
        ),
        (
            {},
            {f"#{n}": {} for n in range(13)},
            ["added: #0, #1, #2, #3, #4, #5, #6, #7, #8, #9 and 3 more"],
        ),
    ],
)
def test_changes_are_named(before: JsonValue, after: JsonValue, lines: list[str]) -> None:
    assert changes_between(before, after).lines == lines


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"#admins": {}, "#admins": {}}', "'#admins'"),
        ('{"mapping": {"#a": {"email": "x", "email": ["y"]}}}', "'email'"),
        ('{"mapping": {}, "mapping": {"#a": {}}}', "'mapping'"),
        (r'{"mapping": {"#a": {}, "\u0023a": {}}}', "'#a'"),
    ],
)
def test_a_key_that_stands_twice_is_named(tmp_path: Path, text: str, key: str) -> None:
    file = tmp_path / "mapping.json"
    file.write_text(text)
    with pytest.raises(BadArgument, match="more than once") as caught:
        read_file(file, "ccs.notifications")
    assert f": {key} stands" in str(caught.value)


def test_the_same_key_in_two_objects_is_no_repetition(tmp_path: Path) -> None:
    file = tmp_path / "mapping.json"
    file.write_text('{"#a": {"email": "x"}, "#b": {"email": "x"}}')
    assert list(read_file(file, "ccs.notifications")) == ["_id", "mapping"]


def test_a_file_keeps_its_id_and_gets_one_where_it_has_none(tmp_path: Path) -> None:
    file = tmp_path / "mapping.json"
    file.write_text('{"_id": "theirs", "mapping": {}}')
    assert read_file(file, "ours")["_id"] == "theirs"
    file.write_text('{"mapping": {}}')
    assert read_file(file, "ours")["_id"] == "ours"


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"\xff\xfe", "byte 0xff at position 0"),
        (b'{"#a": {"email": "m\xfcller@example.org"}}', "byte 0xfc at position 19"),
        (b'{"#a": "\xed\xa0\x80"}', "byte 0xed at position 8"),
    ],
)
def test_a_file_that_is_not_utf_8_is_one_sentence(tmp_path: Path, content: bytes, place: str) -> None:
    file = tmp_path / "mapping.json"
    file.write_bytes(content)
    with pytest.raises(BadArgument) as caught:
        read_file(file, "ours")
    assert str(caught.value) == f"{file}: is not UTF-8 ({place}); save it as UTF-8"


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mapping.json"
    file.write_text('{"#a": {}}', encoding="utf-8-sig")
    assert read_file(file, "ours") == {"_id": "ours", "mapping": {"#a": {}}}


def test_a_file_nested_too_deep_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "mapping.json"
    # The one is too deep for Python's parser, the other for both.
    for depth in (1010, 3000):
        file.write_text('{"#a": ' + "[" * depth + "]" * depth + "}")
        with pytest.raises(BadArgument) as caught:
            read_file(file, "ours")
        assert "\n" not in str(caught.value)


def test_a_long_target_keeps_its_beginning_and_its_end() -> None:
    target = "a" * 100 + "b" * 100
    assert shortened("a" * 60) == "a" * 60
    assert len(shortened(target)) == 60
    assert shortened(target) == "a" * 30 + "…" + "b" * 29


def test_one_group_two_groups() -> None:
    assert [counted(n, "group") for n in (0, 1, 2)] == ["0 groups", "1 group", "2 groups"]


@pytest.mark.parametrize(
    ("columns", "width"), [(None, PIPED_WIDTH), ("", PIPED_WIDTH), ("0", PIPED_WIDTH), ("x", PIPED_WIDTH), ("50", 50)]
)
def test_a_piped_table_is_as_wide_as_columns_says(
    columns: str | None, width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    print_table(("one",), [("x" * 1000,)])
    lines = capsys.readouterr().out.split(os.linesep)
    assert max(map(len, lines)) == width


def planned(resolution: Resolution) -> Plan:
    return plan(resolution, {}, Topic(None, None, None, "normal"), NO_CATALOGUE, utc_now())


def test_a_target_of_an_unknown_channel_is_not_counted_as_reached() -> None:
    mapping = mapping_of({"#a": {"mail": ["x", "y"], "off": "z", "pager": ["p"]}})
    resolution = resolve(mapping, ["#a"])
    answer = Answer(mapping, resolution, planned(resolution), [], frozenset(READERS))
    assert answer.counts == {"mail": 2, "off": 1}
    assert answer.errors == [
        Problem("pager", "1 target can never be reached: this router knows no such channel"),
    ]


def test_unknown_and_empty_groups_are_errors_and_a_channel_without_settings_is_none() -> None:
    mapping = mapping_of({"#a": {"off": "z"}, "#empty": {}})
    resolution = resolve(mapping, ["#a", "#empty", "#none"])
    assert [p.path for p in Answer(mapping, resolution, planned(resolution), [], frozenset(READERS)).errors] == [
        "#none",
        "#empty",
    ]


async def test_a_channel_set_by_half_is_wrong_and_one_not_set_is_off(
    unused_tcp_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings(
        couchdb=CouchDBSettings(url=f"http://127.0.0.1:{unused_tcp_port}"), email=EmailSettings(sender="r@example.org")
    )
    known = dict(kinds())
    assert await check_command(settings, known, readers(known, settings), as_json=True) == 1
    states = {row["part"]: row["state"] for row in json.loads(capsys.readouterr().out) if row["check"] == "settings"}
    assert states["email"] == "wrong"
    assert states["matrix"] == states["sphinx"] == "off"
