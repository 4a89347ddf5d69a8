"""One message's content in every form a channel may want, each made at most once."""

from functools import cached_property

from router.documents.message import Content
from router.rendering.body import Body, PlainBody, read_body
from router.rendering.characters import one_line
from router.rendering.compose import compose_within
from router.rendering.forms import InboxBody, MailBody, MatrixBody, SlackBody
from router.rendering.inbox import to_inbox
from router.rendering.mail import to_mail
from router.rendering.matrix import to_matrix
from router.rendering.shorten import shorten, utf8_bytes
from router.rendering.slack import to_slack

__all__ = ["InboxBody", "MailBody", "MatrixBody", "Rendered", "SlackBody"]

MAX_SUBJECT_CHARS = 1000
"""A longer subject is shortened everywhere; channels that can take less shorten it further."""

NOTHING_TO_SHOW = "(This message has nothing to show.)"
"""Stands in for a body of which nothing is left, such as one that is only a script. Slack refuses an empty message."""


class Rendered:
    """A message's content, rendered on demand and at most once per form, however many targets share it.

    Whatever the content holds, nothing here raises, and the time it takes is bounded (`normalise.MAX_RAW_CHARS`).
    """

    def __init__(self, content: Content) -> None:
        self.content = content
        self._matrix: dict[int, MatrixBody] = {}
        self._slack: dict[int, SlackBody] = {}
        self._short: dict[int, str] = {}
        self._inbox: dict[int, InboxBody] = {}

    def matrix(self, max_bytes: int) -> MatrixBody:
        """`body` and `formatted_body`, at most `max_bytes` of Canonical JSON together."""
        if max_bytes not in self._matrix:
            self._matrix[max_bytes] = to_matrix(self._subject, self._body, self.content.link, max_bytes)
        return self._matrix[max_bytes]

    def slack(self, max_text_chars: int) -> SlackBody:
        """Blocks, and a fallback text of at most `max_text_chars`. Shared by all who ask: not to be changed."""
        if max_text_chars not in self._slack:
            self._slack[max_text_chars] = to_slack(self._subject, self._body, self.content.link, max_text_chars)
        return self._slack[max_text_chars]

    @cached_property
    def mail(self) -> MailBody:
        """A one-line subject, a text part and an HTML part."""
        return to_mail(self._subject, self._body, self.content.link, self.content.priority)

    def inbox(self, max_bytes: int) -> InboxBody:
        """Title, and sanitised HTML of at most `max_bytes`."""
        if max_bytes not in self._inbox:
            self._inbox[max_bytes] = to_inbox(self._subject, self._body, max_bytes)
        return self._inbox[max_bytes]

    def short_text(self, max_bytes: int) -> str:
        """Subject, body and link as compact text of at most `max_bytes` of UTF-8. The link's address is the last to give way."""
        if max_bytes not in self._short:
            self._short[max_bytes] = compose_within(
                self._subject, self._body.text, self.content.link, max_bytes, utf8_bytes
            )
        return self._short[max_bytes]

    @cached_property
    def _subject(self) -> str:
        return shorten(one_line(self.content.subject), MAX_SUBJECT_CHARS)

    @cached_property
    def _body(self) -> Body:
        body = read_body(self.content.body, self.content.format)
        if body.text.strip():
            return body
        return PlainBody("" if self._subject else NOTHING_TO_SHOW)
