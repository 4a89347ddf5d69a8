"""Places and sentences for people."""

import pytest

from router.documents.problems import Problem, first_of, in_words, kind_of, path_text, shown


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        (("mapping", "#admins", "email", 2), "mapping.#admins.email[2]"),
        (("content", "to", 0), "content.to[0]"),
        (("_id",), "_id"),
        (("a", 1, 2, "b"), "a[1][2].b"),
        (("mapping", "x" * 500), f"mapping.{'x' * 200}…"),
        ((), "the document"),
    ],
)
def test_a_path_reads_as_a_person_would_say_it(parts: tuple[str | int, ...], text: str) -> None:
    assert path_text(parts) == text


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (None, "null"),
        (True, "true or false"),
        (0, "a number"),
        (0.5, "a number"),
        ("", "a text"),
        ([], "a list"),
        ({}, "an object"),
        (b"", "bytes"),
    ],
)
def test_a_kind_is_named_in_words(value: object, kind: str) -> None:
    assert kind_of(value) == kind


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "'x'"),
        ("a\nb\ud800", r"'a\nb\ud800'"),
        ("x" * 60, f"'{'x' * 60}'"),
        ("x" * 61, f"'{'x' * 60}…'"),
        (5, "a number"),
        (None, "null"),
        ([[["deep"]]], "a list"),
    ],
)
def test_a_value_is_shown_only_where_it_is_a_short_text(value: object, text: str) -> None:
    assert shown(value) == text


def test_many_problems_are_cut_to_the_first_ten() -> None:
    problems = [Problem(f"a[{n}]", "is bad") for n in range(12)]
    assert in_words(problems[:2]) == "a[0]: is bad; a[1]: is bad"
    assert in_words(problems[:10]).endswith("a[9]: is bad")
    assert in_words(problems).endswith("a[9]: is bad; and 2 more")
    assert in_words([]) == ""


def test_a_list_of_many_problems_ends_with_how_many_are_left() -> None:
    problems = [Problem(f"a[{n}]", "is bad") for n in range(12)]
    assert first_of(problems, 12, "a") == problems
    assert first_of(problems, 10, "a") == [*problems[:10], Problem("a", "and 2 more")]
    assert first_of((), 10, "a") == []
