"""What the API needs before it can be served: one sentence that names the variables, and shows no secret."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from router.api.missing import missing
from router.settings import ApiSettings
from tests.api.issuer import SECRET, ec_key, pem, private_pem, rsa_key

RSA_PEM, EC_PEM = pem(rsa_key().public_key()), pem(ec_key().public_key())
NO_KEY = (
    "the API needs one of ROUTER_API__JWT_SECRET, ROUTER_API__JWT_PUBLIC_KEY, ROUTER_API__JWT_PUBLIC_KEY_FILE and "
    "ROUTER_API__JWKS_URL to verify tokens by"
)
PEM_WANTED = "must hold a public key as PEM text, -----BEGIN PUBLIC KEY-----"
KIND_WANTED = "must hold an RSA key of at least 2048 bits (RS256) or a key on the curve P-256 (ES256)"


@pytest.mark.parametrize(
    "values",
    [
        {"jwt_secret": SECRET},
        {"jwt_secret": "ü" * 16},
        {"jwt_public_key": RSA_PEM},
        {"jwt_public_key": EC_PEM},
        {"jwt_public_key": f"\n{EC_PEM}\n"},
        {"jwt_public_key": EC_PEM.replace("\n", "\\n")},
        {"jwks_url": "https://login.example.org/.well-known/jwks.json?policy=a"},
        {"jwks_url": "http://127.0.0.1:8080/jwks"},
        {"jwks_url": "http://[::1]/jwks"},
        {"jwks_url": "http://localhost/jwks"},
        {"jwt_secret": SECRET, "api_keys": "0123456789abcdef, 0123456789abcdeF,"},
        {"jwt_secret": SECRET, "cors_origins": "https://a.example,http://localhost:3000"},
        {"jwt_secret": SECRET, "cors_origins": "*"},
    ],
    ids=lambda values: "+".join(values),
)
def test_nothing_is_missing(values: dict[str, str]) -> None:
    assert missing(ApiSettings.model_validate(values)) is None


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, NO_KEY),
        ({"api_keys": "0123456789abcdef"}, NO_KEY),
        ({"jwt_secret": SECRET, "jwks_url": "https://a.example"},
         "set only one of ROUTER_API__JWT_SECRET and ROUTER_API__JWKS_URL: which of them tokens are verified by would be "
         "anybody's guess"),
        ({"jwt_public_key": EC_PEM, "jwt_public_key_file": "key.pem"},
         "set only one of ROUTER_API__JWT_PUBLIC_KEY and ROUTER_API__JWT_PUBLIC_KEY_FILE: which of them tokens are verified "
         "by would be anybody's guess"),
        ({"jwt_secret": SECRET[:31]},
         "ROUTER_API__JWT_SECRET must have at least 32 bytes (RFC 7518 section 3.2); make one: openssl rand -hex 32"),
        ({"jwt_secret": EC_PEM},
         "ROUTER_API__JWT_SECRET holds a key pair's key, which is no secret; set ROUTER_API__JWT_PUBLIC_KEY to the public one"),
        ({"jwt_public_key": SECRET}, f"ROUTER_API__JWT_PUBLIC_KEY {PEM_WANTED}"),
        ({"jwt_public_key": EC_PEM[:60]}, f"ROUTER_API__JWT_PUBLIC_KEY {PEM_WANTED}"),
        ({"jwt_public_key": "\ud800"}, f"ROUTER_API__JWT_PUBLIC_KEY {PEM_WANTED}"),
        ({"jwt_public_key": private_pem(ec_key())},
         "ROUTER_API__JWT_PUBLIC_KEY holds a private key; set it to the public one: openssl pkey -pubout -in FILE"),
        ({"jwt_public_key": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"},
         "ROUTER_API__JWT_PUBLIC_KEY holds a certificate; set it to its key: openssl x509 -pubkey -noout -in FILE"),
        ({"jwt_public_key": pem(rsa_key(bits=1024).public_key())}, f"ROUTER_API__JWT_PUBLIC_KEY {KIND_WANTED}"),
        ({"jwt_public_key": pem(ec.generate_private_key(ec.SECP384R1()).public_key())},
         f"ROUTER_API__JWT_PUBLIC_KEY {KIND_WANTED}"),
        ({"jwt_public_key": pem(ed25519.Ed25519PrivateKey.generate().public_key())},
         f"ROUTER_API__JWT_PUBLIC_KEY {KIND_WANTED}"),
        ({"jwks_url": "login.example.org/jwks"},
         "ROUTER_API__JWKS_URL must be an address such as https://login.example.org/.well-known/jwks.json"),
        ({"jwks_url": "file:///etc/passwd"},
         "ROUTER_API__JWKS_URL must be an address such as https://login.example.org/.well-known/jwks.json"),
        ({"jwks_url": "http://login.example.org/jwks"},
         "ROUTER_API__JWKS_URL must start with https://, or anybody on the way could put keys of their own in"),
        ({"jwks_url": f"https://me:{SECRET}@a.example/"}, "ROUTER_API__JWKS_URL must have no user and password in it"),
        ({"jwt_secret": SECRET, "api_keys": "0123456789abcdef,0123456789abcde"},
         "ROUTER_API__API_KEYS: key 2 must have at least 16 characters; make one: openssl rand -hex 24"),
        ({"jwt_secret": SECRET, "api_keys": "0123456789 abcdef"},
         "ROUTER_API__API_KEYS: key 1 has a space, a line break or another character that no token has; copy it again"),
        *(
            ({"jwt_secret": SECRET, "cors_origins": f"https://a.example,{origin}"},
             "ROUTER_API__CORS_ORIGINS: origin 2 must be such as https://app.example.org, in lower case and without a path")
            for origin in ("a.example", "https://a.example/", "https://A.example", "https://a.example/x", "https://u@a.example",
                           "https://a.example?x", "null")
        ),
    ],
    ids=lambda value: value[:90] if isinstance(value, str) else "",
)  # fmt: skip
def test_one_sentence_says_what_to_set(values: dict[str, str], says: str) -> None:
    assert missing(ApiSettings.model_validate(values)) == says
    assert SECRET[:31] not in says


def test_the_public_key_may_be_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    settings = ApiSettings(jwt_public_key_file=file)
    assert missing(settings) == (
        f"ROUTER_API__JWT_PUBLIC_KEY_FILE: the file {file} cannot be read: No such file or directory"
    )
    file.write_text(EC_PEM)
    assert missing(settings) is None
    file.write_bytes(b"\xff\xfe\x00")
    assert missing(settings) == f"the file of ROUTER_API__JWT_PUBLIC_KEY_FILE {PEM_WANTED}"
    assert missing(ApiSettings(jwt_public_key_file=tmp_path)) == (
        f"ROUTER_API__JWT_PUBLIC_KEY_FILE: the file {tmp_path} cannot be read: Is a directory"
    )
