"""Which channels there are: ours, and what other packages bring, if it is one."""

from importlib.metadata import EntryPoint, EntryPoints
from types import ModuleType
from typing import Any

import pytest

from router.channels import registry
from router.channels.base import Channel, ChannelKind, Target
from router.channels.registry import BUILT_IN, GROUP, BadChannel, kinds
from router.documents.json_types import JsonValue
from router.settings import ChannelSettings, Section


class PigeonSettings(ChannelSettings):
    """Settings with a default for each field."""

    coop: str | None = None


class DemandingSettings(ChannelSettings):
    """Settings of which some have no default."""

    coop: str
    loft: str
    feed: str = "corn"


def parse(value: JsonValue, settings: ChannelSettings) -> Target:
    return Target("pigeon", str(value), str(value))


def missing(settings: ChannelSettings) -> str | None:
    return None


def open_it(settings: ChannelSettings) -> Channel:
    raise NotImplementedError


def kind(name: str = "pigeon", settings_type: type[Any] = PigeonSettings) -> ChannelKind[Any]:
    return ChannelKind(name, settings_type, parse, missing, open_it)


def bring(monkeypatch: pytest.MonkeyPatch, *values: object) -> None:
    """Have other packages name these objects in the entry-point group."""
    module = ModuleType("loft")
    found = []
    for number, value in enumerate(values):
        setattr(module, f"KIND_{number}", value)
        found.append(EntryPoint("pigeon", f"loft:KIND_{number}", GROUP))
    monkeypatch.setitem(__import__("sys").modules, "loft", module)
    name_entry_points(monkeypatch, *found)


def name_entry_points(monkeypatch: pytest.MonkeyPatch, *found: EntryPoint) -> None:
    def entry_points(*, group: str) -> EntryPoints:
        return EntryPoints(found).select(group=group)

    monkeypatch.setattr(registry, "entry_points", entry_points)


def problem(monkeypatch: pytest.MonkeyPatch, *values: object) -> str:
    bring(monkeypatch, *values)
    with pytest.raises(BadChannel) as caught:
        kinds()
    return str(caught.value)


def test_our_own_channels_are_there_under_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    bring(monkeypatch)
    assert list(kinds()) == list(BUILT_IN) == ["matrix", "email", "slack", "sphinx", "inapp"]
    assert all(kind.name == name for name, kind in kinds().items())


def test_a_third_partys_channel_comes_behind_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = kind()
    bring(monkeypatch, theirs)
    assert list(kinds()) == [*BUILT_IN, "pigeon"]
    assert kinds()["pigeon"] is theirs


def test_entry_points_of_other_groups_are_none_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    name_entry_points(monkeypatch, EntryPoint("x", "no_such_module:KIND", "other.group"))
    assert list(kinds()) == list(BUILT_IN)


@pytest.mark.parametrize("name", ["matrix", "pigeon"])
def test_two_channels_of_one_name_are_one_too_many(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    said = problem(monkeypatch, kind(), kind(name))
    assert (
        said
        == f"entry point 'loft:KIND_1' of group router.channels: there is a channel '{name}' already; name it otherwise"
    )


@pytest.mark.parametrize(
    "name", ["couchdb", "log", "feed", "window", "groups", "Pigeon", "carrier-pigeon", "a__b", "_a", "", "4u"]
)
def test_a_name_must_be_fit_for_a_variable_and_free(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert f"a channel cannot be named {name!r}" in problem(monkeypatch, kind(name))


@pytest.mark.parametrize("name", ["sms", "carrier_pigeon", "x25"])
def test_other_names_are_taken(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    bring(monkeypatch, kind(name))
    assert name in kinds()


def test_settings_without_a_default_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    said = problem(monkeypatch, kind(settings_type=DemandingSettings))
    assert said.endswith("the settings of channel 'pigeon' need a default for each field; these have none: coop, loft")


@pytest.mark.parametrize(
    "value", [None, PigeonSettings, kind, "pigeon"], ids=["nothing", "settings", "function", "text"]
)
def test_what_is_no_channel_is_told(monkeypatch: pytest.MonkeyPatch, value: object) -> None:
    said = problem(monkeypatch, value)
    assert said == "entry point 'loft:KIND_0' of group router.channels is no router.channels.base.ChannelKind"


def test_settings_that_are_no_channels_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is no router.channels.base.ChannelKind" in problem(monkeypatch, kind(settings_type=Section))


@pytest.mark.parametrize("value", ["no_such_module:KIND", "router.channels.base:NO_SUCH_THING"])
def test_what_cannot_be_loaded_is_told(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    name_entry_points(monkeypatch, EntryPoint("pigeon", value, GROUP))
    with pytest.raises(BadChannel, match=rf"^entry point '{value}' of group router\.channels cannot be loaded: "):
        kinds()
