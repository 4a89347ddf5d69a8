"""Who is reached: groups in groups, cycles, repetitions, long chains; and against a model that is too simple to be wrong."""

from collections.abc import Sequence
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.channels.base import Target
from router.documents.json_types import JsonObject, JsonValue
from router.routing.mapping import Mapping
from router.routing.resolve import Resolution, resolve
from tests.routing.making import mapping_of


def ways(resolution: Resolution) -> list[tuple[str, str, tuple[str, ...]]]:
    """Each target reached, as `channel:address`, with its group and the way to it."""
    return [
        (f"{t.channel}:{t.address}" if isinstance(t := r.to, Target) else f"@{t}", r.group, r.via)
        for r in resolution.reached
    ]


@pytest.mark.parametrize(
    ("groups", "names", "expected"),
    [
        ({"#a": {"mail": ["x", "y"], "room": "x"}}, ["#a"],
         [("mail:x", "#a", ("#a",)), ("mail:y", "#a", ("#a",)), ("room:x", "#a", ("#a",))]),
        # groups in groups: a group's own targets first, then those of the groups in it, as they are written
        ({"#a": {"groups": ["#b", "#c"], "mail": "x"}, "#b": {"mail": "y", "groups": "#d"},
          "#c": {"mail": "z"}, "#d": {"mail": "w"}}, ["#a"],
         [("mail:x", "#a", ("#a",)), ("mail:y", "#a", ("#a", "#b")), ("mail:w", "#a", ("#a", "#b", "#d")),
          ("mail:z", "#a", ("#a", "#c"))]),
        # users, by name and in groups, each once
        ({"#a": {"users": ["bob", "@alice"], "mail": "x"}, "#b": {"groups": "#a", "users": "carol"}}, ["@alice", "#b", "@alice"],
         [("@alice", "@alice", ("@alice",)), ("@carol", "#b", ("#b",)), ("mail:x", "#b", ("#b", "#a")),
          ("@bob", "#b", ("#b", "#a"))]),
        # a group that includes itself
        ({"#a": {"groups": ["#a"], "mail": "x"}}, ["#a"], [("mail:x", "#a", ("#a",))]),
        # a cycle
        ({"#a": {"groups": "#b", "mail": "x"}, "#b": {"groups": "#a", "mail": "y"}}, ["#b"],
         [("mail:y", "#b", ("#b",)), ("mail:x", "#b", ("#b", "#a"))]),
        # a target by two ways, and written twice
        ({"#a": {"groups": ["#b", "#c"]}, "#b": {"mail": ["x", "x"]}, "#c": {"mail": [{"address": "x"}, "y"]}}, ["#a"],
         [("mail:x", "#a", ("#a", "#b")), ("mail:y", "#a", ("#a", "#c"))]),
        # a target by two groups that were named
        ({"#a": {"mail": "x"}, "#b": {"mail": ["x", "y"]}}, ["#b", "#a", "#b"],
         [("mail:x", "#b", ("#b",)), ("mail:y", "#b", ("#b",))]),
        # an included group that is not there
        ({"#a": {"groups": ["#gone", "#b"]}, "#b": {"mail": "x"}}, ["#a"], [("mail:x", "#a", ("#a", "#b"))]),
    ],
    ids=lambda value: str(value)[:50],
)  # fmt: skip
def test_whom_groups_lead_to(
    groups: JsonValue, names: list[str], expected: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    resolution = resolve(mapping_of(groups), names)
    assert ways(resolution) == expected
    assert (resolution.unknown, resolution.empty) == ((), ())


def test_groups_that_lead_nowhere_are_told_apart() -> None:
    mapping = mapping_of({"#a": {"mail": "x"}, "#empty": {}, "#hollow": {"groups": ["#empty", "#gone"]}})
    resolution = resolve(mapping, ["#gone", "#a", "#empty", "#hollow", "#gone", "#lost"])
    assert resolution.unknown == ("#gone", "#lost")
    assert resolution.empty == ("#empty", "#hollow")
    assert ways(resolution) == [("mail:x", "#a", ("#a",))]
    assert resolution.followed == {"#a", "#empty", "#hollow"}


def test_a_group_whose_targets_another_one_reached_first_is_not_empty() -> None:
    resolution = resolve(mapping_of({"#a": {"mail": "x"}, "#b": {"mail": "x"}}), ["#a", "#b"])
    assert ways(resolution) == [("mail:x", "#a", ("#a",))]
    assert resolution.empty == ()


def test_without_a_mapping_no_group_is_known() -> None:
    resolution = resolve(None, ["#a", "#b"])
    assert (resolution.reached, resolution.unknown, resolution.empty) == ((), ("#a", "#b"), ())


def chain(length: int) -> JsonObject:
    """A chain of groups, each with a target of its own and the next group in it."""
    letters = "abcdefghij"
    return {
        f"#{n}": {"mail": "".join(letters[int(d)] for d in str(n)), "groups": [f"#{n + 1}"] if n + 1 < length else []}
        for n in range(length)
    }


def test_a_chain_of_two_thousand_groups_is_followed_to_its_end() -> None:
    resolution = resolve(mapping_of(chain(2000)), ["#0"])
    assert len(resolution.reached) == 2000
    assert resolution.reached[-1].via == tuple(f"#{n}" for n in range(2000))
    assert resolution.reached[-1] == resolve(mapping_of(chain(2000)), ["#0"]).reached[-1]


def test_a_chain_ten_times_as_long_takes_about_ten_times_as_long() -> None:
    short, long = mapping_of(chain(2_000)), mapping_of(chain(20_000))
    # Quadratic would be a hundred times; the rest is room for a busy machine.
    assert seconds_for(long) < 40 * max(seconds_for(short), 0.001)


@pytest.mark.parametrize("mail", [["x"], []], ids=["to one target", "to nobody"])
def test_a_thousand_names_take_about_as_long_as_one(mail: JsonValue) -> None:
    count = 2_000
    groups: JsonObject = {f"#{n}": {"groups": [f"#{(7 * n + k) % count}" for k in range(1, 21)]} for n in range(count)}
    mapping = mapping_of({**groups, "#0": {"groups": [f"#{k}" for k in range(1, 21)], "mail": mail}})
    names = [f"#{n}" for n in range(1_000)]
    resolution = resolve(mapping, names)
    assert len(resolution.followed) == count
    assert resolution.empty == (() if mail else tuple(names))
    # One walk a name would be a thousand times; the rest is room for a busy machine.
    assert seconds_for(mapping, names) < 10 * seconds_for(mapping)


def seconds_for(mapping: Mapping, names: Sequence[str] = ("#0",)) -> float:
    best = 1e9
    for _ in range(3):
        start = perf_counter()
        resolve(mapping, names)
        best = min(best, perf_counter() - start)
    return best


NAMES = [f"#{letter}" for letter in "abcdefgh"]
TARGETS = st.sampled_from("uvwxyz")
ENTRIES = st.fixed_dictionaries(
    {},
    optional={
        "groups": st.lists(st.sampled_from([*NAMES, "#gone"]), max_size=4),
        "mail": st.lists(TARGETS, max_size=3),
        "room": TARGETS,
        "pigeon": st.lists(TARGETS, max_size=2),
    },
)
GRAPHS = st.dictionaries(st.sampled_from(NAMES), ENTRIES, max_size=8)
Graph = dict[str, dict[str, list[str] | str]]


def listed(value: list[str] | str) -> list[str]:
    return [value] if isinstance(value, str) else value


def closure(graph: Graph, name: str) -> set[str]:
    """Every group that `name` comes to, itself included: sets that grow until they no longer do."""
    found = {name} & graph.keys()
    while True:
        more = found | {other for group in found for other in graph[group].get("groups", ()) if other in graph}
        if more == found:
            return found
        found = more


def targets_of(graph: Graph, groups: set[str]) -> set[tuple[str, str]]:
    return {
        (channel, target)
        for group in groups
        for channel, targets in graph[group].items()
        if channel != "groups"
        for target in listed(targets)
    }


@settings(max_examples=300)
@given(graph=GRAPHS, names=st.lists(st.sampled_from([*NAMES, "#gone"]), max_size=4))
def test_any_mapping_leads_to_what_the_closure_of_its_groups_holds(graph: Graph, names: list[str]) -> None:
    resolution = resolve(mapping_of(graph), names)  # type: ignore[arg-type]

    reached = [(r.to.channel, r.to.address) for r in resolution.reached if isinstance(r.to, Target)]
    assert len(reached) == len(set(reached)), "a target was reached twice"
    assert set(reached) == set().union(*(targets_of(graph, closure(graph, name)) for name in names))

    distinct = list(dict.fromkeys(names))
    assert list(resolution.unknown) == [name for name in distinct if name not in graph]
    assert list(resolution.empty) == [
        name for name in distinct if name in graph and not targets_of(graph, closure(graph, name))
    ]
    assert resolution.followed == set().union(*(closure(graph, name) for name in names))

    for r in resolution.reached:
        assert isinstance(r.to, Target)
        wanted = (r.to.channel, r.to.address)
        first = next(name for name in names if wanted in targets_of(graph, closure(graph, name)))
        assert r.group == first == r.via[0]
        for group, inner in zip(r.via, r.via[1:], strict=False):
            assert inner in graph[group].get("groups", ()), "no such step in the mapping"
        assert len(set(r.via)) == len(r.via), "the way goes round"
        assert wanted in targets_of(graph, {r.via[-1]})


@given(graph=GRAPHS, names=st.lists(st.sampled_from(NAMES), max_size=4))
def test_the_same_mapping_gives_the_same_answer(graph: Graph, names: list[str]) -> None:
    one, other = (resolve(mapping_of(graph), names) for _ in range(2))  # type: ignore[arg-type]
    assert one == other
    assert ways(one) == ways(other)
