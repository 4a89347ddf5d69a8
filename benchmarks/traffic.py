"""Pure: the messages and the mapping that every benchmark uses."""

from collections.abc import Sequence
from typing import Final

from router.documents.json_types import JsonObject, JsonValue

CHANNELS: Final = ("matrix", "email", "slack", "sphinx")
MAPPING_ID: Final = "ccs.notifications"
GROUPS: Final = 50
"""Groups that messages are spread over, in turn, unless a benchmark says otherwise; each with a target on each channel."""


def message_id(number: int) -> str:
    """`_id` of a message. It is in the subject too, so that a peer knows what it got."""
    return f"bench-{number:07}"


def message(number: int, to: str) -> JsonObject:
    """A message document such as an app writes: a subject, a little HTML, a link."""
    identifier = message_id(number)
    return {
        "_id": identifier,
        "content": {
            "to": to,
            "subject": f"{identifier} Order failed",
            "body": "<b>Card declined</b> for order 42, second attempt. The customer was <i>not</i> charged.",
            "event": "order_failed",
            "link": {"url": "https://shop.bench.example/orders/42", "text": "Open order"},
        },
    }


def messages(count: int, groups: Sequence[str], first: int = 0) -> list[JsonObject]:
    """So many messages, numbered from `first`, to each of the groups in turn."""
    return [message(number, groups[number % len(groups)]) for number in range(first, first + count)]


def target(channel: str, number: int) -> str:
    """A target of a channel."""
    match channel:
        case "matrix":
            return f"!room{number:05}:bench.example"
        case "email":
            return f"user{number:05}@bench.example"
        case "slack":
            return f"C{number:08}"
        case "sphinx":
            return f"02{number:064x}"
    raise ValueError(f"there is no channel {channel!r}")


def group(number: int) -> str:
    """The name of a group."""
    return f"#group{number:03}"


def groups(count: int = GROUPS) -> list[str]:
    """So many groups' names."""
    return [group(number) for number in range(count)]


def mapping(channels: Sequence[str], count: int = GROUPS) -> JsonObject:
    """A mapping document with so many groups, each with one target of its own on each of the channels."""
    return mapping_document(
        {group(number): {channel: [target(channel, number)] for channel in channels} for number in range(count)}
    )


def one_group(channel: str, targets: int) -> JsonObject:
    """A mapping document with one group, which has many targets on one channel."""
    return mapping_document({group(0): {channel: [target(channel, number) for number in range(targets)]}})


def mapping_document(groups: JsonValue) -> JsonObject:
    """The mapping document that holds these groups."""
    return {"_id": MAPPING_ID, "mapping": groups}
