"""The router's login at its homeserver: made once, kept, and made again when the homeserver has forgotten it."""

import asyncio

import structlog

from router.channels.matrix.homeserver import Homeserver, Identity
from router.settings import MatrixSettings

log = structlog.stdlib.get_logger("router.matrix")


class WrongUser(Exception):
    """The access token belongs to another user than the settings say; the text is a sentence for people."""


class Session:
    """Sees to it that the homeserver knows us. Many sends may ask at once: there is one login at a time."""

    def __init__(self, settings: MatrixSettings, homeserver: Homeserver) -> None:
        self._settings = settings
        self._homeserver = homeserver
        self._lock = asyncio.Lock()
        self._identity: Identity | None = None

    async def open(self) -> Identity:
        """Whom the homeserver takes us for, logging in if that has not been done yet.

        Raises WrongUser, and what `Homeserver` raises.
        """
        if self._identity is not None:
            return self._identity
        async with self._lock:
            if self._identity is None:
                self._identity = await self._identify()
            return self._identity

    async def renew(self, spent_token: str) -> bool:
        """Log in again, under the same device id, after the homeserver has refused `spent_token`.

        False where that is not possible: an access token from the settings cannot be renewed. Several sends may have been refused
        at once: the first logs in, the others find it done.
        """
        if self._settings.access_token is not None:
            return False
        async with self._lock:
            if self._homeserver.access_token == spent_token:
                self._identity = None
                self._identity = await self._identify()
        return True

    async def _identify(self) -> Identity:
        if self._settings.access_token is None:
            password = self._settings.password
            made = await self._homeserver.login(password.get_secret_value() if password else "")
            log.info("logged in", user_id=made.user_id, device_id=made.device_id)
            return made
        self._homeserver.access_token = self._settings.access_token.get_secret_value()
        found = await self._homeserver.whoami()
        wanted = self._settings.user_id
        if wanted is not None and wanted != found.user_id:
            raise WrongUser(
                f"ROUTER_MATRIX__ACCESS_TOKEN belongs to {found.user_id:.255}, "
                f"but ROUTER_MATRIX__USER_ID says {wanted}; correct one of them"
            )
        return found
