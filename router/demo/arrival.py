"""A message on the other side."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message on the other side, as its reader sees it."""

    channel: str
    target: str
    """The room, the user whose direct chat or inbox it is, the mailbox, the Slack channel or webhook path, the pubkey."""
    text: str
    reference: str | None = None
    """What tells which delivery it is, where the other side shows that: the Matrix event id, the UUID in a mail's Message-ID, the
    id of a notification document."""
