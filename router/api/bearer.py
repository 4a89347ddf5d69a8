"""Takes the token out of an `Authorization` header."""


def bearer_in(authorization: str | None) -> str | None:
    """What follows `Bearer` (RFC 6750 section 2.1; the word in any case, RFC 9110 section 11.1); None without that."""
    scheme, _, token = (authorization or "").strip().partition(" ")
    return token.strip() or None if scheme.lower() == "bearer" else None
