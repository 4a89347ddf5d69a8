"""Every setting of the router, read from `ROUTER_…` variables (nested with `__`) and a `.env` file."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

PREFIX = "ROUTER_"
"""What the name of every setting's variable starts with."""

FOREIGN = ("ROUTER_TEST_", "ROUTER_DEMO_", "ROUTER_BENCH_")
"""Variables with our prefix that are no settings of the router: the test suite's, the demo's and the benchmarks'."""

Seconds = Annotated[float, Field(gt=0, le=315_360_000, allow_inf_nan=False)]
"""A time span of at most ten years: what is added to a date must give a date."""
PerSecond = Annotated[float, Field(ge=0.0001, le=1_000_000, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]
Days = Annotated[int, Field(ge=1, le=3650)]
"""At most ten years."""


def _split(value: object) -> object:
    """A text as the parts between its commas, without empty ones; anything else as it is."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Texts separated by commas."""
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)]
"""Secrets separated by commas: each is kept out of the log by itself."""


def is_ours(variable: str) -> bool:
    """Whether `variable` is meant as a setting of the router, mistyped or not."""
    return variable.upper().startswith(PREFIX) and not variable.upper().startswith(FOREIGN)


class Section(BaseModel):
    """A group of settings that share a prefix. An unknown name is an error, so that a mistyped variable is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CouchDBSettings(Section):
    """How to reach CouchDB."""

    url: str = Field(
        "http://127.0.0.1:5984",
        repr=False,  # It may hold a password: http://user:password@host.
        description="Address of the CouchDB server, without the database.",
    )
    database: str = Field("notifications", description="Database that holds messages, mapping and deliveries.")
    username: str | None = Field(None, description="User to log in as; none for a server that asks for no login.")
    password: SecretStr | None = Field(None, description="That user's password.")
    mapping_id: str = Field("ccs.notifications", description="`_id` of the mapping document.")
    catalogue_id: str = Field(
        "notifications", description="`_id` of the catalogue: the notification groups, events and channels of users."
    )
    request_timeout_seconds: Seconds = Field(
        30, description="How long one request to CouchDB may take, the feed apart."
    )
    connect_timeout_seconds: Seconds = Field(5, description="How long a connection to CouchDB may take to open.")


class FeedSettings(Section):
    """How the changes feed is followed."""

    heartbeat_seconds: Annotated[float, Field(ge=0.1, le=60)] = Field(
        10,
        description="How often CouchDB shows that an idle feed lives; one silent for twice as long is opened anew.",
    )
    max_row_bytes: Annotated[int, Field(ge=1024)] = Field(
        8 * 1024 * 1024, description="Largest feed row that is read; a larger one is recorded and skipped."
    )
    backoff_base_seconds: Seconds = Field(
        0.1, description="First pause before a broken feed is opened again; doubles, with full jitter."
    )
    backoff_max_seconds: Seconds = Field(30, description="Longest such pause.")
    checkpoint_interval_seconds: Seconds = Field(
        2, description="How often the checkpoint is saved while messages come in."
    )


class LeaseSettings(Section):
    """How one of several routers on one database is the active one."""

    duration_seconds: Annotated[float, Field(ge=1, le=300, allow_inf_nan=False)] = Field(
        10,
        description="How long the active router may be silent before one that stands by takes over; it renews its lease three "
        "times as often.",
    )


class RetrySettings(Section):
    """When a failed attempt is made again: exponential with full jitter, up to a count and an age."""

    base_seconds: Seconds = Field(2, description="Longest pause before the first retry; doubles with each.")
    max_delay_seconds: Seconds = Field(600, description="Longest pause between two attempts.")
    max_retries: Annotated[int, Field(ge=0)] = Field(
        20, description="Retries before a delivery ends `FAILED`; none is counted while its host is known to be down."
    )
    max_age_seconds: Seconds = Field(
        86400, description="Age of a delivery past which it is not tried again and ends `FAILED`."
    )


class BreakerSettings(Section):
    """When a host that does not work is left alone, but for one attempt now and then that tries it."""

    failures: Count = Field(5, description="Failures in a row, of the host itself, after which it is left alone.")
    base_seconds: Seconds = Field(
        1, description="Longest pause before it is tried again; doubles with each failed try."
    )
    max_seconds: Seconds = Field(60, description="Longest such pause.")


class ChannelSettings(Section):
    """What every channel has."""

    concurrency: Count = Field(8, description="Sends that may run side by side.")
    rate_per_second: PerSecond | None = Field(
        None, description="Most messages a second through the whole channel; none for no limit of ours."
    )
    burst: Count = Field(1, description="Messages that may leave at once before that limit bites.")
    target_rate_per_second: PerSecond | None = Field(
        None, description="Most messages a second to one target; none for no limit of ours."
    )
    target_burst: Count = Field(1, description="Messages that may leave at once before that limit bites.")
    attempt_timeout_seconds: Seconds = Field(30, description="How long one attempt may take in all.")
    on_uncertain: Literal["resend", "hold"] = Field(
        "resend",
        description="When no answer came and the channel cannot tell a repeat: send again, or leave it to an admin.",
    )
    retry: RetrySettings = RetrySettings()
    breaker: BreakerSettings = BreakerSettings()


class MatrixSettings(ChannelSettings):
    """Matrix, as an ordinary user of a homeserver."""

    homeserver: str | None = Field(None, description="Base address of the homeserver, `https://matrix.example.org`.")
    user_id: str | None = Field(
        None, description="The router's own user, `@router:example.org`; needed with a password."
    )
    access_token: SecretStr | None = Field(None, description="Access token to send with; this or a password.")
    password: SecretStr | None = Field(None, description="Password to log in with when there is no access token.")
    device_id: str = Field(
        "NOTIFICATIONROUTER", description="Device to log in as. Keep it: the homeserver tells repeats by device."
    )
    msgtype: Literal["m.text", "m.notice"] = Field(
        "m.text", description="`m.text` rings phones; `m.notice` is silent for most people."
    )
    max_content_bytes: Annotated[int, Field(ge=1024, le=60000)] = Field(
        32768, description="Largest text and HTML together; longer ones are shortened."
    )


class EmailSettings(ChannelSettings):
    """Email through an SMTP server."""

    host: str | None = Field(None, description="SMTP server.")
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description="Its port; by default 465 for `tls`, 587 for `starttls`, 25 for `none`."
    )
    security: Literal["tls", "starttls", "none"] = Field(
        "starttls", description="`tls` from the first byte, `starttls` (required, not optional), or `none`."
    )
    ca_file: Path | None = Field(
        None, description="PEM file of the authority that signed the server's certificate, if it is your own."
    )
    username: str | None = Field(None, description="User to log in as; none for a server that asks for no login.")
    password: SecretStr | None = Field(None, description="That user's password.")
    sender: str | None = Field(None, description="Address in From and the envelope, `router@example.org`.")
    sender_name: str = Field("Notifications", description="Name in From.")
    list_id_domain: str | None = Field(
        None, description="Domain of the List-Id made from the group; the sender's by default."
    )
    concurrency: Count = Field(8, description="Connections kept open, one mail at a time on each.")
    unsubscribe_url: str | None = Field(
        None,
        description="Address at which users reach the HTTP API, `https://notify.example.org`: mails to users then have a link to "
        "unsubscribe.",
    )
    unsubscribe_secret: SecretStr | None = Field(
        None, description="Secret of at least 32 bytes that these links are signed with; the HTTP API needs the same."
    )
    idle_seconds: Seconds = Field(60, description="How long an unused connection is kept open.")
    connect_timeout_seconds: Seconds = Field(10, description="How long connecting and logging in may take.")


class SlackSettings(ChannelSettings):
    """Slack, by a bot token and by incoming webhooks."""

    bot_token: SecretStr | None = Field(
        None, description="Bot token (`xoxb-…`, scope `chat:write`), for targets that are channels."
    )
    allow_webhooks: bool = Field(True, description="Whether incoming webhook addresses may be targets.")
    webhook_hosts: Texts = Field(
        ("hooks.slack.com", "hooks.slack-gov.com"),
        description="Hosts that a webhook address may name, separated by commas.",
    )
    api_url: str = Field("https://slack.com/api", description="Base address of the Web API.")
    target_rate_per_second: PerSecond | None = Field(
        1, description="Messages a second to one Slack channel; Slack's own limit is one."
    )
    target_burst: Count = Field(1, description="Messages that may leave at once before that limit bites.")
    max_text_chars: Annotated[int, Field(ge=100, le=40000)] = Field(
        3900, description="Longest text; longer ones are shortened."
    )


class SphinxSettings(ChannelSettings):
    """Sphinx, through a Sphinx v2 bot."""

    url: str | None = Field(None, description="Base address of the bot.")
    admin_token: SecretStr | None = Field(None, description="The bot's ADMIN_TOKEN.")
    contact_path: str = Field(
        "get_contact",
        description="Path under which the bot shows a contact; where it answers 404, `contact` is asked instead.",
    )
    key_recheck_seconds: Seconds = Field(30, description="How often a contact without a key is looked at again.")
    pending_recheck_seconds: Seconds = Field(
        30, description="How often a message that the bot calls PENDING is looked at again."
    )
    max_content_bytes: Annotated[int, Field(ge=50)] = Field(
        400, description="Longest content; longer ones are shortened."
    )


class InAppSettings(ChannelSettings):
    """The in-app inbox: notification documents in the router's own database."""

    enabled: bool = Field(
        True, description="Whether users are told in their inboxes, each who has a recipient document."
    )
    concurrency: Count = Field(64, description="Notifications that may be written side by side; they go in batches.")
    max_content_bytes: Annotated[int, Field(ge=100, le=1_000_000)] = Field(
        32768, description="Largest content of a notification; a longer one is shortened."
    )
    retention_days: Days = Field(
        90, description="How many days a notification is kept, read or not, deleted by its user or not."
    )
    audit_retention_days: Days = Field(
        365, description="How many days it is kept on record who changed what through the HTTP API."
    )


