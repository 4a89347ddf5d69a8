"""Sends a message to a Matrix room, once however often it is tried."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import aiohttp

from router.channels.base import CheckResult, Outcome, Outgoing, Rejected, Retry, Scope, Sent
from router.channels.http import ATTEMPT_SHARE
from router.channels.matrix.direct_chats import Declined
from router.channels.matrix.homeserver import Homeserver
from router.channels.matrix.outcomes import About, Refused, classify, unreachable
from router.channels.matrix.rooms import Encrypted, Rooms
from router.channels.matrix.session import Session, WrongUser
from router.documents.json_types import JsonObject
from router.documents.timestamps import utc_now
from router.settings import MatrixSettings

MAX_MOVES: Final = 10
"""How often one attempt may look elsewhere (a replaced room, a join, a fresh look at an alias) before it gives up."""
_NO_ENTRY: Final = ("M_FORBIDDEN", "M_NOT_FOUND")

T = TypeVar("T")


class TooManyMoves(Exception):
    """Rooms that replace each other in a circle, or in too long a row."""


class MatrixChannel:
    """Sends to Matrix as one user. See `router.channels.base.Channel`.

    A homeserver tells a repeat by device, room and transaction id, so there is nothing that could be uncertain: whatever went
    unanswered may be tried again.
    """

    def __init__(self, settings: MatrixSettings, *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock`: seconds that only go forward; a test may have its own."""
        self._settings = settings
        self._homeserver = Homeserver(settings.homeserver or "", settings.user_id or "", settings.device_id)
        self._session = Session(settings, self._homeserver)
        self._rooms = Rooms(self._homeserver, clock=clock)

    async def send(self, outgoing: Outgoing) -> Outcome:
        """Send once to the room, or to the direct chat with the user, joining or opening it where that is needed."""
        body = outgoing.content.matrix(self._settings.max_content_bytes)
        # An empty `m.mentions` says that nobody is called by name: text that an app passes on must not ring a room by `@room`.
        content: JsonObject = {"msgtype": self._settings.msgtype, "body": body.body, "m.mentions": {}}
        if body.formatted_body is not None:
            content |= {"format": "org.matrix.custom.html", "formatted_body": body.formatted_body}
        address, transaction_id = outgoing.target.address, str(outgoing.uuid)
        event_id = await self._bounded(
            self._logged_in(lambda: self._deliver(address, content, transaction_id)), outgoing.target.shown
        )
        return event_id if isinstance(event_id, Retry | Rejected) else Sent(event_id, 200)

    async def check(self) -> list[CheckResult]:
        """Ask the homeserver for its versions, and for whom it takes us (which logs in, if there is only a password)."""
        versions = await self._bounded(self._homeserver.versions(), share=0.5)
        if isinstance(versions, Retry | Rejected):
            return [CheckResult("versions", False, versions.reason)]
        reached = CheckResult("versions", True, f"speaks Matrix up to {versions[-1]:.20}")
        identity = await self._bounded(self._logged_in(self._homeserver.whoami), share=0.5)
        if isinstance(identity, Retry | Rejected):
            return [reached, CheckResult("whoami", False, identity.reason)]
        device = (
            f"device {identity.device_id}"
            if identity.device_id
            else "no device, so repeats are told for an hour at most"
        )
        return [reached, CheckResult("whoami", True, f"{identity.user_id}, {device}")]

    async def close(self) -> None:
        """Close the connections. The login stays: the next start uses the same device."""
        await self._homeserver.close()

    async def _deliver(self, address: str, content: JsonObject, transaction_id: str) -> str:
        """Find the room, get in, make sure that plain text may go there, and send; the event id."""
        room_id = await self._rooms.find(address)
        way = [room_id]
        looked_afresh = False
        joined: set[str] = set()
        for _ in range(MAX_MOVES):
            try:
                replacement = await self._rooms.replacement(room_id)
                if replacement is None:
                    return await self._homeserver.send_message(room_id, content, transaction_id)
                room_id = replacement
                way.append(room_id)
            except Refused as refused:
                if refused.failure.errcode not in _NO_ENTRY:
                    raise
                self._rooms.forget(address, *way)
                if room_id in joined:
                    raise
                if not looked_afresh:
                    looked_afresh = True
                    room_now = await self._rooms.find(address)
                    if room_now != room_id:
                        room_id = room_now
                        way.append(room_id)
                        continue
                await self._rooms.join(room_id, address)
                joined.add(room_id)
        self._rooms.forget(address, *way)
        raise TooManyMoves

    async def _logged_in(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do `work` as the router's user; when the homeserver has forgotten the login, log in again and do it once more."""
        await self._session.open()
        token = self._homeserver.access_token
        try:
            return await work()
        except Refused as refused:
            if refused.failure.errcode != "M_UNKNOWN_TOKEN" or not await self._session.renew(token):
                raise
        return await work()

    async def _bounded(self, work: Awaitable[T], target: str = "", share: float = 1.0) -> T | Retry | Rejected:
        """What `work` gives, or what it means that it failed. `share`: the part of an attempt's time that it may take."""
        seconds = self._settings.attempt_timeout_seconds * ATTEMPT_SHARE * share
        try:
            async with asyncio.timeout(seconds):
                return await work
        except Refused as refused:
            return classify(refused.failure, self._about(target), utc_now())
        except Encrypted:
            return Rejected(
                f"{target} is encrypted, and the router sends nothing into encrypted rooms; use an unencrypted room",
                Scope.TARGET,
            )
        except Declined:
            return Rejected(
                f"{target} left the direct chat and also the one invitation after that; ask them, or change the mapping",
                Scope.TARGET,
            )
        except TooManyMoves:
            return Rejected(
                f"{target} leads from room to room without end; put the room to use into the mapping", Scope.TARGET
            )
        except WrongUser as wrong:
            return Rejected(str(wrong), Scope.CHANNEL)
        except TimeoutError:
            return Retry(f"the homeserver took longer than {seconds:.3g} seconds", "timeout", host_is_down=True)
        except (aiohttp.ClientError, OSError) as error:
            return unreachable(error)

    def _about(self, target: str) -> About:
        settings = self._settings
        secrets = [self._homeserver.access_token]
        secrets += [
            secret.get_secret_value() for secret in (settings.access_token, settings.password) if secret is not None
        ]
        return About(
            target,
            self._homeserver.user_id or "the router's user",
            "ROUTER_MATRIX__PASSWORD" if settings.access_token is None else "ROUTER_MATRIX__ACCESS_TOKEN",
            tuple(filter(None, secrets)),
        )
