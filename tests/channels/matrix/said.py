"""What the Matrix tests share: a message to send, settings for a user, and a look at a refusal."""

import uuid
from datetime import UTC, datetime

from router.channels.base import Outcome, Outgoing, Rejected, Scope
from router.channels.matrix.targets import parse_target
from router.demo.matrix_user import MatrixUser
from router.documents.message import Content
from router.rendering.rendered import MatrixBody, Rendered
from router.settings import MatrixSettings


class Said(Rendered):
    """A content whose Matrix form is given, so that a test knows to the byte what is sent."""

    def __init__(self, body: str, formatted_body: str | None) -> None:
        super().__init__(Content(to="#test", body=body or "-"))
        self._said = MatrixBody(body, formatted_body)

    def matrix(self, max_bytes: int) -> MatrixBody:  # noqa: ARG002 - what a test gives is sent as it is
        return self._said


def outgoing(
    address: str,
    body: str = "hello",
    *,
    formatted: str | None = None,
    key: uuid.UUID | None = None,
    content: Rendered | None = None,
) -> Outgoing:
    """A delivery to `address`; with the same `key` it is the same delivery."""
    key = key or uuid.uuid4()
    return Outgoing(
        delivery_id=f"delivery:test:matrix:{key.hex[:16]}",
        uuid=key,
        target=parse_target(address, MatrixSettings()),
        group="#test",
        content=content or Said(body, formatted),
        created_at=datetime(2026, 11, 21, 8, 27, tzinfo=UTC),
        message_id="test",
        routed_at=datetime(2026, 11, 21, 8, 27, tzinfo=UTC),
    )


def token_settings(user: MatrixUser, **more: object) -> MatrixSettings:
    """Settings to send as `user` by access token."""
    return MatrixSettings.model_validate(
        {"homeserver": user.homeserver, "user_id": user.user_id, "access_token": user.access_token, **more}
    )


def password_settings(user: MatrixUser, **more: object) -> MatrixSettings:
    """Settings to send as `user` by password."""
    return MatrixSettings.model_validate(
        {"homeserver": user.homeserver, "user_id": user.user_id, "password": user.password, **more}
    )


def rejected(outcome: Outcome, scope: Scope) -> str:
    """The reason of a rejection, which must be about `scope`."""
    assert isinstance(outcome, Rejected)
    assert outcome.scope is scope
    return outcome.reason
