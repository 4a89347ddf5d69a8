"""How the log looks: readable on a terminal, JSON when piped, and never a secret in it."""

import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from types import NoneType
from typing import TextIO
from urllib.parse import quote

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from router.settings import LogSettings

HIDDEN = "[hidden]"
SHORTEST_SECRET_CHARS = 4
"""A shorter secret would be found in half of all words, and protects nothing."""

_PLAIN = (str, int, float, NoneType)


class HideSecrets:
    """A last safety net: takes every known secret out of whatever is about to be logged."""

    def __init__(self, secrets: Iterable[str]) -> None:
        # As it is, as Python shows it in a traceback, and as it stands in an address.
        spellings = {
            spelling
            for secret in secrets
            if len(secret) >= SHORTEST_SECRET_CHARS
            for spelling in (secret, repr(secret)[1:-1], quote(secret, safe=""))
        }
        self._secrets = sorted(spellings, key=len, reverse=True)

    def __call__(self, _logger: WrappedLogger, _method: str, event: EventDict) -> Mapping[str, object]:
        """Structlog's processor."""
        if all(isinstance(value, _PLAIN) for value in event.values()):
            # Nearly every line: one look says that there is nothing to hide.
            texts = "\n".join([*event, *(value for value in event.values() if isinstance(value, str))])
            if not any(secret in texts for secret in self._secrets):
                return event
        return {key: self.hide(value) for key, value in event.items()}

    def hide_text(self, text: str) -> str:
        """`text` without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return text

    def hide(self, value: object) -> object:
        """`value` without secrets, through lists and objects. What is no JSON and holds one becomes a text."""
        if isinstance(value, str):
            return self.hide_text(value)
        if isinstance(value, Mapping):
            return {self.hide(key): self.hide(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.hide(item) for item in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        shown = repr(value)
        safe = self.hide(shown)
        return value if safe == shown else safe


class _Lines(structlog.WriteLogger):
    """Writes finished lines."""

    def __init__(self, name: str, stream: TextIO) -> None:
        super().__init__(stream)
        self.name = name


def _json(event: EventDict, default: Callable[[object], object]) -> str:
    try:
        return orjson.dumps(
            event, default=default, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATETIME
        ).decode()
    except orjson.JSONEncodeError:
        # Half of a surrogate pair, or a number of more than 64 bits.
        return json.dumps(event, default=default)


def configure_logs(settings: LogSettings, secrets: Iterable[str] = ()) -> None:
    """Set up structlog, and the standard library's logging that other packages use, to write to standard error."""
    as_json = settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty())
    hide = HideSecrets(secrets)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[Processor]
    if as_json:
        last = [structlog.processors.format_exc_info, hide, structlog.processors.JSONRenderer(_json)]
    else:
        # Tracebacks are texts before the secrets are taken out: a prettier one would be made after that.
        console = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        last = [structlog.processors.format_exc_info, hide, console]
    stream = sys.stderr
    # Our own lines go straight there: the way through the standard library's records takes twice as long.
    structlog.configure(
        processors=[*shared, *last],
        logger_factory=lambda name="router": _Lines(name, stream),
        wrapper_class=structlog.make_filtering_bound_logger(settings.level),
        cache_logger_on_first_use=True,
    )
    drop_meta: Processor = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    formatter = structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[drop_meta, *last])
    handler = logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    # Other packages speak only when something is wrong; their debug lines hold whole requests, credentials and all.
    root.setLevel(logging.WARNING)
