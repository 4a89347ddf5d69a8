"""Pure: how documents, their ids and keys are put into requests to CouchDB."""

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote

from router.couch.codec import encode
from router.documents.json_types import JsonObject, JsonValue

BULK_DOCUMENTS = 500
"""Documents in one request. CouchDB has no limit of its own; this keeps each request well inside its timeout."""
BULK_BYTES = 4 * 1024 * 1024
"""Bytes in one `_bulk_docs` request, unless a single document is larger."""


def quoted_id(doc_id: str) -> str:
    """A document id as it stands in a path. The slash of `_design/` and `_local/` is the path's, others the id's."""
    for prefix in ("_design/", "_local/"):
        if doc_id.startswith(prefix):
            return prefix + quote(doc_id.removeprefix(prefix), safe="")
    # `.` and `..` would be taken for steps in the path.
    return quote(doc_id, safe="") if doc_id.strip(".") else doc_id.replace(".", "%2E")


def chunks(docs: list[JsonObject]) -> Iterator[list[JsonObject]]:
    """Cut `docs` into lists of at most BULK_DOCUMENTS documents and about BULK_BYTES bytes."""
    chunk: list[JsonObject] = []
    size_bytes = 0
    for doc in docs:
        doc_bytes = len(encode(doc))
        if chunk and (len(chunk) == BULK_DOCUMENTS or size_bytes + doc_bytes > BULK_BYTES):
            yield chunk
            chunk, size_bytes = [], 0
        chunk.append(doc)
        size_bytes += doc_bytes
    if chunk:
        yield chunk


@dataclass(frozen=True, slots=True)
class IdRange:
    """The documents whose id is greater than `above` and less than `below`, byte by byte: what a changes feed is narrowed to."""

    above: str
    below: str

    @property
    def params(self) -> JsonObject:
        """The query parameters, to be sent with `body`.

        CouchDB reads the selector in the body (https://docs.couchdb.org/en/stable/api/database/changes.html#selector) and
        compares `_id` by its bytes. PouchDB Server 4.2 reads the one in the query, and without it dies of an error of its own.
        """
        return {"filter": "_selector", "selector": key_text(self._selector)}

    @property
    def body(self) -> JsonObject:
        """The body of the POST."""
        return {"selector": self._selector}

    @property
    def _selector(self) -> JsonObject:
        return {"_id": {"$gt": self.above, "$lt": self.below}}


def ids_beginning_with(prefix: str) -> IdRange:
    """The documents whose id begins with `prefix`, an ASCII character at its end, and has more behind it."""
    return IdRange(prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1))


def id_of(doc: JsonObject) -> str:
    """The `_id` of a document that is to be written. Raises ValueError when there is none."""
    doc_id = doc.get("_id")
    if not isinstance(doc_id, str) or not doc_id:
        raise ValueError("a document without an _id cannot be written")
    return doc_id


def key_text(value: JsonValue) -> str:
    """A key as it stands in an address."""
    return encode(value).decode("utf-8")
