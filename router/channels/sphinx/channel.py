"""Sends a message through a Sphinx v2 bot: finds the contact, has it added if need be, and sends when its key is there."""

import asyncio
from typing import Final
from urllib.parse import quote

from router.channels.base import ChannelKind, CheckResult, Outcome, Outgoing, Rejected, Retry, Scope, Waiting
from router.channels.credentials import base_url_problem, token_problem
from router.channels.http import ATTEMPT_SHARE, HttpClient, Reply
from router.channels.no_reply import NoReply, unanswered
from router.channels.sphinx.targets import CHANNEL, parse_target, person_of
from router.channels.sphinx.verdicts import (
    LOOK_STATUSES,
    Bot,
    Contact,
    Ruling,
    Settled,
    add_problem,
    contact_state,
    send_outcome,
    tag_outcome,
)
from router.documents.json_types import JsonValue
from router.documents.timestamps import utc_now
from router.recent import Recent
from router.settings import SphinxSettings

ADD_AGAIN_SECONDS: Final = 600.0
"""How long a contact that was added is not added again, should the bot still not show it: adding restarts the key exchange."""
REMEMBERED: Final = 10_000
"""How many contacts just added, and how many tags of settled messages, are remembered."""
OTHER_CONTACT_PATH: Final = "contact"
"""Where an older bot shows a contact."""

NOT_ADDABLE: Final = (
    "the Sphinx bot does not know this person and cannot add them by their pubkey alone; "
    "write <pubkey>_<pubkey of the LSP>_<scid> into the mapping"
)


