"""How requests are read and answers are written: strictly in, exactly out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from ninja import Schema
from pydantic import AfterValidator, ConfigDict, PlainSerializer, WithJsonSchema


class Request(Schema):
    """A body. A name that the call does not know is a mistake, said at once instead of ignored."""

    model_config = ConfigDict(extra="forbid", str_max_length=5_000_000)


class Answer(Schema):
    """What a call answers."""


def rfc3339(moment: datetime) -> str:
    """UTC, to the microsecond where there is one (RFC 3339)."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _printable(text: str) -> str:
    if "\0" in text:
        raise ValueError("It holds a NUL character.")
    return text


Moment = Annotated[
    datetime, PlainSerializer(rfc3339, return_type=str), WithJsonSchema({"type": "string", "format": "date-time"})
]
Text = Annotated[str, AfterValidator(_printable)]


def example(**fields: Any) -> ConfigDict:
    """For the documentation of a body."""
    return ConfigDict(extra="forbid", json_schema_extra={"examples": [fields]})