class HttpSettings(Section):
    """The HTTP port at which the router says how it is."""

    host: str = Field("127.0.0.1", description="Address on which the HTTP port is opened; `0.0.0.0` for all.")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(
        8321, description="HTTP port with `/healthz`, `/readyz` and `/metrics`; 0 for none."
    )


class ApiSettings(Section):
    """The HTTP API: where it is served, who may call it, and how often. `router.api.missing` says what it still needs."""

    host: str = Field("127.0.0.1", description="Address on which the HTTP API is served; `0.0.0.0` for all.")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(8322, description="Port of the HTTP API.")
    jwt_secret: SecretStr | None = Field(
        None,
        description="Secret of at least 32 bytes that tokens are signed with (HS256); this, a public key or a JWKS address.",
    )
    jwt_public_key: str | None = Field(
        None,
        repr=False,  # Somebody may put the private one here by mistake.
        description="Public key (PEM) that tokens are verified by: RS256 for an RSA key, ES256 for one on P-256.",
    )
    jwt_public_key_file: Path | None = Field(None, description="File with that public key, instead of its text.")
    jwks_url: str | None = Field(
        None,
        repr=False,  # It may hold a key in its query.
        description="Address of the issuer's public keys (JWKS), for RS256 and ES256: https, or http on this machine.",
    )
    jwt_issuer: str | None = Field(None, description="What `iss` of a token must be; without it any issuer will do.")
    jwt_audience: str | None = Field(
        None, description="What `aud` of a token must name; without it any audience will do."
    )
    jwt_leeway_seconds: Annotated[float, Field(ge=0, le=300, allow_inf_nan=False)] = Field(
        30, description="How far the issuer's clock may be off when `exp` and `nbf` are checked."
    )
    customers_claim: str = Field("customers", description="Claim with the list of customers that the user belongs to.")
    roles_claim: str = Field("roles", description="Claim with the list of roles: `user`, `service`, `admin`.")
    api_keys: Secrets = Field(
        (),
        description="Keys of at least 16 characters, separated by commas, for the test endpoints; sent as `X-API-Key: …` or "
        "`Authorization: Bearer …`.",
    )
    cors_origins: Texts = Field(
        (),
        description="Origins (`https://app.example.org`) whose pages may call the API, separated by commas; `*` for any.",
    )
    rate_per_second: PerSecond = Field(20, description="Most requests a second of one caller.")
    burst: Count = Field(60, description="Requests of one caller that may come at once before that limit bites.")
    max_body_bytes: Annotated[int, Field(ge=1024)] = Field(65536, description="Largest body of a request.")
    streams_per_user: Count = Field(10, description="Streams of server-sent events that one user may have open.")
    streams: Count = Field(5000, description="Streams of server-sent events that may be open in all.")
    stream_heartbeat_seconds: Annotated[float, Field(ge=0.1, le=300, allow_inf_nan=False)] = Field(
        15,
        description="How often a stream shows that it lives while there is nothing to tell, so that proxies keep it open.",
    )
    stream_buffer: Count = Field(
        100,
        description="Events that wait for a slow client; with one more its stream is ended, to catch up when it reconnects.",
    )


