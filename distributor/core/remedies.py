"""What to type when something waits for a person: one list, for the status and for alerts."""

from __future__ import annotations

MISMATCH = ("distributor db check",)
HELD_STORIES = ("distributor posts --held", "distributor posts release NUMBER", "distributor posts drop NUMBER")


def for_unknown(channel: str) -> tuple[str, ...]:
    """Messages that may or may not have gone out: look at the channel first."""
    return (
        f"distributor deliveries --state unknown --channel {channel}",
        "distributor deliveries resolve NUMBER --sent",
        "distributor deliveries resolve NUMBER --resend",
        "distributor deliveries resolve NUMBER --leave",
    )


def for_edition(number: int) -> tuple[str, ...]:
    """An edition that is parked or held."""
    return (f"distributor editions release {number}", f"distributor editions drop {number}")


def for_source(name: str) -> tuple[str, ...]:
    """A source that could not be read."""
    return (f"distributor poll {name}",)
