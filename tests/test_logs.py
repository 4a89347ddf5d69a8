"""The log: JSON or text, lines of other packages too, and no secret in any of it."""

import io
import json
import logging
from collections.abc import Iterator
from contextlib import redirect_stderr

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from router.documents.json_types import JsonObject
from router.logs import HIDDEN, HideSecrets, configure_logs
from router.settings import LogSettings

SECRET = "s3cr3t-token"
ODD_SECRET = "pass'wo\"rd\\with /odd&characters"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("router")
    handlers, level, our_level = root.handlers[:], root.level, ours.level
    configured = structlog.get_config()
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    ours.setLevel(our_level)
    structlog.configure(**configured)
    structlog.contextvars.clear_contextvars()


class Terminal(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def stderr() -> io.StringIO:
    return io.StringIO()


def configure(stderr: io.StringIO, form: str = "json", *secrets: str, level: str = "info") -> None:
    with redirect_stderr(stderr):
        configure_logs(LogSettings.model_validate({"format": form, "level": level}), secrets)


def ours() -> structlog.stdlib.BoundLogger:
    return structlog.stdlib.get_logger("router.test").bind()


def lines(stream: io.StringIO) -> list[JsonObject]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_json_line_has_event_level_logger_time_and_values(stderr: io.StringIO) -> None:
    configure(stderr)
    structlog.contextvars.bind_contextvars(message_id="m1")
    ours().info("sent", delivery_id="delivery:m1:x", ms=34, code=None, ok=True, groups=["#a", {"b": 1.5}])
    [line] = lines(stderr)
    assert line.pop("timestamp")
    assert line == {
        "event": "sent",
        "level": "info",
        "logger": "router.test",
        "message_id": "m1",
        "delivery_id": "delivery:m1:x",
        "ms": 34,
        "code": None,
        "ok": True,
        "groups": ["#a", {"b": 1.5}],
    }


def test_text_is_readable_and_has_no_colours_where_nobody_sees_them(stderr: io.StringIO) -> None:
    configure(stderr, "text")
    ours().warning("not sent", reason="no such room", ms=34)
    text = stderr.getvalue()
    assert "[warning" in text
    assert "not sent" in text
    assert "reason='no such room'" in text
    assert "ms=34" in text
    assert "\x1b" not in text


def test_auto_is_text_on_a_terminal_and_json_elsewhere(stderr: io.StringIO) -> None:
    configure(stderr, "auto")
    ours().info("piped")
    assert lines(stderr)[0]["event"] == "piped"
    terminal = Terminal()
    configure(terminal, "auto")
    ours().info("shown", n=1)
    assert "\x1b[" in terminal.getvalue()
    assert "shown" in terminal.getvalue()
    assert not terminal.getvalue().startswith("{")


def test_the_level_is_that_of_the_router_and_others_speak_only_up_from_warning(stderr: io.StringIO) -> None:
    configure(stderr, level="debug")
    ours().debug("ours")
    logging.getLogger("httpx").info("theirs, quiet")
    logging.getLogger("httpx").warning("theirs, %s", "loud")
    assert [(line["event"], line["level"], line["logger"]) for line in lines(stderr)] == [
        ("ours", "debug", "router.test"),
        ("theirs, loud", "warning", "httpx"),
    ]
    configure(stderr, level="error")
    ours().warning("not now")
    ours().error("now")
    assert [line["event"] for line in lines(stderr)][2:] == ["now"]


def test_configuring_twice_writes_once(stderr: io.StringIO) -> None:
    configure(stderr)
    configure(stderr)
    ours().info("once")
    assert len(lines(stderr)) == 1


class Holder:
    """Something that shows a secret when it is shown."""

    def __repr__(self) -> str:
        return f"Holder({SECRET!r})"


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize(
    "value",
    [
        SECRET,
        f"https://example.org/?token={SECRET}&x",
        ["x", {"y": ("z", SECRET)}],
        {SECRET: 1},
        {SECRET},
        SECRET.encode(),
        ValueError(SECRET),
        Holder(),
        [Holder()],
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_secret_is_hidden_wherever_it_stands(stderr: io.StringIO, form: str, value: object) -> None:
    configure(stderr, form, SECRET)
    ours().info("look", value=value)
    assert SECRET not in stderr.getvalue()
    assert HIDDEN in stderr.getvalue()


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.parametrize("secret", [SECRET, ODD_SECRET])
def test_a_secret_is_hidden_in_tracebacks_too(stderr: io.StringIO, form: str, secret: str) -> None:
    configure(stderr, form, secret)
    try:
        try:
            raise KeyError(secret)
        except KeyError as error:
            raise ValueError(f"bad {secret}") from error
    except ValueError:
        ours().exception("a fault")
        logging.getLogger("theirs").exception("theirs %s", secret)
    text = stderr.getvalue()
    assert text.count("ValueError: bad [hidden]") == 2
    assert text.count("KeyError: '[hidden]'") == 2
    assert text.count("Traceback (most recent call last)") == 4
    for spelling in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1]):
        assert spelling not in text


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_secret_is_hidden_in_the_lines_of_others(stderr: io.StringIO, form: str) -> None:
    configure(stderr, form, SECRET)
    logging.getLogger("theirs").warning("GET /?token=%s", SECRET)
    logging.getLogger("theirs").error({"headers": {"authorization": f"Bearer {SECRET}"}})
    assert SECRET not in stderr.getvalue()
    assert stderr.getvalue().count(HIDDEN) == 2


def test_a_secret_is_hidden_as_it_stands_in_an_address() -> None:
    hide = HideSecrets([ODD_SECRET])
    assert hide.hide("https://u:pass%27wo%22rd%5Cwith%20%2Fodd%26characters@h/") == f"https://u:{HIDDEN}@h/"


def test_of_two_secrets_the_longer_one_goes_first() -> None:
    assert HideSecrets(["abcd", "abcd-efgh"]).hide("x abcd-efgh y") == f"x {HIDDEN} y"


def test_what_is_too_short_to_be_a_secret_hides_nothing() -> None:
    assert HideSecrets(["abc", ""]).hide("abc of it") == "abc of it"


def test_values_without_a_secret_stay_as_they_are() -> None:
    hide = HideSecrets([SECRET])
    holder = object()
    assert hide.hide(holder) is holder
    assert hide.hide([1, 2.5, None, True, "x", {"y": "z"}]) == [1, 2.5, None, True, "x", {"y": "z"}]


NESTED = st.recursive(
    st.one_of(st.none(), st.integers(), st.text(max_size=5), st.text(max_size=3).map(lambda t: f"{t}{SECRET}{t}")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.just(SECRET), inner, max_size=3)
    ),
)


@given(value=NESTED)
def test_nothing_nested_holds_a_secret_afterwards(value: object) -> None:
    hidden = HideSecrets([SECRET]).hide(value)
    assert SECRET not in repr(hidden)
    assert repr(hidden).count(HIDDEN) <= repr(value).count(SECRET)
