"""What is wrong with a document: a place in it and a sentence, for people."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import ErrorDetails

MOST_IN_A_SENTENCE = 10
"""How many problems are told at once; of a document with thousands, nobody reads more."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong (or odd) at one place of a document."""

    path: str
    """Where, as a person would say it: `mapping.#admins.email[2]`."""
    reason: str
    """What is wrong there and what to do, without a full stop."""

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def in_words(problems: Sequence[Problem]) -> str:
    """The first problems in one text, and how many more there are."""
    words = "; ".join(map(str, problems[:MOST_IN_A_SENTENCE]))
    more = len(problems) - MOST_IN_A_SENTENCE
    return f"{words}; and {more} more" if more > 0 else words


class InvalidDocumentError(ValueError):
    """A document of an admin's that cannot be gone by; `problems` says what is wrong, a place each."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(in_words(problems))
        self.problems = problems


def first_of(problems: Sequence[Problem], most: int, place: str) -> list[Problem]:
    """The first `most` problems, and where there are more, one that says how many, at `place`."""
    more = len(problems) - most
    return [*problems[:most], *([Problem(place, f"and {more} more")] if more > 0 else [])]


def path_text(parts: Iterable[str | int]) -> str:
    """`("mapping", "#admins", "email", 2)` as `mapping.#admins.email[2]`."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            name = _shortened(part, 200) or "''"
            text += f".{name}" if text else name
    return text or "the document"


_KINDS = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list", dict: "an object"}


def kind_of(value: object) -> str:
    """What `value` is in JSON, in a word or three: `a number`, `a list`, `null`."""
    return "null" if value is None else _KINDS.get(type(value), type(value).__name__)


def shown(value: object) -> str:
    """`value` as a sentence shows it: a text in quotes, shortened; of anything else only its kind."""
    return repr(_shortened(value, 60)) if isinstance(value, str) else kind_of(value)


_TYPES = {
    "string_type": "a text",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
    "list_type": "a list",
    "bool_type": "true or false",
    "int_type": "a whole number",
}

_TIMES = frozenset(
    {"timezone_aware", "datetime_type", "datetime_parsing", "datetime_from_date_parsing", "datetime_object_invalid"}
)

_BRANCH = re.compile(r"(?:[a-z-]+)?\[.*\]")
"""How Pydantic names a branch of a union, or the key of an object, inside a path: `list[str]`, `[key]`."""

_Place = tuple[str | int, ...]


def problems_of(error: ValidationError) -> list[Problem]:
    """Pydantic's findings as problems, one a place, in the order of the document."""
    return problems_in(error.errors(include_url=False))


def problems_in(details: Iterable[ErrorDetails]) -> list[Problem]:
    """The same, of findings that came another way."""
    found: dict[_Place, list[ErrorDetails]] = {}
    for detail in details:
        found.setdefault(_place(detail), []).append(detail)
    # One branch of a union that did not fit says nothing where another branch got further.
    got_further = {place[:length] for place in found for length in range(len(place))}
    return [Problem(path_text(place), _reason(details)) for place, details in found.items() if place not in got_further]


def _place(detail: ErrorDetails) -> _Place:
    # A person's document has no such place as the branch of a union.
    parts = [part for part in detail["loc"] if isinstance(part, int) or not _BRANCH.fullmatch(part)]
    if detail["type"] == "string_type" and parts[-2:] and parts[-1] == "str":
        parts.pop()
    if detail["type"] == "recursion_depth_exceeded":
        # Where it begins is what helps, not each of its hundreds of floors.
        del parts[3:]
    return tuple(parts)


def _reason(details: list[ErrorDetails]) -> str:
    """The one sentence for all that Pydantic found at one place, where it tried a type after the other."""
    for detail in details:
        if detail["type"] not in _TYPES:
            return _reason_of_one(detail)
    return f"must be {_either([_TYPES[detail['type']] for detail in details])}, not {kind_of(details[0]['input'])}"


def _reason_of_one(detail: ErrorDetails) -> str:
    kind, value = detail["type"], detail["input"]
    if kind == "missing":
        return "is missing"
    if kind == "value_error":
        return str(detail["ctx"]["error"])
    if kind == "literal_error":
        return f"must be {detail['ctx']['expected']}, not {shown(value)}"
    if kind == "string_too_long":
        return f"must have at most {detail['ctx']['max_length']} characters"
    if kind == "recursion_depth_exceeded":
        return "is nested too deep"
    if kind == "string_unicode":
        return "holds half of a surrogate pair, which is no character"
    if kind in _TIMES:
        return f"must be a time with a time zone, such as 2026-11-21T08:27:00Z, not {shown(value)}"
    return detail["msg"][:1].lower() + detail["msg"][1:]


def _either(kinds: list[str]) -> str:
    *first, last = dict.fromkeys(kinds)
    return f"{', '.join(first)} or {last}" if first else last


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}…"
