"""What preferences and the catalogue are made of: on or off, in general and by channel."""

from pydantic import BaseModel, ConfigDict, Field, StrictBool, model_validator


class Rule(BaseModel):
    """On or off. `true` and `false` stand for a rule that says no more than that."""

    model_config = ConfigDict(extra="allow", frozen=True, json_schema_extra={"type": ["object", "boolean"]})

    enabled: StrictBool | None = Field(None, description="On or off; left open where it is missing or null.")
    channels: dict[str, StrictBool] = Field(default_factory=dict, description="On or off by channel.")

    @model_validator(mode="before")
    @classmethod
    def _in_short(cls, value: object) -> object:
        return {"enabled": value} if isinstance(value, bool) else value


class GroupRule(Rule):
    """On or off for a notification group, and for single events of it."""

    events: dict[str, Rule] = Field(default_factory=dict, description="The same for single events, which go before.")
