"""Pure: which messages are sent to whom, and how often everything is killed meanwhile."""

import re
from dataclasses import dataclass
from typing import Final

from router.documents.json_types import JsonObject
from tests.peers.sphinx import LSP, SCID

CHANNELS: Final = ("matrix", "email", "slack", "sphinx")

_MESSAGE: Final = re.compile(r"crash-\d{5,}")


@dataclass(frozen=True, slots=True)
class Plan:
    """So many messages, one after the other to each of so many groups, each group with one target on each channel."""

    messages: int = 5000
    groups: int = 40
    feed_seconds: float = 100
    """Over how long a time the messages are written."""
    kill_every_seconds: float = 2
    kill_for_seconds: float = 420
    """For how long at most; else until every delivery is final."""
    calm_seconds: float = 480
    """How long at most, after the last kill, until every delivery is final."""
    couchdb_restarts_at: tuple[float, ...] = (1 / 3, 2 / 3)
    """When CouchDB is killed: shares of the messages that have been written."""
    homeserver_restarts_at: tuple[float, ...] = (1 / 2,)
    down_seconds: float = 1
    """How long CouchDB and the homeserver stay down before they are started again."""

    look_seconds: float = 3
    """How often it is looked whether every delivery is final: reading them all is work for CouchDB."""

    @property
    def ids(self) -> list[str]:
        """The `_id` of each message, in the order of writing."""
        return [f"crash-{number:05}" for number in range(self.messages)]

    def group_of(self, message_id: str) -> int:
        """The number of the group that a message is for."""
        return int(message_id.removeprefix("crash-")) % self.groups

    def message(self, message_id: str) -> JsonObject:
        """The message document."""
        group = self.group_of(message_id)
        return {
            "_id": message_id,
            "content": {"to": group_name(group), "body": f"{message_id}: disk {group} is full", "format": "text"},
        }


def group_name(group: int) -> str:
    """What messages name in `content.to`."""
    return f"#team-{group:02}"


def mailbox(group: int) -> str:
    """The group's target on the channel email."""
    return f"team-{group:02}@example.org"


def slack_channel(group: int) -> str:
    """The group's target on the channel slack."""
    return f"C0TEAM{group:04}"


def pubkey(group: int) -> str:
    """The person whom the group reaches on the channel sphinx."""
    return f"02{group + 1:064x}"


def contact_info(group: int) -> str:
    """The group's target on the channel sphinx."""
    return f"{pubkey(group)}_{LSP}_{SCID}"


def message_named_in(text: str) -> str | None:
    """The `_id` of the message that `text` was made from."""
    found = _MESSAGE.search(text)
    return found[0] if found else None
