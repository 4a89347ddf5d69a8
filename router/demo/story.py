"""What the demo tells: who is who, the mapping before and after its edit, the messages, and what must arrive where. Pure."""

from dataclasses import dataclass
from typing import Final

from router.demo.environment import CATALOGUE_ID, MAPPING_ID
from router.documents.delivery import Delivery, Status, message_delivery_id
from router.documents.json_types import JsonObject
from router.documents.preferences import preferences_id
from router.documents.recipient import recipient_id

COUCH_USERS: Final = {"app": "shop", "admin": "olivia", "router": "router"}
"""A CouchDB user for each role."""
MAILBOX: Final = "alice@demo.example"
GROUP: Final = "#admins"
USER: Final = "alice"
OWN_MAILBOX: Final = "alice@home.example"
"""Where alice is reached as a user; MAILBOX is one of GROUP's."""
NEW_GROUP: Final = "#shipping"
"""The group that only the edit of the mapping adds."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where people are to be reached in this demo."""

    room: str
    mailbox: str
    slack_admins: str
    slack_webhook: str
    """An incoming webhook of #general."""
    person: str
    """A Sphinx contact, with its route hint."""

    @property
    def slack_webhook_path(self) -> str:
        """What the Slack stand-in calls the webhook in its arrivals."""
        return "/" + self.slack_webhook.split("/", 3)[3]

    @property
    def pubkey(self) -> str:
        """The Sphinx contact without the route hint."""
        return self.person.partition("_")[0]


@dataclass(frozen=True, slots=True)
class Message:
    """A message document."""

    id: str
    content: JsonObject

    @property
    def document(self) -> JsonObject:
        """The document as the app writes it."""
        return {"_id": self.id, "content": self.content}


ORDER: Final = Message(
    "order-42-failed",
    {
        "to": GROUP,
        "subject": "Order 42 failed",
        "body": "<p><b>Card declined</b> for order 42 of <i>Mary &amp; Sons</i>:</p>"
        "<ul><li>3 × lamp oil</li><li>1 × wick</li></ul>",
        "event": "order_failed",
        "link": {"url": "https://shop.example/orders/42", "text": "Open order"},
    },
)
BACKUP: Final = Message(
    "backup-done",
    {
        "to": GROUP,
        "subject": "Backup done",
        "body": "All 1,204 files are safe.\nNext run: tomorrow at 03:00.",
        "format": "text",
    },
)
PARCEL: Final = Message(
    "parcel-7-sent",
    {"to": NEW_GROUP, "subject": "Parcel 7 is on its way", "body": "<p>It left the house at <b>noon</b>.</p>"},
)
FOR_ALICE: Final = Message(
    "order-51-failed",
    {
        "to": f"@{USER}",
        "type": "orders",
        "event": "order_failed",
        "subject": "Order 51 failed",
        "body": "<p>The carrier knows <b>no such street</b>.</p>",
        "link": {"url": "https://shop.example/orders/51", "text": "Open order"},
    },
)
NOT_BY_MAIL: Final = Message(
    "backup-late",
    {
        "to": f"@{USER}",
        "type": "backups",
        "subject": "The backup was late",
        "body": "<p>It ended at <b>06:12</b>.</p>",
    },
)
"""Of the notification group that alice wants no mail about."""
MALFORMED: Final = Message("no-such-thing", {"to": "admins", "body": "The group lacks its #."})
"""CouchDB refuses it as it is written."""

RECIPIENT: Final[JsonObject] = {
    "_id": recipient_id(USER),
    "display_name": "Alice",
    "addresses": {"email": OWN_MAILBOX},
    "time_zone": "Europe/Vienna",
}
CATALOGUE: Final[JsonObject] = {
    "_id": CATALOGUE_ID,
    "channels": {"email": True, "inapp": True},
    "groups": {
        "orders": {"title": "Orders", "events": {"order_failed": {"title": "An order failed"}}},
        "backups": {"title": "Backups"},
    },
}
PREFERENCES: Final[JsonObject] = {"groups": {"backups": {"channels": {"email": False}}}}
"""What alice wants, as her front end sends it."""
_RULE: Final = f"{preferences_id(USER)} groups.backups.channels.email"
"""What of PREFERENCES stops the mail of NOT_BY_MAIL."""

