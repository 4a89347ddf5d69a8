"""Says what the HTTP API still needs in the settings before it can be served, and what of them cannot be used."""

from pydantic import SecretStr

from router.api.keys import SHORTEST_KEY_CHARS
from router.api.token_keys import TokenKey, public_key, public_key_in_file, secret_key
from router.channels.credentials import is_loopback, split_address, token_problem
from router.settings import ApiSettings

SECRET = "ROUTER_API__JWT_SECRET"  # noqa: S105 - the name of a variable
PUBLIC_KEY = "ROUTER_API__JWT_PUBLIC_KEY"
PUBLIC_KEY_FILE = "ROUTER_API__JWT_PUBLIC_KEY_FILE"
JWKS_URL = "ROUTER_API__JWKS_URL"
API_KEYS = "ROUTER_API__API_KEYS"
CORS_ORIGINS = "ROUTER_API__CORS_ORIGINS"


def missing(settings: ApiSettings) -> str | None:
    """None when the settings suffice to serve the API; else one sentence that names the variables to set. Reads the file of the
    public key."""
    given = {
        SECRET: settings.jwt_secret,
        PUBLIC_KEY: settings.jwt_public_key,
        PUBLIC_KEY_FILE: settings.jwt_public_key_file,
        JWKS_URL: settings.jwks_url,
    }
    names = [name for name, value in given.items() if value is not None]
    if not names:
        return f"the API needs one of {SECRET}, {PUBLIC_KEY}, {PUBLIC_KEY_FILE} and {JWKS_URL} to verify tokens by"
    if len(names) > 1:
        return f"set only one of {' and '.join(names)}: which of them tokens are verified by would be anybody's guess"
    if settings.jwks_url is not None:
        problem = _jwks_url_problem(settings.jwks_url)
    else:
        try:
            fixed_key(settings)
            problem = None
        except ValueError as error:
            problem = str(error)
    return problem or _api_keys_problem(settings.api_keys) or _cors_origins_problem(settings.cors_origins)


def fixed_key(settings: ApiSettings) -> TokenKey | None:
    """The key that stands in the settings; None where tokens are verified by a JWKS. Raises ValueError with a sentence."""
    if settings.jwt_secret is not None:
        return secret_key(settings.jwt_secret.get_secret_value(), SECRET)
    if settings.jwt_public_key is not None:
        return public_key(settings.jwt_public_key, PUBLIC_KEY)
    if settings.jwt_public_key_file is not None:
        return public_key_in_file(settings.jwt_public_key_file, PUBLIC_KEY_FILE)
    return None


def _jwks_url_problem(url: str) -> str | None:
    parts = split_address(url)
    if parts is None:
        return f"{JWKS_URL} must be an address such as https://login.example.org/.well-known/jwks.json"
    if parts.username is not None or parts.password is not None:
        return f"{JWKS_URL} must have no user and password in it"
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return f"{JWKS_URL} must start with https://, or anybody on the way could put keys of their own in"
    return None


def _api_keys_problem(keys: tuple[SecretStr, ...]) -> str | None:
    for number, key in enumerate(keys, 1):
        value = key.get_secret_value()
        if len(value) < SHORTEST_KEY_CHARS:
            return f"{API_KEYS}: key {number} must have at least {SHORTEST_KEY_CHARS} characters; make one: openssl rand -hex 24"
        problem = token_problem(value, f"{API_KEYS}: key {number}")
        if problem is not None:
            return problem
    return None


def _cors_origins_problem(origins: tuple[str, ...]) -> str | None:
    for number, origin in enumerate(origins, 1):
        parts = split_address(origin)
        # As a browser sends it: in lower case, with nothing behind the host and port (RFC 6454 section 6.2).
        if origin != "*" and (
            parts is None or "@" in parts.netloc or origin != f"{parts.scheme}://{parts.netloc}".lower()
        ):
            return f"{CORS_ORIGINS}: origin {number} must be such as https://app.example.org, in lower case and without a path"
    return None
