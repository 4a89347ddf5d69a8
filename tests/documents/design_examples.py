"""The example documents of the design (section 3), as they stand there, dots of omission and all."""

from router.documents.json_types import JsonObject

MAPPING: JsonObject = {
    "_id": "ccs.notifications",
    "mapping": {
        "#admins": {
            "matrix": ["!PxMWbvomtRqGOTsaDK:half-shot.uk"],
            "email": ["will@half-shot.uk"],
            "slack": ["C0123ABCD"],
            "sphinx": ["02ab…_03lsp…_529771090609569795"],
        },
        "#everyone": {
            "groups": ["#admins", "#users"],
            "email": [{"address": "list@example.org", "name": "List"}],
        },
    },
}

MESSAGE: JsonObject = {
    "_id": "order-42-failed",
    "content": {
        "to": "#admins",
        "subject": "Order 42 failed",
        "body": "<b>Card declined</b> for order 42",
        "format": "html",
        "event": "order_failed",
        "link": {"url": "https://…", "text": "Open order"},
        "data": {},
        "priority": "normal",
        "created_at": "…",
        "expires_at": "…",
    },
}

DELIVERY: JsonObject = {
    "_id": "delivery:order-42-failed:matrix:3f9c0a6d1b2e4f58",
    "type": "delivery",
    "message_id": "order-42-failed",
    "group": "#admins",
    "channel": "matrix",
    "target": "!PxM…:half-shot.uk",
    "event": "order_failed",
    "status": "COMPLETE",
    "retries": 0,
    "uuid": "…",
    "reference": "$event_id",
    "created_at": "…",
    "updated_at": "…",
    "next_attempt_at": None,
    "attempts": [{"at": "…", "outcome": "sent", "code": 200, "reason": None, "ms": 34}],
    "error": None,
    "mapping_rev": "7-…",
}
