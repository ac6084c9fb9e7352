"""Settings that several kinds of channels share: how many at once, and how long a person may decide."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from distributor.core.duration import parse_duration
from distributor.core.message import Pace, cap_key


def _read_length(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str | int) and not isinstance(value, bool) else value


#: A length of time as text ("30m", "2h").
Length = Annotated[timedelta, BeforeValidator(_read_length)]
_DAY = 24 * 3600.0
#: Every message rewrites the times of its day, so there is a limit.
CapPerDay = Annotated[int, Field(ge=1, le=10_000)]
#: How long a person may decide about a message that perhaps went out.
Deciding = Annotated[Length, Field(ge=timedelta(minutes=1), le=timedelta(days=7))]
DECIDE_WITHIN_TEXT = (
    "How long a person may decide about a message that perhaps went out; then it counts as presumed and is not "
    "sent again."
)


class Cap(BaseModel):
    """No burst: at most `count` messages in any `per`; the others wait for their turn."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    count: int = Field(default=20, ge=1, le=100_000, description="So many messages at most.")
    per: Annotated[Length, Field(ge=timedelta(seconds=1), le=timedelta(days=1))] = Field(
        default=timedelta(minutes=10), description="In any stretch of this length, such as 10m."
    )


def list_caps(channel_name: str, cap: Cap, per_day: int | None) -> tuple[Pace, ...]:
    """Both caps as the ledger keeps them: one row of times. Looked up again by `cap_key`."""
    key = cap_key(channel_name)
    short = Pace(key, cap.count, cap.per.total_seconds())
    return (short,) if per_day is None else (short, Pace(key, per_day, _DAY))


CAP_TEXT = (
    "Against bursts: at most `count` posts in any `per`, whatever the sources bring; the rest waits for its turn. "
    "Default: {count: 20, per: 10m}, twice what a newsroom with a story each minute needs."
)
CAP_PER_DAY_TEXT = (
    "At most so many posts in any 24 hours, besides `cap`; the rest waits for its turn, and what waits too long is "
    "held as late. Default: no such limit."
)
