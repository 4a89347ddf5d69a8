"""Settings: where they come from, and the one sentence for each kind of mistake, which never shows a secret."""

from pathlib import Path
from typing import Annotated

import pytest
from pydantic import Field, SecretStr, field_validator

from router.channels.base import Channel, ChannelKind, Target
from router.channels.registry import AnyKind, kinds
from router.documents.json_types import JsonValue
from router.settings import ChannelSettings, Seconds, Settings
from router.settings_loading import (
    BadSettings,
    channel_settings,
    load_settings,
    secrets_of,
    settings_model,
    variables,
)

SECRET = "s3cr3t-Of-The-Router"


@pytest.fixture(autouse=True)
def _folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(monkeypatch: pytest.MonkeyPatch, env: dict[str, str], dotenv: str | bytes | None = None) -> Settings:
    """The settings by these variables and this `.env` file."""
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    if dotenv is not None:
        Path(".env").write_bytes(dotenv if isinstance(dotenv, bytes) else dotenv.encode())
    return load_settings(kinds())


def problems(monkeypatch: pytest.MonkeyPatch, env: dict[str, str], dotenv: str | bytes | None = None) -> list[str]:
    with pytest.raises(BadSettings) as caught:
        load(monkeypatch, env, dotenv)
    # What is raised is all that a user sees: no chain of errors with values in them hangs on it.
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    assert str(caught.value) == "\n".join(caught.value.problems)
    return caught.value.problems


def test_without_any_variable_everything_has_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, {}) == Settings(_env_file=None)
    assert Settings(_env_file=None).couchdb.database == "notifications"


def test_variables_are_read_nested_and_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(
        monkeypatch,
        {
            "ROUTER_COUCHDB__URL": "http://couch:5984",
            "router_email__host": "mail.example.org",
            "ROUTER_EMAIL__RETRY__MAX_RETRIES": "3",
            "ROUTER_SLACK__WEBHOOK_HOSTS": "a.example, b.example:8443,",
            "ROUTER_SLACK__ALLOW_WEBHOOKS": "no",
            "ROUTER_API__CORS_ORIGINS": "https://a.example,, https://b.example ",
            "ROUTER_EMAIL__CA_FILE": "/etc/ca.pem",
            "ROUTER_GRACE_SECONDS": "2.5",
        },
    )
    assert settings.couchdb.url == "http://couch:5984"
    assert (settings.email.host, settings.email.retry.max_retries) == ("mail.example.org", 3)
    assert settings.email.retry.base_seconds == 2
    assert settings.matrix.retry.max_retries == 20
    assert settings.slack.webhook_hosts == ("a.example", "b.example:8443")
    assert not settings.slack.allow_webhooks
    assert settings.api.cors_origins == ("https://a.example", "https://b.example")
    assert settings.email.ca_file == Path("/etc/ca.pem")
    assert settings.grace_seconds == 2.5


def test_the_environment_goes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    dotenv = "# ours\nROUTER_EMAIL__HOST=file\nexport ROUTER_EMAIL__SENDER='a@b.example' # who\n"
    settings = load(monkeypatch, {"ROUTER_EMAIL__HOST": "environment"}, dotenv)
    assert (settings.email.host, settings.email.sender) == ("environment", "a@b.example")


def test_a_file_may_begin_with_a_byte_order_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, {}, "\ufeffROUTER_EMAIL__HOST=file\n").email.host == "file"


def test_a_file_may_be_shared_with_others(monkeypatch: pytest.MonkeyPatch) -> None:
    dotenv = "POSTGRES_PASSWORD=x\nEMAIL=y\nmatrix=5\nROUTER_TEST_COUCHDB_URL=z\nROUTER_EMAIL__HOST=file\n"
    assert load(monkeypatch, {"EMAIL": "y", "ROUTER_TEST_X": "1", "ROUTER_DEMO_Y": "2"}, dotenv).email.host == "file"


def test_lines_of_others_that_make_no_sense_are_passed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load(monkeypatch, {}, "'what is this?\nROUTER_EMAIL__HOST=file\n").email.host == "file"


