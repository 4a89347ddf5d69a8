"""The issuer's public keys, fetched from its JWKS address when they are needed, and kept for a while."""

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final
from urllib.parse import urlsplit

import structlog

from router.api.token_keys import BadToken, TokenKey, jwk_key
from router.channels.http import MAX_REPLY_BYTES, HttpClient
from router.channels.no_reply import NoReply

log = structlog.stdlib.get_logger("router.api")

FETCH_TIMEOUT_SECONDS: Final = 5.0
"""How long one fetch may take in all."""
KEEP_SECONDS: Final = 300.0
"""How old the keys may be before they are fetched again: so long a key that the issuer took back is still good."""
REFETCH_SECONDS: Final = 10.0
"""They are asked for no more often than this, whatever keys tokens name: anybody can invent a `kid`."""
MOST_STALE_SECONDS: Final = 86_400.0
"""How long keys are good while the issuer cannot be reached. Not for ever: one of them may have been taken back."""
MAX_KEYS: Final = 100
"""How many keys of a JWKS are looked at."""


class Jwks:
    """A source of keys, for one issuer. Only the address of the settings is ever asked, never one that a token names."""

    def __init__(
        self, url: str, *, timeout_seconds: float = FETCH_TIMEOUT_SECONDS, clock: Callable[[], float] = monotonic
    ) -> None:
        """`clock`: the time in seconds, steady."""
        self._url = url
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._client = HttpClient("the JWKS server", 1)
        self._by_kid: dict[str, TokenKey] = {}
        self._only: TokenKey | None = None
        """The issuer's key where there is one only, which a token need not name."""
        self._fetched_at: float | None = None
        self._asked_at: float | None = None
        self._is_failing = False
        """Whether the last fetch failed."""
        self._fetching: asyncio.Task[None] | None = None

    async def key_for(self, kid: str | None) -> TokenKey:
        """The key by that name. Raises BadToken when the issuer has no such key, or cannot be asked."""
        key = self._known(kid)
        if key is not None and self._age_seconds() < KEEP_SECONDS:
            return key
        fetching = self._fetch_if_due()
        # While the issuer does not answer, nobody waits for it who has a key that will do.
        if fetching is not None and (key is None or not self._is_failing):
            await asyncio.wait({fetching})
            if not fetching.cancelled():
                fetching.result()
            key = self._known(kid)
        if key is not None:
            return key
        if self._is_failing or self._fetched_at is None:
            raise BadToken(
                "the key to verify the token by cannot be had just now; try again in a moment", is_undecided=True
            )
        if kid is None:
            raise BadToken("the token does not say (kid) which of its issuer's keys it is signed with")
        raise BadToken("the token is signed with a key that its issuer does not have; get a new token")

    async def close(self) -> None:
        """Break off a fetch under way and close the connection."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait({self._fetching})
        await self._client.close()

    def _known(self, kid: str | None) -> TokenKey | None:
        if self._age_seconds() >= MOST_STALE_SECONDS:
            return None
        return self._only if kid is None else self._by_kid.get(kid)

    def _age_seconds(self) -> float:
        return float("inf") if self._fetched_at is None else self._clock() - self._fetched_at

    def _fetch_if_due(self) -> asyncio.Task[None] | None:
        """The fetch under way, which all share; or a new one, unless the last began a moment ago."""
        if self._fetching is not None and not self._fetching.done():
            return self._fetching
        now = self._clock()
        if self._asked_at is not None and now - self._asked_at < REFETCH_SECONDS:
            return None
        self._asked_at = now
        self._fetching = asyncio.create_task(self._fetch(), name="JWKS")
        return self._fetching

    async def _fetch(self) -> None:
        problem = await self._read()
        host = urlsplit(self._url).hostname
        if problem is not None and not self._is_failing:
            log.warning("the JWKS cannot be fetched: new tokens may be refused", host=host, reason=problem)
        elif problem is None and self._is_failing:
            log.info("the JWKS is fetched again", host=host)
        self._is_failing = problem is not None

    async def _read(self) -> str | None:
        """Fetch the keys and take them over; or say what is wrong, and leave those that are known."""
        asked_at, deadline = self._clock(), asyncio.get_running_loop().time() + self._timeout_seconds
        reply = await self._client.exchange("GET", self._url, deadline=deadline)
        if isinstance(reply, NoReply):
            return reply.reason
        if reply.status != 200:
            return f"it answered {reply.status}"
        if not reply.whole:
            return f"its answer did not end within {self._timeout_seconds:g} seconds and {MAX_REPLY_BYTES} bytes"
        document = reply.json()
        jwks = document.get("keys") if isinstance(document, dict) else None
        if not isinstance(jwks, list):
            return "its answer is no JWKS: an object with a list of keys"
        found = [(jwk.get("kid"), key) for jwk in jwks[:MAX_KEYS] if isinstance(jwk, dict) and (key := jwk_key(jwk))]
        if not found:
            return "its answer has no key for RS256 or ES256"
        self._by_kid = {kid: key for kid, key in found if isinstance(kid, str)}
        self._only = found[0][1] if len(found) == 1 else None
        self._fetched_at = asked_at
        return None
