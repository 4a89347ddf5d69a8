"""A stand-in for the Sphinx v2 bot: contacts with a key exchange, send, sends/{tag}, account (wire-formats 1)."""

import re
import time
from collections import deque
from dataclasses import dataclass
from typing import Final, Literal

from aiohttp import web

from router.documents.json_types import JsonObject, JsonValue
from tests.peers.stand_in import KEPT, StandIn, accept, arrived_body, say

TOKEN: Final = "sphinx-stand-in-token"
LSP: Final = "03" + "15" * 32
PUBKEY: Final = "02" + "ab" * 32
SCID: Final = "529771090609569795"
CONTACT_INFO: Final = f"{PUBKEY}_{LSP}_{SCID}"
MAX_CONTENT_BYTES: Final = 869
"""All that one Sphinx message can hold (`MAX_MSG_LEN` of sphinx-rs)."""

_PUBKEY: Final = re.compile(r"0[23][0-9a-f]{64}")
_CONTACT_INFO: Final = re.compile(r"(0[23][0-9a-f]{64})_(0[23][0-9a-f]{64})_(\d+)")
_SEND_TYPES: Final[dict[str, type]] = {
    "dest": str,
    "amt_msat": int,
    "content": str,
    "is_tribe": bool,
    "reply_uuid": str,
    "msg_type": int,
    "wait": bool,
}

SendStatus = Literal["COMPLETE", "PENDING", "FAILED"]


@dataclass(slots=True)
class PeerContact:
    """A person whom the bot knows."""

    pubkey: str
    lsp: str
    scid: int
    alias: str | None
    key: str | None = None
    looks: int = 0
    """How often it was looked at since the key exchange began."""
    exchanges: int = 1
    """How many key exchanges were begun; each add_contact begins one."""


@dataclass(frozen=True, slots=True)
class SphinxMessage:
    """A message that went out."""

    dest: str
    content: str
    tag: str


