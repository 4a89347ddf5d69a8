"""A stand-in for Slack: chat.postMessage, auth.test and incoming webhooks, as strict as the real one (wire-formats 2)."""

import time
from collections import deque
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from router.documents.json_types import JsonObject, JsonValue
from tests.peers.slack_blocks import BlockError, check_blocks, units
from tests.peers.stand_in import KEPT, StandIn, accept, arrived_body, say

TOKEN: Final = "xoxb-stand-in-0123456789"
GENERAL: Final = "C0GENERAL1"
ADMINS: Final = "C0ADMINS01"
PERSON: Final = "U0PERSON01"
MAX_TEXT_CHARS: Final = 40_000
MAX_ATTACHMENTS: Final = 100

_SWITCHES: Final = ("unfurl_links", "unfurl_media", "mrkdwn", "link_names", "reply_broadcast")
_HOOK_KEYS: Final = frozenset(("text", "blocks", "attachments", "thread_ts", "unfurl_links", "unfurl_media", "mrkdwn"))
_API_KEYS: Final = _HOOK_KEYS | {"channel", "reply_broadcast", "parse", "link_names", "metadata"}


@dataclass(slots=True)
class SlackChannelState:
    """A channel of the workspace."""

    id: str
    name: str
    archived: bool = False
    member: bool = True
    """Whether the app is in it."""
    restricted: bool = False


@dataclass(frozen=True, slots=True)
class Posted:
    """A message that stands in a channel."""

    channel: str
    ts: str
    text: str
    blocks: list[JsonValue]
    by_webhook: bool


class Refused(Exception):
    """A request that Slack refuses with this word."""


