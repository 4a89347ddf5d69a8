"""Hypothesis strategies for JSON of every shape: odd keys, halves of surrogate pairs, deep nesting."""

from hypothesis import strategies as st

from router.documents.json_types import JsonValue

TEXTS = st.one_of(
    st.text(max_size=8),
    st.text(st.characters(categories=["Cs", "Cc", "Zs", "Ll"]), max_size=4),
    st.sampled_from(
        ["_id", "_rev", "to", "content", "mapping", "groups", "address", "#a", "__class__", "model_config", ""]
    ),
)

SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS)


def _nested(inner: st.SearchStrategy[JsonValue]) -> st.SearchStrategy[JsonValue]:
    lists: st.SearchStrategy[JsonValue] = st.lists(inner, max_size=3).map(list)
    objects: st.SearchStrategy[JsonValue] = st.dictionaries(TEXTS, inner, max_size=3).map(dict)
    return lists | objects


def tower(floors: int, *, of_lists: bool = False) -> JsonValue:
    """A value nested so deep; a thousand is about what a JSON reader lets through."""
    value: JsonValue = "x"
    for _ in range(floors):
        value = [value] if of_lists else {"address": value}
    return value


JSON: st.SearchStrategy[JsonValue] = st.recursive(SCALARS, _nested, max_leaves=12)

TOWERS: st.SearchStrategy[JsonValue] = st.builds(tower, st.sampled_from([200, 300, 990]), of_lists=st.booleans())
