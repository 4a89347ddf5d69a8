"""Pure: what arrived, compared with what was written down about it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Final

from router.documents.json_types import JsonObject

EXAMPLES: Final = 20
"""How many messages a figure names."""
WITHOUT_HANDLE: Final = ("slack", "sphinx")
"""Channels that cannot tell a repeat."""

_DENIES: Final = ("FAILED", "EXPIRED", "CANCELLED")
"""Statuses that say that a message did not arrive. `UNCERTAIN` says that nobody knows."""
_MAY_HAVE_ARRIVED: Final = ("uncertain", "started", "sent")
"""Outcomes of attempts after which the message may stand where it was sent."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that the other side took."""

    channel: str
    message_id: str
    target: str
    reference: str | None
    handle: str | None
    """What the person's own program tells a repeat by (a mail's Message-ID); None where there is nothing."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a sender wrote down about one message on one channel."""

    status: str
    """As in delivery documents."""
    reference: str | None
    admits_repeat: bool
    """Whether it shows that the message may have arrived more than once."""


@dataclass(slots=True)
class Tally:
    """What became of all messages on one channel. Counts are of messages."""

    messages: int = 0
    arrived: int = 0
    lost: list[str] = field(default_factory=list)
    """No arrival."""
    repeated: list[str] = field(default_factory=list)
    """More than one arrival that a person sees: those under one handle are one."""
    came_again: list[str] = field(default_factory=list)
    """More than one arrival under the same handle."""
    misreported: dict[str, str] | None = None
    """What is wrong with the statement; None where the sender makes none."""
    not_admitted: list[str] | None = None
    """Arrived more than once, in whatever way, and the statement does not show that it may have."""

    def to_json(self) -> JsonObject:
        """Counts, and some of the messages that they count."""
        found: JsonObject = {"messages": self.messages, "arrived": self.arrived}
        for name, value in asdict(self).items():
            if name not in found:
                found[name] = None if value is None else len(value)
                if value:
                    shown = list(value)[:EXAMPLES]
                    found[f"{name}_examples"] = {i: value[i] for i in shown} if isinstance(value, dict) else shown
        return found


def statement_of(delivery: Mapping[str, object]) -> Statement:
    """What a delivery document says."""
    attempts = delivery.get("attempts")
    outcomes = [a.get("outcome") for a in attempts if isinstance(a, dict)] if isinstance(attempts, list) else []
    reference = delivery.get("reference")
    return Statement(
        str(delivery.get("status")),
        reference if isinstance(reference, str) else None,
        admits_repeat=admits_repeat(outcomes),
    )


def admits_repeat(outcomes: Iterable[object]) -> bool:
    """Whether a history of attempts shows that the message may have arrived more than once: one of them may have, and then
    there was another that may have."""
    return sum(outcome in _MAY_HAVE_ARRIVED for outcome in outcomes) > 1


def mistake_in(statement: Statement | None, arrivals: list[Arrival], target: str) -> str | None:
    """What is wrong with `statement` about a message for `target`, given all its arrivals; None when nothing is."""
    if any(arrival.target != target for arrival in arrivals):
        return "arrived somewhere else"
    if statement is None:
        return "no document"
    if statement.status == "COMPLETE":
        if not arrivals:
            return "COMPLETE, and nothing arrived"
        if statement.reference is not None and not any(_is_named(a, statement.reference) for a in arrivals):
            return f"COMPLETE with a reference that no arrival has, {statement.reference}"
        return None
    if statement.status in _DENIES:
        return f"{statement.status}, and it arrived" if arrivals else None
    return None if statement.status == "UNCERTAIN" else f"{statement.status} in the end"


def tally(targets: Mapping[str, str], arrivals: Iterable[Arrival], statements: Mapping[str, Statement] | None) -> Tally:
    """Compare on one channel.

    `targets`: where each message was to go; `statements` by message, None for a sender that keeps no record.
    """
    by_message: dict[str, list[Arrival]] = defaultdict(list)
    for arrival in arrivals:
        by_message[arrival.message_id].append(arrival)
    found = Tally(messages=len(targets), misreported=None if statements is None else {})
    found.not_admitted = None if statements is None else []
    for message_id, target in targets.items():
        came = by_message.get(message_id, [])
        handles = {arrival.handle for arrival in came if arrival.handle is not None}
        seen = len(handles) + sum(arrival.handle is None for arrival in came)
        found.arrived += bool(came)
        if not came:
            found.lost.append(message_id)
        if seen > 1:
            found.repeated.append(message_id)
        if len(came) > seen:
            found.came_again.append(message_id)
        if statements is None or found.misreported is None or found.not_admitted is None:
            continue
        statement = statements.get(message_id)
        mistake = mistake_in(statement, came, target)
        if mistake is not None:
            found.misreported[message_id] = mistake
        if len(came) > 1 and not (statement is not None and statement.admits_repeat):
            found.not_admitted.append(message_id)
    return found


def mismatches(tallies: Mapping[str, Tally]) -> list[str]:
    """What the router promises of each channel (design, section 2) and did not keep, a sentence each."""
    broken = []
    for channel, found in tallies.items():
        if found.lost:
            broken.append(f"{channel}: {len(found.lost)} lost")
        if found.misreported:
            broken.append(f"{channel}: {len(found.misreported)} misreported")
        if channel in WITHOUT_HANDLE and found.not_admitted:
            broken.append(f"{channel}: {len(found.not_admitted)} repeats that the document does not admit to")
        if channel not in WITHOUT_HANDLE and found.repeated:
            broken.append(f"{channel}: {len(found.repeated)} repeated")
    return broken


def _is_named(arrival: Arrival, reference: str) -> bool:
    """Whether a document's `reference` is this arrival's; a mail server's reply ends with its queue id."""
    return arrival.reference is not None and reference.endswith(arrival.reference)
