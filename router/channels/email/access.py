"""The settings made ready to use: where the server is and how to talk to it, and on whose behalf."""

import socket
import ssl
from dataclasses import dataclass, replace

from router.channels.email.compose import Sender
from router.channels.email.mailbox import read_address, read_domain, read_host, read_name
from router.channels.email.unsubscribe import unsubscribe_links
from router.settings import EmailSettings

_DEFAULT_PORTS = {"tls": 465, "starttls": 587, "none": 25}


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the server, ready to use."""

    host: str
    port: int
    security: str
    """`tls`, `starttls` or `none`."""
    tls: ssl.SSLContext | None
    """None with security `none`."""
    username: str | None
    password: str
    greeting_name: str
    """What we call ourselves in EHLO."""


def missing(settings: EmailSettings) -> str | None:
    """None when a channel can be opened with `settings`, else one sentence that names what to set or mend."""
    unset = [
        f"ROUTER_EMAIL__{name.upper()}" for name in ("host", "sender") if not (getattr(settings, name) or "").strip()
    ]
    if unset:
        return f"set {' and '.join(unset)} to send email"
    try:
        host_of(settings)
        sender_of(settings)
    except ValueError as error:
        return str(error)
    if settings.username is not None and settings.password is None:
        return "set ROUTER_EMAIL__PASSWORD beside ROUTER_EMAIL__USERNAME"
    if settings.password is not None and settings.username is None:
        return "set ROUTER_EMAIL__USERNAME beside ROUTER_EMAIL__PASSWORD"
    return None


def host_of(settings: EmailSettings) -> str:
    """The server, in ASCII. Raises ValueError with a sentence that names the variable to mend."""
    try:
        return read_host((settings.host or "").strip())
    except ValueError as error:
        raise ValueError(f"ROUTER_EMAIL__HOST {error}") from None


def port_of(settings: EmailSettings) -> int:
    """The port that is set, or the usual one for the kind of security."""
    return settings.port if settings.port is not None else _DEFAULT_PORTS[settings.security]


def sender_of(settings: EmailSettings) -> Sender:
    """On whose behalf mails leave. Raises ValueError with a sentence that names the variable to mend."""
    try:
        mailbox = read_address((settings.sender or "").strip())
    except ValueError as error:
        raise ValueError(f"ROUTER_EMAIL__SENDER {error}") from None
    try:
        mailbox = replace(mailbox, name=read_name(settings.sender_name) or None)
    except ValueError as error:
        raise ValueError(f"ROUTER_EMAIL__SENDER_NAME {error}") from None
    links = unsubscribe_links(settings.unsubscribe_url, settings.unsubscribe_secret)
    if settings.list_id_domain is None:
        return Sender(mailbox, mailbox.domain, links)
    try:
        return Sender(mailbox, read_domain(settings.list_id_domain.strip()), links)
    except ValueError:
        raise ValueError("ROUTER_EMAIL__LIST_ID_DOMAIN must be a domain such as example.org") from None


def prepare(settings: EmailSettings) -> Access:
    """Gather what a connection needs. Reads the authorities' certificates, which takes some milliseconds.

    Raises ValueError with a sentence that names the variable to mend when they cannot be read.
    """
    try:
        tls = None if settings.security == "none" else ssl.create_default_context(cafile=settings.ca_file)
    except OSError:
        raise ValueError(f"ROUTER_EMAIL__CA_FILE must be a PEM file of certificates, not {settings.ca_file}") from None
    return Access(
        host=host_of(settings),
        port=port_of(settings),
        security=settings.security,
        tls=tls,
        username=settings.username,
        password=settings.password.get_secret_value() if settings.password is not None else "",
        greeting_name=greeting_name(sender_of(settings).mailbox.domain),
    )


def greeting_name(sender_domain: str) -> str:
    """What we call ourselves in EHLO: this machine's full name if it has one, else the sender's domain.

    Not `socket.getfqdn`, aiosmtplib's way, which asks the name service and may hang.
    """
    name = socket.gethostname()
    try:
        return read_domain(name) if "." in name else sender_domain
    except ValueError:
        return sender_domain
