"""The keys that tokens are verified by, each with the one algorithm that it is for, and how they are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from jwt import InvalidKeyError, PyJWK, PyJWTError
from jwt.algorithms import HMACAlgorithm

from router.documents.json_types import JsonValue

SHORTEST_SECRET_BYTES: Final = 32
"""As long as the digest (RFC 7518 section 3.2)."""
SHORTEST_RSA_BITS: Final = 2048
"""RFC 7518 section 3.3."""
MAX_KEY_FILE_BYTES: Final = 64 * 1024

Algorithm = Literal["HS256", "RS256", "ES256"]


class BadToken(Exception):
    """A bearer token that is not accepted. The text is one sentence for the caller, without the token and without a key."""

    def __init__(self, sentence: str, *, is_undecided: bool = False) -> None:
        super().__init__(sentence)
        self.is_undecided = is_undecided
        """Whether the token may be good, and it is the issuer's key that cannot be had just now (503, where else 401)."""


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key, and the algorithm that it is for: never the one that a token names (RFC 8725 section 3.1)."""

    key: bytes | RSAPublicKey | EllipticCurvePublicKey = field(repr=False)
    algorithm: Algorithm


class KeySource(Protocol):
    """Where the key for a token comes from."""

    async def key_for(self, kid: str | None) -> TokenKey:
        """The key that a token names by its `kid`, None when it names none. Raises BadToken."""
        ...

    async def close(self) -> None:
        """Give back what is open."""
        ...


class OneKey:
    """The one key of the settings, whatever a token calls it."""

    def __init__(self, key: TokenKey) -> None:
        self._key = key

    async def key_for(self, kid: str | None) -> TokenKey:  # noqa: ARG002 - there is no other
        """The key."""
        return self._key

    async def close(self) -> None:
        """Nothing is open."""


def secret_key(secret: str, variable: str) -> TokenKey:
    """The key for HS256. Raises ValueError with a sentence that names `variable`."""
    key = secret.encode("utf-8", "surrogateescape")
    if len(key) < SHORTEST_SECRET_BYTES:
        raise ValueError(
            f"{variable} must have at least {SHORTEST_SECRET_BYTES} bytes (RFC 7518 section 3.2); make one: openssl rand -hex 32"
        )
    try:
        return TokenKey(HMACAlgorithm(HMACAlgorithm.SHA256).prepare_key(key), "HS256")
    except InvalidKeyError:
        raise ValueError(
            f"{variable} holds a key pair's key, which is no secret; set ROUTER_API__JWT_PUBLIC_KEY to the public one"
        ) from None


def public_key(pem: str, variable: str) -> TokenKey:
    """The public key in `pem`, for RS256 or ES256 by its kind. Raises ValueError with a sentence that names `variable`."""
    # Where a variable can have one line only, lines are often ended by a backslash and an n.
    text = pem if "\n" in pem else pem.replace("\\n", "\n")
    if "PRIVATE KEY-----" in text:
        raise ValueError(f"{variable} holds a private key; set it to the public one: openssl pkey -pubout -in FILE")
    if "BEGIN CERTIFICATE-----" in text:
        raise ValueError(f"{variable} holds a certificate; set it to its key: openssl x509 -pubkey -noout -in FILE")
    try:
        key = load_pem_public_key(text.strip().encode("utf-8", "surrogateescape"))
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{variable} must hold a public key as PEM text, -----BEGIN PUBLIC KEY-----") from None
    if isinstance(key, RSAPublicKey) and key.key_size >= SHORTEST_RSA_BITS:
        return TokenKey(key, "RS256")
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return TokenKey(key, "ES256")
    raise ValueError(
        f"{variable} must hold an RSA key of at least {SHORTEST_RSA_BITS} bits (RS256) or a key on the curve P-256 (ES256)"
    )


def public_key_in_file(path: Path, variable: str) -> TokenKey:
    """The public key in the file at `path`. Raises ValueError with a sentence that names `variable`."""
    try:
        with path.open("rb") as file:
            pem = file.read(MAX_KEY_FILE_BYTES)
    except OSError as error:
        raise ValueError(f"{variable}: the file {path} cannot be read: {error.strerror}") from None
    return public_key(pem.decode("utf-8", "replace"), f"the file of {variable}")


_PUBLIC_MEMBERS: Final[Mapping[str, tuple[Algorithm, tuple[str, ...]]]] = {
    "RSA": ("RS256", ("kty", "n", "e")),
    "EC": ("ES256", ("kty", "crv", "x", "y")),
}
"""By `kty`: what such a key is for, and of what its public part is made (RFC 7518 section 6). A secret (`oct`) is nothing that
anybody could fetch."""


def jwk_key(jwk: JsonValue) -> TokenKey | None:
    """A key of a JWKS (RFC 7517 section 4); None for one that is not for verifying RS256 or ES256."""
    if not isinstance(jwk, dict):
        return None
    kind, operations = jwk.get("kty"), jwk.get("key_ops", ["verify"])
    if not isinstance(kind, str) or kind not in _PUBLIC_MEMBERS:
        return None
    algorithm, members = _PUBLIC_MEMBERS[kind]
    if jwk.get("alg", algorithm) != algorithm or jwk.get("use", "sig") != "sig":
        return None
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    public = {name: jwk[name] for name in members if name in jwk}
    if not all(isinstance(value, str) for value in public.values()):
        return None
    try:
        key = PyJWK(public, algorithm).key
    except (PyJWTError, UnsupportedAlgorithm):
        return None
    if isinstance(key, RSAPublicKey):
        return TokenKey(key, "RS256") if key.key_size >= SHORTEST_RSA_BITS else None
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return TokenKey(key, "ES256")
    return None
