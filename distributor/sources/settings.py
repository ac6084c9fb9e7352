"""What every kind of source has in its settings."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from distributor.core.duration import parse_duration
from distributor.core.errors import SourceError
from distributor.sources.guard import read_place


def _read_every(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str | int) else value


def _read_check_page(value: Any) -> Any:
    is_off = value is False or (isinstance(value, str) and value.strip().lower() == "off")
    return None if is_off else _read_every(value)


def _check_address(value: str) -> str:
    try:
        read_place(value)
    except SourceError as error:
        raise ValueError(str(error)) from error
    return value.strip()


#: A length of time as text ("2m", "90s", "1h"), from a second to a week.
Every = Annotated[timedelta, BeforeValidator(_read_every), Field(ge=timedelta(seconds=1), le=timedelta(days=7))]
#: How long a new story waits: from nothing to a day.
Settle = Annotated[timedelta, BeforeValidator(_read_every), Field(ge=timedelta(), le=timedelta(days=1))]
#: How old a story must be to have its page asked for; None for never.
CheckPage = Annotated[
    Annotated[timedelta, Field(ge=timedelta(), le=timedelta(days=7))] | None, BeforeValidator(_read_check_page)
]
#: An http(s) address that the guarded client would try. Whether its host is allowed shows when it is fetched.
Address = Annotated[str, AfterValidator(_check_address)]


class SourceSettings(BaseModel):
    """The common part; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=60, description="how schedules and pages call this source")]
    kind: str
    every: Annotated[Every, Field(description="how often it is asked")] = timedelta(minutes=2)
    settle: Annotated[
        Settle,
        Field(
            description="how long a new story waits before it may go out, at most a day; what the source changes "
            "or holds back meanwhile counts"
        ),
    ] = timedelta()
    check_page: Annotated[
        CheckPage,
        Field(
            description="stories seen longer ago than this have their page asked for once more before they go; one "
            "that answers 404 or 410 is held. `off`: never"
        ),
    ] = timedelta(minutes=10)