def test_empty_values_are_as_good_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(monkeypatch, {"ROUTER_WINDOW": "", "ROUTER_EMAIL__PORT": ""}, "ROUTER_MATRIX__ACCESS_TOKEN=\n")
    assert (settings.window, settings.email.port, settings.matrix.access_token) == (1000, None, None)


MISTAKES = [
    ({"ROUTER_WINDOW": "many"}, "ROUTER_WINDOW must be a whole number, not 'many'"),
    ({"ROUTER_WINDOW": "1.5"}, "ROUTER_WINDOW must be a whole number, not '1.5'"),
    ({"ROUTER_WINDOW": "9" * 5000}, f"ROUTER_WINDOW must be a whole number, not '{'9' * 60}…'"),
    ({"ROUTER_WINDOW": "0"}, "ROUTER_WINDOW must be at least 1, not '0'"),
    ({"ROUTER_GRACE_SECONDS": "ten"}, "ROUTER_GRACE_SECONDS must be a number, not 'ten'"),
    ({"ROUTER_GRACE_SECONDS": "-1"}, "ROUTER_GRACE_SECONDS must be more than 0, not '-1'"),
    ({"ROUTER_GRACE_SECONDS": "1e12"}, "ROUTER_GRACE_SECONDS must be at most 3.1536e+08, not '1e12'"),
    ({"ROUTER_GRACE_SECONDS": "inf"}, "ROUTER_GRACE_SECONDS must be a finite number, not 'inf'"),
    ({"ROUTER_GRACE_SECONDS": "nan"}, "ROUTER_GRACE_SECONDS must be a finite number, not 'nan'"),
    ({"ROUTER_EMAIL__PORT": "smtp"}, "ROUTER_EMAIL__PORT must be a whole number, not 'smtp'"),
    ({"ROUTER_EMAIL__PORT": "99999"}, "ROUTER_EMAIL__PORT must be at most 65535, not '99999'"),
    ({"ROUTER_EMAIL__SECURITY": "ssl"}, "ROUTER_EMAIL__SECURITY must be 'tls', 'starttls' or 'none', not 'ssl'"),
    ({"ROUTER_SLACK__ALLOW_WEBHOOKS": "maybe"}, "ROUTER_SLACK__ALLOW_WEBHOOKS must be true or false, not 'maybe'"),
    ({"ROUTER_SPHINX__RETRY__MAX_RETRIES": "-3"}, "ROUTER_SPHINX__RETRY__MAX_RETRIES must be at least 0, not '-3'"),
    ({"ROUTER_SLACK__TARGET_RATE_PER_SECOND": "0"}, "ROUTER_SLACK__TARGET_RATE_PER_SECOND must be at least 0.0001, not '0'"),
    ({"ROUTER_EMAIL__HOTS": "x"}, "ROUTER_EMAIL__HOTS is no setting of the router; did you mean ROUTER_EMAIL__HOST?"),
    ({"ROUTER_EMIAL__HOST": "x"}, "ROUTER_EMIAL__HOST is no setting of the router; did you mean ROUTER_EMAIL__HOST?"),
    ({"ROUTER_EMAIL_HOST": "x"}, "ROUTER_EMAIL_HOST is no setting of the router; did you mean ROUTER_EMAIL__HOST?"),
    ({"ROUTER_WINDOW__X": "5"}, "ROUTER_WINDOW__X is no setting of the router; did you mean ROUTER_WINDOW?"),
    ({"ROUTER_EMIAL__HOST": ""}, "ROUTER_EMIAL__HOST is no setting of the router; did you mean ROUTER_EMAIL__HOST?"),
    ({"ROUTER_FAVOURITE_COLOUR": "blue"}, "ROUTER_FAVOURITE_COLOUR is no setting of the router; the README lists them all"),
    ({"ROUTER_EMAIL": "mail.example.org"}, "ROUTER_EMAIL is not set as a whole, but part by part: ROUTER_EMAIL__HOST=…"),
    ({"ROUTER_EMAIL": '{"host": "x"}'}, "ROUTER_EMAIL is not set as a whole, but part by part: ROUTER_EMAIL__HOST=…"),
    ({"ROUTER_EMAIL__RETRY": "5"},
     "ROUTER_EMAIL__RETRY is not set as a whole, but part by part: ROUTER_EMAIL__RETRY__BASE_SECONDS=…"),
]  # fmt: skip


