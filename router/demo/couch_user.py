"""A person or a program with a CouchDB login who writes and reads documents by plain HTTP, as an app does."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

import aiohttp
from pydantic import ValidationError

from router.demo.server import Server
from router.documents.delivery import PREFIX, Delivery
from router.documents.json_types import JsonObject, JsonValue

REQUEST_TIMEOUT_SECONDS: Final = 15.0
CREATED: Final = (201, 202)
"""How CouchDB answers when it has taken a document."""


@dataclass(frozen=True)
class CouchUser:
    """A login at one database."""

    database_url: str
    """`http://127.0.0.1:…/notifications`."""
    name: str
    password: str = field(repr=False)
    server: Server

    async def put(self, document_id: str, document: JsonObject) -> tuple[int, JsonObject]:
        """PUT a document: the status and the answer, whatever they are. Raises DemoError when nobody answers."""
        return await self._request("PUT", f"/{quote(document_id, safe='')}", document)

    async def get(self, path: str) -> JsonObject:
        """GET `path` (quoted) below the database; an empty object for 404. Raises DemoError."""
        status, answer = await self._request("GET", path)
        return {} if status == 404 else answer

    async def document(self, document_id: str) -> JsonObject:
        """A document; an empty object when there is none. Raises DemoError."""
        return await self.get(f"/{quote(document_id, safe='')}")

    async def deliveries(self) -> dict[str, Delivery]:
        """Every delivery document by its id. Raises DemoError."""
        first, last = quote(f'"{PREFIX}"'), quote(f'"{PREFIX[:-1]};"')
        rows = (await self.get(f"/_all_docs?startkey={first}&endkey={last}&include_docs=true")).get("rows")
        found = [delivery_of(document) for document in documents_in(rows)]
        return {delivery.id: delivery for delivery in found if delivery is not None}

    async def changes(self, since: str) -> tuple[str, list[JsonObject]]:
        """Where the database stands now, and the documents written since it stood at `since` (`0`, `now`), without deletions.

        Raises DemoError.
        """
        answer = await self.get(f"/_changes?since={quote(since)}&include_docs=true")
        return str(answer.get("last_seq", since)), documents_in(answer.get("results"))

    async def _request(self, method: str, path: str, body: JsonObject | None = None) -> tuple[int, JsonObject]:
        timeout = aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS)
        headers = {"Accept": "application/json", "Authorization": aiohttp.encode_basic_auth(self.name, self.password)}
        with self.server.asked():
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.request(method, f"{self.database_url}{path}", json=body, headers=headers) as answer,
            ):
                said: JsonObject = await answer.json(content_type=None)
                return answer.status, said


@dataclass(frozen=True)
class Couch:
    """A CouchDB server with the router's database, and a login for each role."""

    server: str
    """Its address, without credentials."""
    app: CouchUser
    admin: CouchUser
    router: CouchUser
    server_admin: CouchUser


def documents_in(rows: JsonValue) -> list[JsonObject]:
    """The documents in the rows of `_all_docs` or `_changes`, without deletions."""
    found = [row.get("doc") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
    return [document for document in found if isinstance(document, dict) and not document.get("_deleted")]


def delivery_of(document: JsonObject) -> Delivery | None:
    """`document` as the delivery document that it is; None when it is another one."""
    if document.get("type") != "delivery":
        return None
    try:
        return Delivery.model_validate(document)
    except ValidationError:
        # Somebody who plays with the server admin's login may write anything.
        return None
