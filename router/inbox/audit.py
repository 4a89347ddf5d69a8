"""What is put down of each change for the record."""

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from router.documents.audit import MAX_IDS, PREFIX, AuditEntry
from router.documents.time_ordered_id import time_ordered_id
from router.inbox.caller import Caller


def audit_entry(caller: Caller, action: str, document_ids: Sequence[str], at: datetime) -> AuditEntry:
    """A new entry: at that moment the caller did `action` to these documents. Raises ValueError for more than MAX_IDS."""
    if len(document_ids) > MAX_IDS:
        raise ValueError(f"an audit document names at most {MAX_IDS} documents; write several")
    return AuditEntry(
        id=f"{PREFIX}{time_ordered_id(at, uuid4())}",
        at=at,
        user=caller.user,
        roles=sorted(caller.roles),
        action=action,
        ids=list(document_ids),
    )