class LogSettings(Section):
    """What is logged, and how it looks."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least severity that is logged.")
    format: Literal["auto", "text", "json"] = Field(
        "auto", description="`auto`: readable on a terminal, JSON when piped."
    )


class Settings(BaseSettings):
    """All settings. Made once, at the start of a command, and handed to the parts that need them."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_file=".env",
        env_file_encoding="utf-8-sig",
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
    )

    couchdb: CouchDBSettings = CouchDBSettings()
    feed: FeedSettings = FeedSettings()
    lease: LeaseSettings = LeaseSettings()
    matrix: MatrixSettings = MatrixSettings()
    email: EmailSettings = EmailSettings()
    slack: SlackSettings = SlackSettings()
    sphinx: SphinxSettings = SphinxSettings()
    inapp: InAppSettings = InAppSettings()
    log: LogSettings = LogSettings()
    http: HttpSettings = HttpSettings()
    api: ApiSettings = ApiSettings()
    unroutable_max_age_seconds: Seconds = Field(
        86400, description="How long a message for an unknown group waits for a mapping that has it."
    )
    window: Count = Field(
        1000, description="Deliveries of one channel that are held in memory; the rest wait in CouchDB."
    )
    pending_after_seconds: Seconds = Field(
        1,
        description="How long a first attempt may take before its delivery is written down as PENDING; thirty times as long "
        "where it waits its turn.",
    )
    grace_seconds: Seconds = Field(
        10, description="How long sends in flight may take to end when the router is stopped."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings hands it in
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """A `.env` file may be shared, with Docker Compose for one: lines that are not ours are passed over."""
        if isinstance(dotenv_settings, DotEnvSettingsSource):
            dotenv_settings.env_vars = {
                name: value for name, value in dotenv_settings.env_vars.items() if is_ours(name)
            }
        return init_settings, env_settings, dotenv_settings, file_secret_settings