class SphinxPeer(StandIn):
    """A bot. Its attributes may be changed at any time."""

    def __init__(self, port: int = 0, *, token: str = TOKEN, looks_until_key: int | None = 1) -> None:
        super().__init__(self._add_routes, port)
        self.token = token
        self.contact_path: Literal["get_contact", "contact"] = "get_contact"
        self.looks_until_key = looks_until_key
        """How many looks at a contact still show no key; None for a key exchange that ends by `finish_key_exchange` only."""
        self.unknown_contact: JsonValue = {"error": "contact not found"}
        self.unknown_contact_status = 404
        self.unknown_tag_status = 200
        """200 gives an empty list for an unknown tag; 404 an error."""
        self.reply_shape: Literal["tribes", "hive"] = "tribes"
        self.results: deque[tuple[SendStatus, str | None]] = deque()
        """What becomes of the next messages, with the error text; COMPLETE when empty."""
        self.contacts: dict[str, PeerContact] = {}
        self.messages: deque[SphinxMessage] = deque(maxlen=KEPT)
        self.sends: dict[str, JsonObject] = {}

    def befriend(self, contact_info: str = CONTACT_INFO) -> PeerContact:
        """Have a contact whose key exchange is done."""
        pubkey, lsp, scid = contact_info.split("_")
        contact = PeerContact(pubkey, lsp, int(scid), None, key=_key(pubkey))
        self.contacts[pubkey] = contact
        return contact

    def finish_key_exchange(self, pubkey: str = PUBKEY) -> None:
        """The person's app has answered."""
        self.contacts[pubkey].key = _key(pubkey)

    def resolve(self, tag: str, status: SendStatus, error: str | None = None) -> None:
        """End a send that is PENDING."""
        self.sends[tag] |= {"status": status, "error": error}

    def describe(self) -> JsonObject:
        """What another process needs to know to use it."""
        return {"peer": "sphinx", "url": self.url, "token": self.token, "contact_info": CONTACT_INFO}

    def _add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_get("/account", self._account)
        router.add_get("/{path:get_contact|contact}/{pubkey}", self._contact)
        router.add_post("/add_contact", self._add_contact)
        router.add_post("/send", self._send)
        router.add_get("/sends/{tag}", self._sends)

    async def _account(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        own = f"02{'cd' * 32}"
        return say({"contact_info": f"{own}_{LSP}_{SCID}", "alias": "stand-in bot", "network": "regtest"})

    async def _contact(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        if request.match_info["path"] != self.contact_path:
            return web.Response(status=404)
        contact = self.contacts.get(request.match_info["pubkey"])
        if contact is None:
            return say(self.unknown_contact, self.unknown_contact_status)
        contact.looks += 1
        if contact.key is None and self.looks_until_key is not None and contact.looks > self.looks_until_key:
            contact.key = _key(contact.pubkey)
        return say(
            {
                "version": 1,
                "my_idx": 1,
                "pubkey": contact.pubkey,
                "lsp": contact.lsp,
                "scid": contact.scid,
                "contact_key": contact.key,
            }
        )

    async def _add_contact(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request, with_body=True):
            return refusal
        body = arrived_body(request)
        info = body.get("contact_info") if isinstance(body, dict) else None
        found = _CONTACT_INFO.fullmatch(info) if isinstance(info, str) else None
        if not isinstance(body, dict) or found is None:
            return say({"error": "contact_info must be pubkey_lsp_scid"}, 400)
        alias = body.get("alias")
        if set(body) - {"contact_info", "alias"} or not (alias is None or isinstance(alias, str)):
            return say({"error": "bad request"}, 400)
        earlier = self.contacts.get(found[1])
        exchanges = earlier.exchanges + 1 if earlier else 1
        self.contacts[found[1]] = PeerContact(found[1], found[2], int(found[3]), alias, exchanges=exchanges)
        return say({"status": "ok"})

    async def _send(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request, with_body=True):
            return refusal
        body = arrived_body(request)
        if not isinstance(body, dict):
            return say({"error": "bad request"}, 400)
        for key, value in body.items():
            # Exactly the type: in JSON, true is no number.
            if key not in _SEND_TYPES or type(value) is not _SEND_TYPES[key]:
                return say({"error": f"bad {key}"}, 400)
        dest, content = str(body.get("dest", "")), str(body.get("content", ""))
        if not dest:
            return say({"error": "dest is required"}, 400)
        if not _PUBKEY.fullmatch(dest):
            return say({"error": "dest is not a pubkey"}, 400)
        if len(content.encode()) > MAX_CONTENT_BYTES:
            return say({"error": "message too long"}, 400)
        contact = self.contacts.get(dest)
        tag = f"{len(self.sends) + 1:032x}"
        status: SendStatus
        error: str | None
        if contact is None or contact.key is None:
            status, error = "FAILED", "no contact key"
        else:
            status, error = self.results.popleft() if self.results else ("COMPLETE", None)
            if body.get("wait") is not True:
                status = "PENDING"
        self.sends[tag] = {"tag": tag, "ts": int(time.time() * 1000), "status": status, "error": error}
        if status != "FAILED":
            self.messages.append(SphinxMessage(dest, content, tag))
            accept(request)
        if self.reply_shape == "hive":
            hive: JsonObject = {"type": 0, "message": content, "uuid": tag}
            return say({"error": error} if status == "FAILED" else hive)
        answer: JsonObject = {"status": status, "tag": tag, "preimage": "", "payment_hash": "", "message": error}
        return say(answer)

    async def _sends(self, request: web.Request) -> web.Response:
        if refusal := self._refusal(request):
            return refusal
        send = self.sends.get(request.match_info["tag"])
        if send is None and self.unknown_tag_status != 200:
            return say({"error": "no such tag"}, self.unknown_tag_status)
        return say([] if send is None else [send])

    def _refusal(self, request: web.Request, *, with_body: bool = False) -> web.Response | None:
        if request.headers.get("x-admin-token") != self.token:
            return say({"error": "Unauthorized"}, 401)
        if with_body and request.content_type != "application/json":
            return say({"error": "Content-Type must be application/json"}, 415)
        return None


def _key(pubkey: str) -> str:
    return f"03{pubkey[2:]}"