class SphinxChannel:
    """Sends through the bot. See `router.channels.base.Channel`."""

    def __init__(self, settings: SphinxSettings) -> None:
        self._settings = settings
        self._base = (settings.url or "").rstrip("/")
        token = settings.admin_token.get_secret_value() if settings.admin_token else ""
        self._headers = {"x-admin-token": token}
        self._bot = Bot(settings.pending_recheck_seconds, (token,) if token else ())
        self._http = HttpClient("the Sphinx bot", settings.concurrency)
        self._added = Recent(REMEMBERED, ADD_AGAIN_SECONDS)
        # The delivery keeps its reference when a look at it showed that the message has to be sent anew. Forgetting this
        # in a restart costs one more look.
        self._settled = Recent(REMEMBERED)

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Ask what became of a message that was PENDING; else find (or add) the contact, and send once its key is there."""
        now = asyncio.get_running_loop().time()
        deadline = now + self._settings.attempt_timeout_seconds * ATTEMPT_SHARE
        tag = outgoing.reference
        if tag is not None and not self._settled.has(tag, now):
            return await self._ask(tag, deadline)
        person = person_of(outgoing.target.address)
        contact = await self._contact(person.pubkey, deadline)
        if contact is Contact.UNKNOWN:
            if not person.has_hint:
                return Rejected(NOT_ADDABLE, Scope.TARGET)
            if not self._added.has(person.pubkey, now):
                problem = await self._add(person.pubkey, outgoing, deadline)
                if problem is not None:
                    return problem
                contact = await self._contact(person.pubkey, deadline)
        match contact:
            case Contact.READY:
                return await self._send(person.pubkey, outgoing, deadline)
            case Contact.NO_KEY:
                reason = "the Sphinx bot and this person are still exchanging keys"
            case Contact.UNKNOWN:
                reason = "the Sphinx bot was asked to add this person and does not show them yet"
            case problem:
                return problem
        return Waiting(reason, "WAITING_KEY_EXCHANGE", self._settings.key_recheck_seconds)

    async def check(self) -> list[CheckResult]:
        """Ask the bot who it is (GET account)."""
        deadline = asyncio.get_running_loop().time() + self._settings.attempt_timeout_seconds * ATTEMPT_SHARE
        reply = await self._exchange("GET", "account", deadline)
        if isinstance(reply, NoReply):
            return [CheckResult("account", False, f"{reply.reason}; see ROUTER_SPHINX__URL and the network")]
        account = reply.json()
        if reply.status != 200 or not isinstance(account, dict):
            ruling = LOOK_STATUSES.get(reply.status)
            advice = ruling.advice if isinstance(ruling, Ruling) else "no Sphinx v2 bot answers at ROUTER_SPHINX__URL"
            return [CheckResult("account", False, f"{advice} ({reply.status})")]
        alias, network = (account.get(key) for key in ("alias", "network"))
        name = alias if isinstance(alias, str) and alias else "a bot without an alias"
        return [
            CheckResult("account", True, f"{name} on {network if isinstance(network, str) else 'an unnamed network'}")
        ]

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _ask(self, tag: str, deadline: float) -> Outcome:
        reply = await self._exchange("GET", f"sends/{quote(tag, safe='')}", deadline)
        if isinstance(reply, NoReply):
            return reply.retry()
        outcome = tag_outcome(reply, tag, self._bot, utc_now())
        if isinstance(outcome, Settled):
            self._settled.add(tag, asyncio.get_running_loop().time())
            return outcome.outcome
        return outcome

    async def _contact(self, pubkey: str, deadline: float) -> Contact | Retry | Rejected:
        """Look the contact up; where the first path answers 404, which may mean either, at the other one too."""
        paths = dict.fromkeys((self._settings.contact_path.strip("/"), OTHER_CONTACT_PATH))
        for path in paths:
            reply = await self._exchange("GET", f"{path}/{pubkey}", deadline)
            if isinstance(reply, NoReply):
                return reply.retry()
            if reply.status != 404:
                return contact_state(reply, self._bot, utc_now())
        return Contact.UNKNOWN

    async def _add(self, pubkey: str, outgoing: Outgoing, deadline: float) -> Retry | Rejected | None:
        alias = outgoing.target.options.get("alias", pubkey[:10])
        # Noted before the request, so that another message for the same person does not add them a second time meanwhile.
        self._added.add(pubkey, asyncio.get_running_loop().time())
        body: JsonValue = {"contact_info": outgoing.target.address, "alias": alias}
        reply = await self._exchange("POST", "add_contact", deadline, body)
        problem = reply.retry() if isinstance(reply, NoReply) else add_problem(reply, self._bot, utc_now())
        if problem is not None:
            self._added.discard(pubkey)
        return problem

    async def _send(self, pubkey: str, outgoing: Outgoing, deadline: float) -> Outcome:
        content = outgoing.content.short_text(self._settings.max_content_bytes)
        # `wait`: the bot answers when it knows what became of the message. A bot takes no idempotency key.
        body: JsonValue = {"dest": pubkey, "amt_msat": 0, "content": content, "is_tribe": False, "wait": True}
        reply = await self._exchange("POST", "send", deadline, body)
        if isinstance(reply, NoReply):
            return unanswered(reply)
        outcome = send_outcome(reply, self._bot, utc_now())
        if isinstance(outcome, Waiting) and outcome.reference is not None:
            # Should a bot ever use a tag twice, this one is open again.
            self._settled.discard(outcome.reference)
        return outcome

    async def _exchange(self, method: str, path: str, deadline: float, body: JsonValue = None) -> Reply | NoReply:
        return await self._http.exchange(
            method, f"{self._base}/{path}", deadline=deadline, headers=self._headers, json=body
        )


def missing(settings: SphinxSettings) -> str | None:
    """None when the settings suffice; else one sentence that names the variables to set."""
    unset = [
        name
        for name, value in (
            ("ROUTER_SPHINX__URL", settings.url),
            ("ROUTER_SPHINX__ADMIN_TOKEN", settings.admin_token),
        )
        if value is None
    ]
    if settings.url is None or settings.admin_token is None:
        return f"Sphinx needs {' and '.join(unset)}"
    # Plain http anywhere: the bot is a container that mostly stands beside the router, and speaks nothing else.
    return base_url_problem(settings.url, "ROUTER_SPHINX__URL", plain_http="anywhere") or token_problem(
        settings.admin_token.get_secret_value(), "ROUTER_SPHINX__ADMIN_TOKEN"
    )


KIND: Final = ChannelKind(
    name=CHANNEL, settings_type=SphinxSettings, parse_target=parse_target, missing=missing, open=SphinxChannel
)
