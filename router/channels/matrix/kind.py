"""What there is to know of the channel before it is opened: its name, its targets, and what its settings lack."""

from typing import Final

from router.channels.base import Channel, ChannelKind
from router.channels.credentials import base_url_problem, token_problem
from router.channels.matrix.targets import is_user_id, parse_target
from router.settings import MatrixSettings

_CREDENTIALS: Final = "ROUTER_MATRIX__ACCESS_TOKEN (or ROUTER_MATRIX__USER_ID and ROUTER_MATRIX__PASSWORD)"


def missing(settings: MatrixSettings) -> str | None:
    """None when there is enough to send with; else one sentence that names the variables."""
    if settings.homeserver is None:
        return f"set ROUTER_MATRIX__HOMESERVER and {_CREDENTIALS}"
    problem = base_url_problem(settings.homeserver, "ROUTER_MATRIX__HOMESERVER", plain_http="anywhere")
    if problem is not None:
        return problem
    if settings.user_id is not None and not is_user_id(settings.user_id):
        return (
            f"ROUTER_MATRIX__USER_ID must be a whole user id such as @router:example.org, not {settings.user_id!r:.60}"
        )
    if settings.access_token is not None:
        return token_problem(settings.access_token.get_secret_value(), "ROUTER_MATRIX__ACCESS_TOKEN")
    if settings.password is None:
        return f"set {_CREDENTIALS}"
    if settings.user_id is None:
        return "set ROUTER_MATRIX__USER_ID, which a login with ROUTER_MATRIX__PASSWORD needs"
    return None


def _open(settings: MatrixSettings) -> Channel:
    # matrix-nio takes half a second to load, which a command that sends nothing need not spend.
    from router.channels.matrix.channel import MatrixChannel

    return MatrixChannel(settings)


KIND: Final[ChannelKind[MatrixSettings]] = ChannelKind(
    name="matrix",
    settings_type=MatrixSettings,
    parse_target=parse_target,
    missing=missing,
    open=_open,
    tells_repeats=True,  # by the txnId
)