@pytest.mark.parametrize("place", ["environment", "file"])
@pytest.mark.parametrize(("env", "sentence"), MISTAKES, ids=[sentence[:70] for _, sentence in MISTAKES])
def test_a_mistake_is_told_in_one_sentence_that_names_the_variable(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], sentence: str, place: str
) -> None:
    if place == "environment":
        assert problems(monkeypatch, env) == [sentence]
        return
    lines = "".join(f"{name}='{value}'\n" for name, value in env.items())
    assert problems(monkeypatch, {}, lines) == [sentence]


def test_all_mistakes_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    env = {"ROUTER_EMIAL__HOST": "x", "ROUTER_WINDOW": "x", "ROUTER_EMAIL__PORT": "0"}
    told = problems(monkeypatch, env, "ROUTER_LOG__LEVEL=loud\nROUTER_LOGLEVEL=info\n")
    assert [sentence.split()[0] for sentence in told] == [
        "ROUTER_EMIAL__HOST",
        "ROUTER_LOGLEVEL",
        "ROUTER_EMAIL__PORT",
        "ROUTER_LOG__LEVEL",
        "ROUTER_WINDOW",
    ]


@pytest.mark.parametrize(
    ("dotenv", "sentence"),
    [
        (b"ROUTER_EMAIL__HOST=\xff\xfe\n", "the file .env cannot be read: it is not UTF-8"),
        (b"A=1\nROUTER_EMAIL__HOST='open\n", "line 2 of the file .env cannot be read; write NAME=value"),
        (b"ROUTER_EMAIL__HOST=a\nwhat = ROUTER_WINDOW = is this?\n'ROUTER_WINDOW 5\n",
         "line 3 of the file .env cannot be read; write NAME=value"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch, dotenv: bytes, sentence: str) -> None:
    assert problems(monkeypatch, {}, dotenv) == [sentence]


def test_a_file_that_may_not_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    assert problems(monkeypatch, {}, "A=1\n") == ["the file .env cannot be read: Permission denied"]


@pytest.mark.parametrize(
    "env",
    [
        {"ROUTER_MATRIX__ACCESS_TOKN": SECRET},
        {"ROUTER_MATRIX__ACCESS_TOKEN__X": SECRET},
        {"ROUTER_MATRIX": f'{{"access_token": "{SECRET}"}}'},
        {"ROUTER_MATRIX": f'{{"access_token": ["{SECRET}"]}}'},
        {"ROUTER_MATRIX": f"{{broken {SECRET}"},
        {"ROUTER_MATRIX__ACCESS_TOKEN": SECRET, "ROUTER_WINDOW": "x"},
    ],
    ids=str,
)
def test_no_sentence_shows_a_secret(monkeypatch: pytest.MonkeyPatch, env: dict[str, str]) -> None:
    assert SECRET not in "\n".join(problems(monkeypatch, env))


def test_settings_do_not_show_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = ["MATRIX__ACCESS_TOKEN", "MATRIX__PASSWORD", "EMAIL__PASSWORD", "SLACK__BOT_TOKEN", "SPHINX__ADMIN_TOKEN"]
    env = {f"ROUTER_{name}": f"{SECRET}-{number}" for number, name in enumerate(tokens)}
    env |= {"ROUTER_COUCHDB__PASSWORD": f"{SECRET}-c", "ROUTER_COUCHDB__URL": f"http://me:{SECRET}%40@couch:5984"}
    env |= {"ROUTER_API__JWT_SECRET": f"{SECRET}-j", "ROUTER_API__API_KEYS": f"{SECRET}-k1, {SECRET}-k2,"}
    env |= {
        "ROUTER_API__JWT_PUBLIC_KEY": f"{SECRET}-private",
        "ROUTER_API__JWKS_URL": f"https://a.example/?key={SECRET}",
    }
    settings = load(monkeypatch, env)
    for text in (repr(settings), str(settings), repr(settings.couchdb)):
        assert SECRET not in text
    assert set(secrets_of(settings)) == {
        f"{SECRET}%40",
        f"{SECRET}@",
        f"{SECRET}-c",
        *(f"{SECRET}-{name}" for name in ("j", "k1", "k2")),
        *(f"{SECRET}-{number}" for number in range(len(tokens))),
    }


def test_every_secret_of_ours_is_kept_as_one() -> None:
    named = [name for name, _ in variables(Settings) if name.endswith(("TOKEN", "PASSWORD", "SECRET", "API_KEYS"))]
    kept = [name for name, field in variables(Settings) if "SecretStr" in str(field.annotation)]
    assert named == kept


def test_every_setting_says_what_it_is() -> None:
    for name, field in variables(Settings):
        assert field.description, name
        assert field.description.endswith("."), name


def test_every_setting_can_be_set_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = ["7", "true", "false", "warning", "json", "m.notice", "hold", "tls", "2048"]
    untouched = load_settings(kinds())
    for name, _ in variables(Settings):
        assert any(_changed_by(monkeypatch, name, sample, untouched) for sample in samples), f"{name} changes nothing"


def _changed_by(monkeypatch: pytest.MonkeyPatch, name: str, value: str, untouched: Settings) -> bool:
    with monkeypatch.context() as patch:
        patch.setenv(name, value)
        try:
            return load_settings(kinds()) != untouched
        except BadSettings:
            return False


class PigeonSettings(ChannelSettings):
    """Settings of a channel that another package brings."""

    coop: str | None = None
    whistle: Annotated[SecretStr, Field(min_length=8)] | None = None
    call: SecretStr | None = None
    grain: str = "corn"
    flight_seconds: Seconds = 60

    @field_validator("call", "grain", mode="before")
    @classmethod
    def _is_liked(cls, value: object) -> object:
        raise ValueError(f"no pigeon eats {value!r}")


def pigeon() -> ChannelKind[PigeonSettings]:
    def parse(value: JsonValue, settings: PigeonSettings) -> Target:
        raise NotImplementedError

    def missing(settings: PigeonSettings) -> str | None:
        return None

    def open_it(settings: PigeonSettings) -> Channel:
        raise NotImplementedError

    return ChannelKind("pigeon", PigeonSettings, parse, missing, open_it)


def test_a_third_partys_channel_has_a_section_like_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_PIGEON__COOP", "loft")
    monkeypatch.setenv("ROUTER_PIGEON__WHISTLE", SECRET)
    monkeypatch.setenv("ROUTER_PIGEON__RETRY__MAX_RETRIES", "2")
    all_kinds: dict[str, AnyKind] = {**kinds(), "pigeon": pigeon()}
    settings = load_settings(all_kinds)
    section = channel_settings(settings, "pigeon")
    assert isinstance(section, PigeonSettings)
    assert (section.coop, section.retry.max_retries, section.flight_seconds) == ("loft", 2, 60)
    assert list(secrets_of(settings)) == [SECRET]
    assert SECRET not in repr(settings)
    assert isinstance(settings, Settings)
    assert "ROUTER_PIGEON__COOP" in dict(variables(settings_model(all_kinds)))


def test_a_third_partys_variables_are_checked_like_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROUTER_PIGEON__COOOP", "loft")
    monkeypatch.setenv("ROUTER_PIGEON__FLIGHT_SECONDS", "0")
    monkeypatch.setenv("ROUTER_PIGEON__WHISTLE", "psst")
    monkeypatch.setenv("ROUTER_PIGEON__CALL", SECRET)
    monkeypatch.setenv("ROUTER_PIGEON__GRAIN", "bread")
    with pytest.raises(BadSettings) as caught:
        load_settings({**kinds(), "pigeon": pigeon()})
    assert caught.value.problems == [
        "ROUTER_PIGEON__COOOP is no setting of the router; did you mean ROUTER_PIGEON__COOP?",
        "ROUTER_PIGEON__WHISTLE must have at least 8 characters",
        "ROUTER_PIGEON__CALL is not accepted",
        "ROUTER_PIGEON__GRAIN is not accepted: no pigeon eats 'bread'",
        "ROUTER_PIGEON__FLIGHT_SECONDS must be more than 0, not '0'",
    ]


def test_only_a_channel_has_a_channels_section() -> None:
    settings = Settings(_env_file=None)
    assert channel_settings(settings, "matrix") is settings.matrix
    with pytest.raises(TypeError, match="'couchdb' is no channel's section"):
        channel_settings(settings, "couchdb")
