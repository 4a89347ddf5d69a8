"""Users for the routing tests, read as the router reads them."""

from router.documents.delivery import Priority
from router.documents.json_types import JsonObject
from router.routing.catalogue import Catalogue, read_catalogue
from router.routing.choice import Topic
from router.routing.person import Person, read_preferences, read_recipient
from tests.routing.making import READERS


def person(recipient: JsonObject, general: JsonObject | None = None, of_customer: JsonObject | None = None) -> Person:
    """The user alice with these documents; `of_customer` are the preferences as one of acme's."""
    documents = [("preferences:alice:acme", of_customer), ("preferences:alice", general)]
    chosen = tuple(read_preferences({"_id": doc_id, **doc}) for doc_id, doc in documents if doc is not None)
    return Person(read_recipient({"_id": "recipient:alice", **recipient}, READERS), chosen)


def catalogue_of(document: JsonObject) -> Catalogue:
    """The catalogue in force that `document` is."""
    return read_catalogue({"_id": "notifications", **document}, READERS.keys())


def topic(
    group: str | None = "chats",
    event: str | None = "mention",
    customer: str | None = None,
    priority: Priority = "normal",
) -> Topic:
    """What a message is about."""
    return Topic(group, event, customer, priority)
