"""Verifies a bearer token, a JWT (RFC 7519, by the practices of RFC 8725), and says who calls."""

from typing import Final

import jwt

from router.api.jwks import Jwks
from router.api.missing import fixed_key
from router.api.token_keys import BadToken, KeySource, OneKey, TokenKey
from router.documents.json_types import JsonObject
from router.documents.problems import kind_of
from router.documents.user_id import check_user_id
from router.inbox.caller import Caller, Role
from router.settings import ApiSettings

__all__ = ["BadToken", "TokenVerifier", "key_source"]

MAX_TOKEN_BYTES: Final = 16 * 1024
"""A larger one is not even looked at."""
MAX_CUSTOMER_ID_CHARS: Final = 200

_NO_JWT: Final = "the token is no well-formed JWT"
_SENTENCES: Final[tuple[tuple[type[jwt.PyJWTError], str], ...]] = (
    (jwt.ExpiredSignatureError, "the token has expired; get a new one"),
    (jwt.ImmatureSignatureError, "the token is not valid yet (nbf, iat)"),
    (jwt.InvalidIssuerError, "the token is not of the issuer (iss) whose tokens are taken here"),
    (jwt.InvalidAudienceError, "the token is not meant for here (aud)"),
    (jwt.InvalidAlgorithmError, "the token is not signed with the algorithm that its key is for"),
    (jwt.InvalidSignatureError, "the token's signature is wrong"),
)
"""What is said instead of PyJWT's own words, which may hold parts of the token. The first that fits."""


def key_source(settings: ApiSettings) -> KeySource:
    """Where the keys come from, by settings of which nothing is `missing`."""
    key = fixed_key(settings)
    if key is not None:
        return OneKey(key)
    if settings.jwks_url is None:
        raise AssertionError("there is nothing in the settings to verify tokens by")
    return Jwks(settings.jwks_url)


class TokenVerifier:
    """Verifies tokens by the keys of `keys`, which stays its owner's to close."""

    def __init__(self, settings: ApiSettings, keys: KeySource) -> None:
        self._settings = settings
        self._keys = keys

    async def verify(self, token: str) -> Caller:
        """Who calls with `token`. Raises BadToken."""
        if len(token) > MAX_TOKEN_BYTES:
            raise BadToken(f"the token is larger than {MAX_TOKEN_BYTES} bytes")
        if not token.isascii():
            raise BadToken(_NO_JWT)
        key = await self._keys.key_for(_kid_of(token))
        return self._caller(self._claims(token, key))

    def _claims(self, token: str, key: TokenKey) -> JsonObject:
        """The claims of `token`, if `key` and the clock say that they hold."""
        settings = self._settings
        try:
            claims: JsonObject = jwt.decode(
                token,
                key.key,
                algorithms=[key.algorithm],
                issuer=settings.jwt_issuer,
                audience=settings.jwt_audience,
                leeway=settings.jwt_leeway_seconds,
                # What sub must be, we say ourselves.
                options={
                    "require": ["exp", "sub"],
                    "verify_aud": settings.jwt_audience is not None,
                    "verify_sub": False,
                },
            )
        except jwt.PyJWTError as error:
            raise BadToken(_sentence(error)) from None
        for name in ("exp", "nbf", "iat"):
            # PyJWT takes a text of digits as well (RFC 7519 section 2, NumericDate).
            if name in claims and kind_of(claims[name]) != "a number":
                raise BadToken(f"the token's {name} must be a number, not {kind_of(claims[name])}")
        return claims

    def _caller(self, claims: JsonObject) -> Caller:
        try:
            user = check_user_id(claims["sub"])
        except ValueError as error:
            raise BadToken(f"the token's sub {error}") from None
        claim = self._settings.customers_claim
        customers = _texts(claims, claim)
        if not all(0 < len(each) <= MAX_CUSTOMER_ID_CHARS and each.isprintable() for each in customers or ()):
            raise BadToken(f"the token's {claim} must be ids of 1 to {MAX_CUSTOMER_ID_CHARS} printable characters")
        named = _texts(claims, self._settings.roles_claim) or frozenset()
        # What other programs call roles is none of our business; whoever has none of ours is a user.
        roles = frozenset(role for role in Role if role in named) or frozenset({Role.USER})
        return Caller(user, customers, roles)


def _kid_of(token: str) -> str | None:
    """The key that the token names. Nothing else of an unverified header is looked at: no `alg`, no `jku`, no `x5u`."""
    try:
        kid = jwt.get_unverified_header(token).get("kid")
    except jwt.PyJWTError:
        raise BadToken(_NO_JWT) from None
    return kid if isinstance(kid, str) else None


def _texts(claims: JsonObject, name: str) -> frozenset[str] | None:
    """A claim that is a list of texts, or a single one; None when it is not there. Raises BadToken."""
    if name not in claims:
        return None
    value = claims[name]
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list):
        raise BadToken(f"the token's {name} must be a list of texts, not {kind_of(value)}")
    texts = [text for text in values if isinstance(text, str)]
    if len(texts) < len(values):
        raise BadToken(f"the token's {name} must be a list of texts, and nothing else in it")
    return frozenset(texts)


def _sentence(error: jwt.PyJWTError) -> str:
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"the token has no {error.claim}"
    return next((sentence for kind, sentence in _SENTENCES if isinstance(error, kind)), _NO_JWT)
