"""Says what is wrong with a base address or a token in the settings, before anything is sent with it."""

from ipaddress import ip_address
from typing import Literal
from urllib.parse import SplitResult, urlsplit


def is_loopback(host: str) -> bool:
    """Whether `host` (a name, or an IP address without brackets) is this machine itself."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def split_address(text: str) -> SplitResult | None:
    """`text` taken apart, if it is an http or https address with a host that can exist; else None."""
    if not text.isprintable() or any(c.isspace() for c in text) or "\\" in text:
        return None
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
        if parts.scheme not in ("http", "https") or not host:
            return None
        host.encode("idna")
    except ValueError:  # also UnicodeError: a label of more than 63 characters
        return None
    return parts


def base_url_problem(url: str, variable: str, *, plain_http: Literal["anywhere", "loopback"]) -> str | None:
    """None when `url` can be the base address of a server; else one sentence that names `variable`.

    `plain_http` says where an address may do without TLS.
    """
    parts = split_address(url)
    if parts is None:
        return f"{variable} must be an address such as https://example.org, with no path beyond the server's base"
    if parts.username is not None or parts.password is not None:
        return f"{variable} must have no user and password in it"
    if parts.query or parts.fragment:
        return f"{variable} must be a base address, without ? and #"
    if parts.scheme == "http" and plain_http == "loopback" and not is_loopback(parts.hostname or ""):
        return f"{variable} must start with https://, or the token would travel for all to read"
    return None


def token_problem(token: str, variable: str) -> str | None:
    """None when `token` can stand in an HTTP header; else one sentence that names `variable` (and never shows the token)."""
    if not token:
        return f"{variable} is empty"
    if not token.isascii() or not token.isprintable() or " " in token:
        return f"{variable} has a space, a line break or another character that no token has; copy it again"
    return None
