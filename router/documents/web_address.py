"""Addresses that a reader may be sent to."""

from urllib.parse import urlsplit


def check_web_address(url: str) -> str:
    """Give `url` back if it is an absolute http or https address. Raises ValueError with what is wrong."""
    if " " in url or not url.isprintable():
        raise ValueError("must be an address without spaces")
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError("must be an address such as https://example.org/orders/42") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an absolute http or https address")
    return url
