"""The design documents: what is refused at write time, the indexes that the router reads, and those of the in-app inbox."""

import hashlib
import json
from dataclasses import dataclass
from importlib.resources import files

from router.documents.json_types import JsonObject, JsonValue

NAME = "router"
CATALOGUE_ID = "notifications"
"""`_id` of the catalogue unless it is set otherwise."""
DESIGN_ID = f"_design/{NAME}"
UNFINISHED = "unfinished"
"""View: `["lane", channel, 0 if critical else 1, next_attempt_at]` of each delivery still to do, with the number of its
attempts; `["unroutable", created_at, _id]` of each unroutable message. It counts them too."""
BY_MESSAGE = "by_message"
"""View: the `message_id` of each delivery document, with its status."""

INBOX_NAME = "router_inbox"
INBOX_ID = f"_design/{INBOX_NAME}"
INBOX = "inbox"
"""View: `[user, status, scope, id]` of each notification that its user sees; see `design/inbox.js`. It counts them too."""
BY_DAY = "by_day"
"""View: `[kind, day, _id]` of each notification and audit document, with its revision. It counts them too."""

REPORTS_NAME = "router_reports"
REPORTS_ID = f"_design/{REPORTS_NAME}"
DELIVERIES = "deliveries"
"""View: `[channel or null, status or null, created_at, _id]` of each delivery, four rows each."""
PER_DAY = "per_day"
"""View: `[day, channel, status, event]` of each delivery, counted."""


@dataclass(frozen=True, slots=True)
class Roles:
    """The CouchDB roles that the validation function and the database's security know."""

    app: str = "notification-app"
    """Writes messages, reads everything."""
    admin: str = "notification-admin"
    """The same, and edits the mapping document."""
    router: str = "notification-router"
    """The same, and writes delivery and status documents. For the router alone."""

    @property
    def all(self) -> tuple[str, ...]:
        """All three."""
        return (self.app, self.admin, self.router)


ROLES = Roles()


def function_text(name: str) -> str:
    """The JavaScript function in `design/{name}.js`, without the comments above it, which CouchDB does not want."""
    text = (files("router.couch") / "design" / f"{name}.js").read_text("utf-8")
    return text[text.index("\nfunction (") + 1 :].strip()


def design_document(mapping_id: str, catalogue_id: str = CATALOGUE_ID, roles: Roles = ROLES) -> JsonObject:
    """`_design/router` as it should stand in the database, without `_rev`.

    The ids and the roles are data that the function reads from its design document: no text is put into code.
    The running router asks its indexes often enough that they are never far behind.
    """
    return _document(
        DESIGN_ID,
        settings={
            "mapping_id": mapping_id,
            "catalogue_id": catalogue_id,
            "admin_role": roles.admin,
            "router_role": roles.router,
        },
        validate_doc_update=function_text("validate_doc_update"),
        views={
            UNFINISHED: {"map": function_text(UNFINISHED), "reduce": "_count"},
            BY_MESSAGE: {"map": function_text(BY_MESSAGE)},
        },
    )


def inbox_design_document() -> JsonObject:
    """`_design/router_inbox` as it should stand in the database, without `_rev`. Apart from the other one, since indexes of one
    design document are brought up to date together: a database without an inbox shall not be kept waiting for it."""
    return _document(
        INBOX_ID,
        views={
            INBOX: {"map": function_text(INBOX), "reduce": "_count"},
            BY_DAY: {"map": function_text(BY_DAY), "reduce": "_count"},
        },
    )


def reports_design_document() -> JsonObject:
    """`_design/router_reports` as it should stand in the database, without `_rev`. Apart, as the inbox's is: only whoever asks
    for reports pays for them."""
    return _document(
        REPORTS_ID,
        views={
            DELIVERIES: {"map": function_text(DELIVERIES)},
            PER_DAY: {"map": function_text(PER_DAY), "reduce": "_count"},
        },
    )


def design_documents(mapping_id: str, catalogue_id: str = CATALOGUE_ID, roles: Roles = ROLES) -> tuple[JsonObject, ...]:
    """All of them, as they should stand in the database."""
    return design_document(mapping_id, catalogue_id, roles), inbox_design_document(), reports_design_document()


def _document(design_id: str, **content: JsonValue) -> JsonObject:
    """A design document. `content_hash` names this very content. CouchDB is told not to bring the indexes up to date by itself
    after each few writes (docs.couchdb.org, design documents, `autoupdate`): it has better things to do while many deliveries
    are written. A question to an index brings it up to date."""
    document: JsonObject = {"_id": design_id, "language": "javascript", "autoupdate": False, **content}
    canonical = json.dumps(document, sort_keys=True).encode("ascii")
    return {**document, "content_hash": hashlib.sha256(canonical).hexdigest()}
