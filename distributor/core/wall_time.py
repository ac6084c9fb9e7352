"""From the time a clock on the wall shows to the instant it means, in any IANA zone."""

import difflib
import zoneinfo
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

# Names that zone folders hold and that are no place: they count leap seconds or follow the machine.
_NO_PLACE_PREFIXES = ("right/", "posix/")
_NO_PLACE_NAMES = frozenset(("localtime", "posixrules"))
_LONGEST_NAME = 60
_NOTHING = timedelta()


def load_zone(name: str) -> ZoneInfo:
    """The IANA zone of this name; ValueError with a nearby name when there is none."""
    if name.startswith(_NO_PLACE_PREFIXES) or name in _NO_PLACE_NAMES:
        raise ValueError(_unknown_zone(name))
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(_unknown_zone(name)) from error


def first_instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """The first instant (UTC) at which clocks in the zone show `wall` (naive, fold 0, whole seconds) or later.

    A time that clocks show twice gives its first showing; a time they jump over gives the first instant
    after the jump, also when they jump over a whole day (Pacific/Apia, 30 December 2011). A later wall
    time never gives an earlier instant. This is the rule of facts/reliability.md row 7.
    """
    before = zone.utcoffset(wall) or _NOTHING
    after = zone.utcoffset(wall.replace(fold=1)) or _NOTHING
    if after <= before:
        return (wall - before).replace(tzinfo=UTC)
    return _end_of_gap(wall, zone, before, after)


def _end_of_gap(wall: datetime, zone: ZoneInfo, before: timedelta, after: timedelta) -> datetime:
    """Halve the stretch that must hold the jump: zoneinfo knows its instant and does not tell."""
    earliest = (wall - after).replace(tzinfo=UTC)
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        shown = (earliest + timedelta(seconds=middle)).astimezone(zone).replace(tzinfo=None)
        low, high = (low, middle) if shown > wall else (middle, high)
    return earliest + timedelta(seconds=high)


def _unknown_zone(name: str) -> str:
    near = _find_near_zone(name)
    fix = f"did you mean {near}?" if near else "use an IANA name such as Europe/Kyiv"
    return f"{name[:_LONGEST_NAME]!r} is not a known time zone; {fix}"


def _find_near_zone(name: str) -> str | None:
    if len(name) > _LONGEST_NAME:
        return None
    names = {known.casefold(): known for known in sorted(zoneinfo.available_timezones() - _NO_PLACE_NAMES)}
    near = difflib.get_close_matches(name.casefold(), names, n=1, cutoff=0.75)
    return names[near[0]] if near else None
