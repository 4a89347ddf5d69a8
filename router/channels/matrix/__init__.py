"""Matrix, as an ordinary user of a homeserver."""

from router.channels.matrix.channel import KIND

__all__ = ["KIND"]
