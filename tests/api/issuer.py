"""An issuer of tokens: its keys, tokens of any make, and the server that shows its public keys."""

import base64
import hmac
import json
from functools import cache
from hashlib import sha256
from time import time
from typing import Final

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from router.documents.json_types import JsonObject, JsonValue
from tests.peers.stand_in import StandIn, say

SECRET: Final = "the-secret-of-the-issuer-of-tokens"
OTHER_SECRET: Final = "another-secret-of-somebody-elses!!"

DAY: Final = 86_400
"""Seconds. Tokens are made when tests are collected, and must be good when they run."""

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


@cache
def rsa_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    """The same at each call, another one by `number`."""
    return rsa.generate_private_key(65537, bits)


@cache
def ec_key(number: int = 0) -> ec.EllipticCurvePrivateKey:
    """On P-256; the same at each call, another one by `number`."""
    return ec.generate_private_key(ec.SECP256R1())


def pem(key: PublicKeyTypes) -> str:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(key: Key) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def jwk(key: Key, kid: str | None = None, **more: JsonValue) -> JsonObject:
    """The public half, as a JWKS has it."""
    public = key.public_key()
    shown: JsonObject = (
        RSAAlgorithm.to_jwk(public, as_dict=True)
        if isinstance(public, rsa.RSAPublicKey)
        else ECAlgorithm.to_jwk(public, as_dict=True)
    )
    return {**shown, **({} if kid is None else {"kid": kid}), **more}


def claims(**more: JsonValue) -> JsonObject:
    """Those of a good token of alice's; None takes a claim away."""
    now = int(time())
    all_claims: JsonObject = {"sub": "alice", "iat": now, "exp": now + DAY, **more}
    return {name: value for name, value in all_claims.items() if value is not None}


def token(
    key: Key | str = SECRET, kid: str | None = None, headers: JsonObject | None = None, /, **more: JsonValue
) -> str:
    """A token, signed as it should be with `key`."""
    algorithm = "HS256" if isinstance(key, str) else "RS256" if isinstance(key, rsa.RSAPrivateKey) else "ES256"
    return jwt.encode(claims(**more), key, algorithm, {**(headers or {}), **({} if kid is None else {"kid": kid})})


def part(value: JsonValue | bytes) -> str:
    """A part of a token: a value as JSON, or bytes as they are."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def forged(header: JsonValue | bytes, payload: JsonValue | bytes, secret: bytes = SECRET.encode()) -> str:
    """A token whose header and payload are anything, with an HMAC by `secret` whatever its header says."""
    signed = f"{part(header)}.{part(payload)}"
    return f"{signed}.{part(hmac.digest(secret, signed.encode(), sha256))}"


class JwksServer(StandIn):
    """Shows `keys` at `/jwks`, which is its `jwks_url`."""

    def __init__(self, *keys: JsonValue) -> None:
        self.keys: list[JsonValue] = list(keys)
        super().__init__(self._add_routes)

    @property
    def jwks_url(self) -> str:
        return f"{self.url}/jwks"

    @property
    def fetches(self) -> int:
        """How often the keys were asked for."""
        return len(self.to("/jwks"))

    def _add_routes(self, routes: web.UrlDispatcher) -> None:
        routes.add_get("/jwks", self._show_keys)

    async def _show_keys(self, _request: web.Request) -> web.Response:
        return say({"keys": self.keys})