UNROUTABLE_ID: Final = message_delivery_id(PARCEL.id)
"""The document that says why PARCEL went nowhere before the edit."""

_PHRASES: Final = {
    ORDER.id: "Card declined",
    BACKUP.id: "1,204 files",
    PARCEL.id: "It left the house",
    FOR_ALICE.id: "no such street",
    NOT_BY_MAIL.id: "06:12",
}
"""What is looked for on the other side, whatever the channel made of the rest."""


def mapping(addresses: Addresses) -> JsonObject:
    """The mapping document at first."""
    return {
        "_id": MAPPING_ID,
        "mapping": {
            GROUP: {
                "matrix": [addresses.room],
                "email": [{"address": addresses.mailbox, "name": "Alice"}],
                "slack": [addresses.slack_admins],
                "sphinx": [addresses.person],
            }
        },
    }


def edited(document: JsonObject, addresses: Addresses) -> JsonObject:
    """The mapping document `document` with NEW_GROUP."""
    groups = document["mapping"]
    new: JsonObject = {"email": ["shipping@demo.example"], "slack": [{"webhook": addresses.slack_webhook}]}
    return {**document, "mapping": {**(groups if isinstance(groups, dict) else {}), NEW_GROUP: new}}


@dataclass(frozen=True, slots=True)
class Expected:
    """One message for one target: its delivery must be COMPLETE, and its phrase seen there; or neither, where a rule stops it."""

    message_id: str
    channel: str
    where: str
    """The target as the other side names it (`Arrival.target`)."""
    phrase: str
    rule: str | None = None
    """What must stop it, where its user does not want it."""

    @property
    def status(self) -> Status:
        """How its delivery must end."""
        return Status.COMPLETE if self.rule is None else Status.SUPPRESSED

    def __str__(self) -> str:
        return f"{self.message_id} by {self.channel} to {self.where}"


def expected(addresses: Addresses) -> tuple[Expected, ...]:
    """All that must arrive, and what must not."""
    admins = {
        "matrix": addresses.room,
        "email": addresses.mailbox,
        "slack": addresses.slack_admins,
        "sphinx": addresses.pubkey,
    }
    shipping = {"email": "shipping@demo.example", "slack": addresses.slack_webhook_path}
    alice = {"email": OWN_MAILBOX, "inapp": USER}
    plan = {ORDER.id: admins, BACKUP.id: admins, PARCEL.id: shipping, FOR_ALICE.id: alice, NOT_BY_MAIL.id: alice}
    stopped = {(NOT_BY_MAIL.id, "email"): _RULE}
    return tuple(
        Expected(message_id, channel, where, _PHRASES[message_id], stopped.get((message_id, channel)))
        for message_id, targets in plan.items()
        for channel, where in targets.items()
    )


def deliveries_of(wanted: Expected, deliveries: dict[str, Delivery]) -> list[Delivery]:
    """The delivery documents of a message on a channel; here never more than one."""
    return [
        delivery
        for delivery in deliveries.values()
        if (delivery.message_id, delivery.channel) == (wanted.message_id, wanted.channel)
    ]


def is_at_rest(wanted: tuple[Expected, ...], deliveries: dict[str, Delivery]) -> bool:
    """Whether nothing will change any more: every wanted delivery has ended, well or badly."""
    found = [deliveries_of(one, deliveries) for one in wanted]
    return all(documents and all(one.status.is_final for one in documents) for documents in found)


def missing(
    wanted: tuple[Expected, ...], deliveries: dict[str, Delivery], seen: dict[tuple[str, str], str]
) -> list[str]:
    """A sentence for whatever is not as wanted: a delivery's end, what stopped it, what was seen. Empty when all is well.

    `seen` is all text that arrived, by channel and target.
    """
    problems = []
    for one in wanted:
        documents = deliveries_of(one, deliveries)
        if not documents:
            problems.append(f"{one}: there is no delivery document")
        problems += [
            f"{one}: {document.status}" + (f", {document.error.reason}" if document.error else "")
            for document in documents
            if (document.status, document.rule) != (one.status, one.rule)
        ]
        is_seen = one.phrase in seen.get((one.channel, one.where), "")
        if is_seen and one.rule is not None:
            problems.append(f"{one}: seen on the other side, against {one.rule}")
        elif not is_seen and one.rule is None:
            problems.append(f"{one}: not seen on the other side")
    return problems
