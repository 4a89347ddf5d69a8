"""The email channel: mail through an SMTP server."""

from router.channels.base import ChannelKind
from router.channels.email.access import missing
from router.channels.email.channel import EmailChannel
from router.channels.email.target import CHANNEL, parse_target
from router.settings import EmailSettings

KIND: ChannelKind[EmailSettings] = ChannelKind(
    name=CHANNEL,
    settings_type=EmailSettings,
    parse_target=parse_target,
    missing=missing,
    open=EmailChannel,
    tells_repeats=True,  # by the Message-ID
)

__all__ = ["KIND"]
