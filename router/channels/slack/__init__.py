"""Slack, by a bot token and by incoming webhooks."""

from router.channels.slack.channel import KIND

__all__ = ["KIND"]