class SlackPeer(StandIn):
    """One workspace with an app in it. `channels`, `hooks`, `scopes` may be changed at any time."""

    def __init__(self, port: int = 0, *, token: str = TOKEN, one_per_second: bool = False) -> None:
        super().__init__(self._add_routes, port)
        self.token = token
        self.one_per_second = one_per_second
        """Whether a second message to a channel within a second gets 429, as Slack does once its patience is at an end."""
        self.scopes = ["chat:write"]
        self.channels = {state.id: state for state in (_state(GENERAL, "general"), _state(ADMINS, "admins"))}
        self.people = {PERSON}
        self.hooks: dict[str, str] = {}
        self.dead_hooks: set[str] = set()
        """Paths of webhooks that an admin has removed."""
        self.messages: deque[Posted] = deque(maxlen=KEPT)
        self._last_post: dict[str, float] = {}
        self._ts = 0
        self.add_hook(GENERAL)

    @property
    def api_url(self) -> str:
        """What `ROUTER_SLACK__API_URL` has to be."""
        return f"{self.url}/api"

    @property
    def host(self) -> str:
        """What `ROUTER_SLACK__WEBHOOK_HOSTS` has to name."""
        return self.url.removeprefix("http://")

    @property
    def hook_url(self) -> str:
        """The address of the first webhook, which posts to #general."""
        return self.url + next(iter(self.hooks))

    def add_channel(self, channel: SlackChannelState) -> None:
        """Put a channel into the workspace."""
        self.channels[channel.id] = channel

    def add_hook(self, channel_id: str) -> str:
        """Make an incoming webhook; its path, which is a secret."""
        path = f"/services/T0STANDIN/B0HOOK{len(self.hooks):04d}/{'sEcReT' * 4}"
        self.hooks[path] = channel_id
        return path

    def texts(self, channel_id: str) -> list[str]:
        """The texts that stand in a channel, in order."""
        return [message.text for message in self.messages if message.channel == channel_id]

    def describe(self) -> JsonObject:
        """What another process needs to know to use it."""
        return {
            "peer": "slack",
            "url": self.url,
            "api_url": self.api_url,
            "token": self.token,
            "webhook": self.hook_url,
            "webhook_host": self.host,
            "channels": {state.name: state.id for state in self.channels.values()},
        }

    def _add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_post("/api/chat.postMessage", self._post_message)
        router.add_post("/api/auth.test", self._auth_test)
        router.add_route("*", "/api/{method}", self._unknown_method)
        router.add_post("/services/{team}/{hook}/{secret}", self._webhook)

    async def _unknown_method(self, request: web.Request) -> web.Response:
        return say({"ok": False, "error": "unknown_method", "req_method": request.match_info["method"]})

    async def _auth_test(self, request: web.Request) -> web.Response:
        try:
            self._authorise(request)
        except Refused as refusal:
            return say({"ok": False, "error": str(refusal)})
        return say(
            {
                "ok": True,
                "url": "https://stand-in.slack.com/",
                "team": "Stand-In",
                "user": "router",
                "team_id": "T0STANDIN",
                "user_id": "U0ROUTER01",
                "bot_id": "B0ROUTER01",
                "is_enterprise_install": False,
            },
            headers={"x-oauth-scopes": ",".join(self.scopes)},
        )

    async def _post_message(self, request: web.Request) -> web.Response:
        try:
            self._authorise(request)
            if not set(self.scopes) & {"chat:write"}:
                return say(
                    {"ok": False, "error": "missing_scope", "needed": "chat:write", "provided": ",".join(self.scopes)}
                )
            payload = _json_payload(request)
            if set(payload) - _API_KEYS:
                raise Refused("invalid_arg_name")
            channel = self._find(payload.get("channel"))
            _check_payload(payload)
        except BlockError as refusal:
            detail: JsonObject = {"messages": [f"[ERROR] {refusal}"]}
            return say({"ok": False, "error": refusal.error, "response_metadata": detail})
        except Refused as refusal:
            return say({"ok": False, "error": str(refusal)})
        if self._too_fast(channel):
            return say({"ok": False, "error": "ratelimited"}, 429, {"retry-after": "1"})
        posted = self._post(request, channel, payload, by_webhook=False)
        message: JsonObject = {"type": "message", "bot_id": "B0ROUTER01", "text": posted.text, "ts": posted.ts}
        return say({"ok": True, "channel": channel, "ts": posted.ts, "message": {**message, "blocks": posted.blocks}})

    async def _webhook(self, request: web.Request) -> web.Response:
        channel = self.hooks.get(request.path)
        if channel is None:
            known_team = any(path.startswith(f"/services/{request.match_info['team']}/") for path in self.hooks)
            return say("invalid_token" if known_team else "no_team", 403 if known_team else 404)
        if request.path in self.dead_hooks:
            return say("no_service", 404)
        state = self.channels.get(channel)
        if state is None:
            return say("channel_not_found", 404)
        if state.archived:
            return say("channel_is_archived", 410)
        if state.restricted:
            return say("action_prohibited", 403)
        try:
            payload = _json_payload(request)
            # Stricter than Slack, which ignores what a webhook may not set (channel, username, icon).
            if set(payload) - _HOOK_KEYS:
                raise Refused("invalid_payload")
            _check_payload(payload)
        except BlockError as refusal:
            return say(refusal.error, 400)
        except Refused as refusal:
            word = str(refusal)
            return say(word if word in ("no_text", "too_many_attachments") else "invalid_payload", 400)
        if self._too_fast(channel):
            return say("rate_limited", 429, {"retry-after": "1"})
        self._post(request, channel, payload, by_webhook=True)
        return say("ok")

    def _authorise(self, request: web.Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if not token or scheme.lower() != "bearer":
            raise Refused("not_authed")
        if token != self.token:
            raise Refused("invalid_auth")

    def _find(self, wanted: JsonValue) -> str:
        """The id of the channel meant, if the app may post there."""
        if wanted is None:
            raise Refused("invalid_arguments")
        if not isinstance(wanted, str):
            raise Refused("channel_not_found")
        if wanted in self.people:
            return f"D{wanted[1:]}"
        name = wanted.removeprefix("#")
        named = (state for state in self.channels.values() if state.name == name)
        state = self.channels.get(wanted) or next(named, None)
        if state is None:
            raise Refused("channel_not_found")
        if state.archived:
            raise Refused("is_archived")
        if not state.member:
            raise Refused("not_in_channel")
        if state.restricted:
            raise Refused("restricted_action")
        return state.id

    def _too_fast(self, channel: str) -> bool:
        now = time.monotonic()
        if self.one_per_second and now - self._last_post.get(channel, -10) < 1:
            return True
        self._last_post[channel] = now
        return False

    def _post(self, request: web.Request, channel: str, payload: JsonObject, *, by_webhook: bool) -> Posted:
        self._ts += 1
        text, blocks = payload.get("text"), payload.get("blocks")
        posted = Posted(
            channel,
            f"1763713620.{self._ts:06d}",
            text if isinstance(text, str) else "",
            blocks if isinstance(blocks, list) else [],
            by_webhook,
        )
        self.messages.append(posted)
        accept(request)
        return posted


def _state(channel_id: str, name: str) -> SlackChannelState:
    return SlackChannelState(channel_id, name)


def _json_payload(request: web.Request) -> JsonObject:
    if request.headers.get("content-type") is None:
        raise Refused("missing_post_type")
    if request.content_type != "application/json":
        raise Refused("invalid_post_type")
    if (request.charset or "").lower() != "utf-8":
        # Slack itself only warns (`missing_charset`).
        raise Refused("invalid_charset")
    body = arrived_body(request)
    if not isinstance(body, dict):
        raise Refused("json_not_object")
    return body


def _check_payload(payload: JsonObject) -> None:
    text, blocks, attachments = payload.get("text"), payload.get("blocks"), payload.get("attachments")
    if text is not None and not isinstance(text, str):
        raise Refused("invalid_arguments")
    if any(key in payload and not isinstance(payload[key], bool) for key in _SWITCHES):
        raise Refused("invalid_arguments")
    if not text and not blocks and not attachments:
        raise Refused("no_text")
    if text is not None and units(text) > MAX_TEXT_CHARS:
        # Slack cuts it, which would lose the end of a message unseen.
        raise Refused("msg_too_long")
    if attachments is not None and (not isinstance(attachments, list) or len(attachments) > MAX_ATTACHMENTS):
        raise Refused("too_many_attachments")
    if blocks is not None:
        check_blocks(blocks)
