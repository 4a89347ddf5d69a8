"""What the `_id` of each kind of document starts with."""

DELIVERY = "delivery:"
ROUTER = "router:"
RECIPIENT = "recipient:"
PREFERENCES = "preferences:"
NOTIFICATION = "notification:"
AUDIT = "audit:"
COUCHDB = "_"

OWN = (DELIVERY, NOTIFICATION, AUDIT, ROUTER, COUCHDB)
"""The router's own documents, and CouchDB's."""
PEOPLE = (RECIPIENT, PREFERENCES)
"""Documents about users."""
NO_MESSAGES = (*OWN, *PEOPLE)
"""What the `_id` of a message never starts with."""
