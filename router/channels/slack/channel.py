"""Posts a message to Slack: chat.postMessage for channels, a POST for incoming webhooks."""

import asyncio
from typing import Final

from router.channels.base import ChannelKind, CheckResult, Code, Outcome, Outgoing, Rejected, Scope
from router.channels.credentials import base_url_problem, token_problem
from router.channels.http import ATTEMPT_SHARE, HttpClient
from router.channels.no_reply import NoReply, unanswered
from router.channels.slack.targets import CHANNEL, is_webhook, parse_target, webhook_hosts_problem
from router.channels.slack.verdicts import API_ERRORS, API_STATUSES, WithoutBlocks, api_outcome, webhook_outcome
from router.documents.json_types import JsonObject
from router.documents.timestamps import utc_now
from router.settings import SlackSettings

NEEDS_BOT: Final = (
    "this target is a Slack channel, for which the router needs a bot token: set ROUTER_SLACK__BOT_TOKEN, "
    "or name an incoming webhook in the mapping instead"
)
SCOPE: Final = "chat:write"


class SlackChannel:
    """Sends to Slack. See `router.channels.base.Channel`."""

    def __init__(self, settings: SlackSettings) -> None:
        self._settings = settings
        self._api = settings.api_url.rstrip("/")
        self._http = HttpClient("Slack", settings.concurrency)

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Post once; where Slack refuses the blocks, once more with the text alone, which is never a repeat."""
        address = outgoing.target.address
        if not is_webhook(address) and self._settings.bot_token is None:
            return Rejected(NEEDS_BOT, Scope.CHANNEL, "not_configured")
        body = outgoing.content.slack(self._settings.max_text_chars)
        # Not unfurled: to unfurl a link Slack fetches it, which uses up links that work once.
        payload: JsonObject = {"text": body.text, "unfurl_links": False, "unfurl_media": False}
        if not is_webhook(address):
            payload["channel"] = address
        deadline = self._deadline()
        outcome = await self._post(address, {**payload, "blocks": [*body.blocks]} if body.blocks else payload, deadline)
        if isinstance(outcome, WithoutBlocks):
            outcome = await self._post(address, payload, deadline)
        if isinstance(outcome, WithoutBlocks):
            raise AssertionError("a request without blocks is not judged by its blocks")
        return outcome

    async def check(self) -> list[CheckResult]:
        """Ask Slack who the bot token is (auth.test)."""
        if self._settings.bot_token is None:
            detail = "no ROUTER_SLACK__BOT_TOKEN: incoming webhooks only, which cannot be tried without a message"
            return [CheckResult("webhooks", True, detail)]
        reply = await self._http.exchange(
            "POST", f"{self._api}/auth.test", deadline=self._deadline(), headers=self._authorization(), json={}
        )
        if isinstance(reply, NoReply):
            return [CheckResult("auth.test", False, f"{reply.reason}; see ROUTER_SLACK__API_URL and the network")]
        answer = reply.json()
        if not isinstance(answer, dict) or answer.get("ok") is not True:
            error = answer.get("error") if isinstance(answer, dict) else None
            ruling = API_ERRORS.get(error) if isinstance(error, str) else API_STATUSES.get(reply.status)
            code: Code = error[:60] if isinstance(error, str) else reply.status
            advice = ruling.advice if ruling else "Slack did not say who we are; see ROUTER_SLACK__API_URL"
            return [CheckResult("auth.test", False, f"{advice} ({code})")]
        user, bot, team = (answer.get(key) or "?" for key in ("user", "bot_id", "team"))
        results = [CheckResult("auth.test", True, f"{user} ({bot}) of {team}")]
        # Slack names the token's scopes in a header of every answer; where it does not, nothing is claimed.
        scopes = reply.headers.get("x-oauth-scopes")
        if scopes is not None:
            granted = {scope.strip() for scope in scopes.split(",")}
            has = bool(granted & {SCOPE, "chat:write:bot"})
            missing = f"the token lacks the scope {SCOPE}; add it and install the app again"
            results.append(CheckResult("scopes", has, f"may post ({SCOPE})" if has else missing))
        return results

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def _post(self, address: str, payload: JsonObject, deadline: float) -> Outcome | WithoutBlocks:
        hook = is_webhook(address)
        reply = await self._http.exchange(
            "POST",
            address if hook else f"{self._api}/chat.postMessage",
            deadline=deadline,
            headers={} if hook else self._authorization(),
            json=payload,
        )
        if isinstance(reply, NoReply):
            return unanswered(reply)
        judge = webhook_outcome if hook else api_outcome
        return judge(reply, utc_now(), with_blocks="blocks" in payload)

    def _authorization(self) -> dict[str, str]:
        token = self._settings.bot_token
        return {} if token is None else {"authorization": f"Bearer {token.get_secret_value()}"}

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._settings.attempt_timeout_seconds * ATTEMPT_SHARE


def missing(settings: SlackSettings) -> str | None:
    """None when the settings suffice; else one sentence that names the variable to set."""
    if settings.bot_token is None and not settings.allow_webhooks:
        return (
            "Slack needs ROUTER_SLACK__BOT_TOKEN (a bot token with the scope chat:write), "
            "or ROUTER_SLACK__ALLOW_WEBHOOKS=true for incoming webhooks"
        )
    if settings.bot_token is not None:
        problem = token_problem(settings.bot_token.get_secret_value(), "ROUTER_SLACK__BOT_TOKEN")
        problem = problem or base_url_problem(settings.api_url, "ROUTER_SLACK__API_URL", plain_http="loopback")
        if problem:
            return problem
    return webhook_hosts_problem(settings)


KIND: Final = ChannelKind(
    name=CHANNEL, settings_type=SlackSettings, parse_target=parse_target, missing=missing, open=SlackChannel
)
