"""The in-app inbox: a notification document for each user who is told."""

from router.channels.inapp.channel import KIND

__all__ = ["KIND"]
