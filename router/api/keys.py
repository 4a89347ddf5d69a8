"""API keys: which request brings one, and whether it is one of ours."""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from hmac import compare_digest
from typing import Final

from pydantic import SecretStr

from router.api.bearer import bearer_in
from router.inbox.caller import Caller, Role

HEADER: Final = "x-api-key"
SHORTEST_KEY_CHARS: Final = 16


class ApiKeys:
    """The keys of the settings. Only their digests are kept."""

    def __init__(self, keys: Iterable[SecretStr]) -> None:
        self._digests = [_digest(key.get_secret_value()) for key in keys]

    def caller_of(self, key: str | None) -> Caller | None:
        """The service that has this key, named by the key's place in the settings (`_key:1`); None when it is none of ours.

        Takes as long for a key that is nearly right as for one that is all wrong.
        """
        digest = _digest(key or "")
        # Each is compared, also after one that fits.
        fitting = [number for number, ours in enumerate(self._digests, 1) if compare_digest(ours, digest)]
        if not key or not fitting:
            return None
        return Caller(f"_key:{fitting[0]}", customers=None, roles=frozenset({Role.SERVICE}))


def key_in(headers: Mapping[str, str]) -> str | None:
    """The key that a request brings: `X-API-Key: <key>`, or else `Authorization: Bearer <key>`. None when there is none.

    The names of `headers` are in lower case, or found in any, as Starlette's are.
    """
    return (headers.get(HEADER) or "").strip() or bearer_in(headers.get("authorization"))


def _digest(key: str) -> bytes:
    # Of the same length for all; and whatever comes in a header is no reason to crash.
    return sha256(key.encode("utf-8", "surrogatepass")).digest()
