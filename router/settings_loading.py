"""Reads the settings once, with those of third parties' channels, and says in a sentence each what is wrong with them."""

import os
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from inspect import get_annotations
from io import StringIO
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dotenv.parser import parse_stream
from pydantic import BaseModel, SecretStr, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from router.channels.registry import AnyKind
from router.documents.problems import shown
from router.settings import PREFIX, ChannelSettings, Settings, is_ours

DELIMITER = "__"


class BadSettings(Exception):
    """Settings that cannot be used; `problems` has a sentence for each, with the variable's name and no secret."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def load_settings(kinds: Mapping[str, AnyKind], environment: Mapping[str, str] | None = None) -> Settings:
    """The settings from the environment and `.env`. `environment` is looked through for mistyped names (os.environ).

    Third parties' channels get a section of their own. Raises BadSettings.
    """
    model = settings_model(kinds)
    known = dict(variables(model))
    names = [
        *(os.environ if environment is None else environment),
        *_names_in_file(Path(str(model.model_config["env_file"]))),
    ]
    problems = [
        _no_setting(name, list(known)) for name in sorted(set(names)) if is_ours(name) and name.upper() not in known
    ]
    try:
        settings = model()
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            variable = PREFIX + DELIMITER.join(map(str, detail["loc"])).upper()
            # What is no setting has been named already.
            if variable in known:
                problems.append(_sentence(variable, known[variable], detail))
    except SettingsError as error:
        if not problems:
            problems.append(f"the settings cannot be read: {error}")
    else:
        if not problems:
            return settings
    raise BadSettings(problems)


def settings_model(kinds: Mapping[str, AnyKind]) -> type[Settings]:
    """`Settings` with a section for each channel that is not our own."""
    extra = {
        name: (kind.settings_type, kind.settings_type())
        for name, kind in kinds.items()
        if name not in Settings.model_fields
    }
    if not extra:
        return Settings
    return create_model("Settings", __base__=Settings, **extra)  # type: ignore[call-overload,no-any-return]


def channel_settings(settings: Settings, name: str) -> ChannelSettings:
    """The section of one channel."""
    section = getattr(settings, name)
    if not isinstance(section, ChannelSettings):
        raise TypeError(f"{name!r} is no channel's section")
    return section


def variables(model: type[BaseModel], prefix: str = PREFIX) -> Iterator[tuple[str, FieldInfo]]:
    """Every variable that can be set, with its field, in the order of the settings; what a section shares with others last."""
    own = [name for name in get_annotations(model) if name in model.model_fields]
    for name in dict.fromkeys((*own, *model.model_fields)):
        field = model.model_fields[name]
        variable = f"{prefix}{name.upper()}"
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from variables(field.annotation, variable + DELIMITER)
        else:
            yield variable, field


def secrets_of(settings: BaseModel) -> Iterator[str]:
    """Every secret among the settings, passwords inside addresses included, so that the log can be kept free of them."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        if isinstance(value, SecretStr):
            yield value.get_secret_value()
        elif isinstance(value, tuple):
            yield from (each.get_secret_value() for each in value if isinstance(each, SecretStr))
        elif isinstance(value, BaseModel):
            yield from secrets_of(value)
        elif isinstance(value, str) and "://" in value and (password := _password_in(value)):
            yield from (password, unquote(password))


def _password_in(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:
        return None


def _names_in_file(path: Path) -> list[str]:
    """The variables that a `.env` file sets; none when there is no such file. Raises BadSettings."""
    try:
        lines = list(parse_stream(StringIO(path.read_text(encoding="utf-8-sig")))) if path.is_file() else []
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise BadSettings([f"the file {path} cannot be read: {why}"]) from None
    # Lines that make no sense to us may make some to another program that shares the file.
    bad = [line.original.line for line in lines if line.error and PREFIX in line.original.string]
    if bad:
        raise BadSettings([f"line {number} of the file {path} cannot be read; write NAME=value" for number in bad])
    return [line.key for line in lines if line.key]


def _no_setting(name: str, known: list[str]) -> str:
    parts = [variable for variable in known if variable.startswith(name.upper() + DELIMITER)]
    if parts:
        return f"{name} is not set as a whole, but part by part: {parts[0]}=…"
    close = get_close_matches(name.upper(), known, n=1, cutoff=0.75)
    return (
        f"{name} is no setting of the router; {f'did you mean {close[0]}?' if close else 'the README lists them all'}"
    )


_WANTED = {
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "bool_parsing": "true or false",
    "string_type": "a text",
}


def _sentence(variable: str, field: FieldInfo, detail: ErrorDetails) -> str:
    """What is wrong with a variable's value, which is shown unless it is a secret."""
    is_secret = "SecretStr" in str(field.annotation)
    instead = "" if is_secret else f", not {shown(detail['input'])}"
    wanted = _wanted(detail)
    if wanted is not None:
        return f"{variable} must {wanted}{instead}"
    # Whoever wrote the check may have put the value into its text.
    return f"{variable} is not accepted" + ("" if is_secret else f": {detail['msg'].removeprefix('Value error, ')}")


def _wanted(detail: ErrorDetails) -> str | None:
    """What Pydantic would have taken; None when it does not say in a way that fits a sentence."""
    ctx, kind = detail.get("ctx", {}), detail["type"]
    match kind:
        case "greater_than":
            return f"be more than {ctx['gt']:g}"
        case "greater_than_equal":
            return f"be at least {ctx['ge']:g}"
        case "less_than_equal":
            return f"be at most {ctx['le']:g}"
        case "too_short" | "string_too_short":
            return f"have at least {ctx['min_length']} characters"
        case "too_long" | "string_too_long":
            return f"have at most {ctx['max_length']} characters"
    if kind in _WANTED:
        return f"be {_WANTED[kind]}"
    message = detail["msg"]
    return f"be {message.removeprefix('Input should be ')}" if message.startswith("Input should be ") else None
