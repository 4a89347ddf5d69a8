"""A delivery document: what became of one message for one target."""

from datetime import datetime
from enum import StrEnum
from hashlib import sha1, sha256
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from router.documents import prefixes
from router.documents.json_types import JsonObject
from router.documents.timestamps import Timestamp

PREFIX = prefixes.DELIVERY
"""What the `_id` of every delivery document starts with."""

MAX_REASON_CHARS = 1000
"""Longest text of the other side that a document keeps."""

KEPT_ATTEMPTS = 20
"""How many attempts a document keeps, the latest ones."""

_NAMESPACE = UUID("6f1c7c1e-6d0f-5f0a-9d43-5c1c8a3f6b11").bytes


class Status(StrEnum):
    """How far a delivery has come."""

    PENDING = "PENDING"
    WAITING_KEY_EXCHANGE = "WAITING_KEY_EXCHANGE"
    COMPLETE = "COMPLETE"
    UNCERTAIN = "UNCERTAIN"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    CANCELLED = "CANCELLED"
    SUPPRESSED = "SUPPRESSED"
    UNROUTABLE = "UNROUTABLE"

    @property
    def is_final(self) -> bool:
        """Whether the router is done with it. An `UNROUTABLE` one waits for an edit of the mapping."""
        return self not in (Status.PENDING, Status.WAITING_KEY_EXCHANGE, Status.UNROUTABLE)


Priority = Literal["low", "normal", "critical"]

AttemptOutcome = Literal["started", "sent", "retry", "rejected", "uncertain", "waiting"]


class Attempt(BaseModel):
    """One try at a delivery."""

    model_config = ConfigDict(extra="allow", frozen=True)

    at: Timestamp = Field(description="When it began.")
    outcome: AttemptOutcome = Field(
        description="How it ended; `started` is an attempt of a lane under `hold` whose end nobody saw yet."
    )
    code: int | str | None = Field(None, description="The other side's own code.")
    reason: str | None = Field(None, description="Why it did not succeed.")
    ms: int | None = Field(None, description="How long it took, in milliseconds.")


class DeliveryError(BaseModel):
    """Why a delivery is not complete."""

    model_config = ConfigDict(extra="allow", frozen=True)

    code: str = Field(description="What kind of trouble, as a program names it.")
    reason: str = Field(description="What is wrong and what to do, in a sentence.")


class Delivery(BaseModel):
    """A delivery document. Written by the router alone."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, title="Delivery document")

    id: str = Field(
        alias="_id",
        description="`delivery:<message id>:<channel>:<16 hex>`; `delivery:<message id>` for a message as a whole.",
    )
    rev: str | None = Field(None, alias="_rev", description="CouchDB's revision.")
    type: Literal["delivery"] = "delivery"
    message_id: str = Field(description="`_id` of the message document.")
    message_rev: str | None = Field(None, description="Revision of the message that was routed.")
    group: str | None = Field(
        None, description="The name in `content.to`, of a group or a user, through which the target was reached."
    )
    user: str | None = Field(None, description="The user whose target it is; left out where the mapping lists it.")
    mandatory: bool = Field(
        False, description="Whether the catalogue has its event as mandatory, whatever the user wants; left out if not."
    )
    rule: str | None = Field(
        None,
        description="The document and the place in it that stopped it (`SUPPRESSED`) or held it back: "
        "`preferences:alice channels.email`.",
    )
    channel: str | None = Field(None, description="The channel; null on the document of a message as a whole.")
    target: str | None = Field(None, description="The target; shortened where it is a secret.")
    targets: int | None = Field(None, description="How many targets the message was routed to in all.")
    groups: list[str] | None = Field(None, description="Groups and users that lead nowhere (`UNROUTABLE` only).")
    event: str | None = Field(None, description="`content.event` of the message.")
    priority: Priority = Field("normal", description="`content.priority` of the message; left out when it is `normal`.")
    status: Status = Field(description="How far it has come.")
    retries: int = Field(
        0,
        description="Retries that count against the channel's most: not those after a refusal of the whole channel or "
        "a pause that the other side asked for, nor those that only found a host still down.",
    )
    uuid: UUID = Field(
        description="Made from `_id`; the same on every attempt: Matrix `txnId`, root of the mail's Message-ID."
    )
    reference: str | None = Field(
        None, description="What the other side calls it: event id, Slack `ts`, Sphinx `tag`, SMTP reply."
    )
    created_at: Timestamp = Field(description="When the message was routed.")
    retried_at: Timestamp | None = Field(None, description="When somebody last asked for another try (`router retry`).")
    updated_at: Timestamp = Field(description="When this document was last written.")
    next_attempt_at: Timestamp | None = Field(None, description="When it is tried next; null when it is final.")
    attempts: list[Attempt] = Field(
        default_factory=list, description=f"The last {KEPT_ATTEMPTS} attempts, oldest first."
    )
    error: DeliveryError | None = Field(None, description="Why it is not complete; null when it is.")
    mapping_rev: str | None = Field(None, description="Revision of the mapping document by which it was routed.")

    @property
    def waiting_since(self) -> datetime:
        """The moment from which its age counts."""
        return self.retried_at or self.created_at

    def to_document(self) -> JsonObject:
        """The document as CouchDB gets it."""
        document: JsonObject = self.model_dump(mode="json", by_alias=True)
        for key in ("_rev", "groups", "targets", "message_rev", "retried_at", "user", "rule"):
            if document[key] is None:
                del document[key]
        if self.priority == "normal":
            del document["priority"]
        if not self.mandatory:
            del document["mandatory"]
        return document


def storable(text: str) -> str:
    """`text` of the other side as a document can hold it: not too long, and without halves of surrogate pairs, which JSON
    can spell and CouchDB refuses."""
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text if len(text) <= MAX_REASON_CHARS else f"{text[:MAX_REASON_CHARS]}…"


def message_delivery_id(message_id: str) -> str:
    """`_id` of the document about a message as a whole (unroutable, malformed)."""
    return f"{PREFIX}{message_id}"


def target_hash(identity: str) -> str:
    """The 16 hex digits that stand for a target in a delivery id."""
    return sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def delivery_id(message_id: str, channel: str, identity: str) -> str:
    """The deterministic `_id` of the delivery of a message to one target."""
    return f"{PREFIX}{message_id}:{channel}:{target_hash(identity)}"


def delivery_uuid(id_of_delivery: str) -> UUID:
    """The UUIDv5 of a delivery id."""
    # As uuid.uuid5 does it (RFC 9562 section 5.5), which takes twice as long, and fails on half of a surrogate pair. No id in
    # CouchDB holds one.
    digest = sha1(_NAMESPACE + id_of_delivery.encode("utf-8", "replace"), usedforsecurity=False).digest()
    return UUID(bytes=digest[:16], version=5)
