"""Deliveries and settings for the tests of the email channel."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import SecretStr

from router.channels.base import Outgoing
from router.channels.email import KIND
from router.demo.smtp import MailServer
from router.documents.json_types import JsonValue
from router.documents.message import Content
from router.rendering.rendered import MailBody, Rendered
from router.settings import EmailSettings

CREATED_AT = datetime(2026, 11, 21, 8, 27, 0, 123000, tzinfo=UTC)
SENDER = "router@sender.example"


class FixedMail(Rendered):
    """Content whose mail is whatever a test wants, also what the renderer would never make."""

    def __init__(self, subject: str, text: str, html: str) -> None:
        super().__init__(Content(to="#admins", body="-"))
        self.fixed = MailBody(subject, text, html)

    @property
    def mail(self) -> MailBody:
        return self.fixed


def settings(
    server: MailServer | None = None,
    *,
    port: int | None = None,
    security: Literal["tls", "starttls", "none"] = "none",
    ca_file: Path | None = None,
    login: tuple[str, str] | None = None,
    sender: str = SENDER,
    sender_name: str = "Notifications",
    list_id_domain: str | None = None,
    concurrency: int = 4,
    idle_seconds: float = 60,
    connect_timeout_seconds: float = 5,
    attempt_timeout_seconds: float = 10,
) -> EmailSettings:
    """Settings for `server`, with deadlines that a test can wait for."""
    return EmailSettings(
        host=server.host if server is not None else "127.0.0.1",
        port=server.port if server is not None else port,
        security=security,
        ca_file=ca_file,
        username=login[0] if login is not None else None,
        password=SecretStr(login[1]) if login is not None else None,
        sender=sender,
        sender_name=sender_name,
        list_id_domain=list_id_domain,
        concurrency=concurrency,
        idle_seconds=idle_seconds,
        connect_timeout_seconds=connect_timeout_seconds,
        attempt_timeout_seconds=attempt_timeout_seconds,
    )


def delivery_uuid(name: str) -> UUID:
    """A UUID as deliveries have it."""
    return uuid5(NAMESPACE_URL, name)


def outgoing(
    target: JsonValue = "will@example.org",
    *,
    name: str = "order-42",
    group: str = "#admins",
    subject: str = "Order 42 failed",
    text: str = "Card declined for order 42",
    html: str = "<!DOCTYPE html><html><body><b>Card declined</b> for order 42</body></html>",
) -> Outgoing:
    """One delivery of a message called `name`."""
    parsed = KIND.parse_target(target, EmailSettings())
    return Outgoing(
        delivery_id=f"delivery:{name}:email:0123456789abcdef",
        uuid=delivery_uuid(f"{name} {parsed.address}"),
        target=parsed,
        group=group,
        content=FixedMail(subject, text, html),
        created_at=CREATED_AT,
        message_id=name,
        routed_at=CREATED_AT,
    )
