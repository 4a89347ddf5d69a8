"""Matrix, as an ordinary user of a homeserver."""

from router.channels.matrix.kind import KIND

__all__ = ["KIND"]
