"""Sphinx, through a Sphinx v2 bot."""

from router.channels.sphinx.channel import KIND

__all__ = ["KIND"]
