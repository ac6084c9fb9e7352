"""What works and should be looked at all the same; `check` shows it."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from distributor.settings.model import Settings
from distributor.settings.problems import Problems

#: Settings in which two channels may differ and still be the same place.
_MANNER = {"name", "template", "utm", "allow", "timeout", "silent"}


def find_doubts(settings: Settings, doubts: list[str], problems: Problems) -> Settings:
    """The settings with all doubts in them; `doubts` are those found while reading."""
    found = [*doubts, *_doubt_http(settings, problems), *_doubt_twins(settings, problems)]
    return replace(settings, doubts=tuple(found))


def _doubt_http(settings: Settings, problems: Problems) -> list[str]:
    parts = urlsplit(settings.site.public_url)
    if parts.scheme == "https" or is_loopback(parts.hostname or ""):
        return []
    text = "is http: clicks and unsubscribe links could be read and changed on their way; use https"
    return [problems.tell(("site", "public_url"), text)]


def _doubt_twins(settings: Settings, problems: Problems) -> list[str]:
    """Two names for one chat or account get each story twice when schedules use both."""
    seen: list[tuple[Any, str]] = []
    doubts = []
    for index, channel in enumerate(settings.channels):
        place = (type(channel), channel.model_dump(exclude=_MANNER))
        twin = next((name for other, name in seen if other == place), None)
        if twin is not None:
            text = f"is the same place as channels.{twin}; readers may get a story twice"
            doubts.append(problems.tell(("channels", index), text))
        seen.append((place, channel.name))
    return doubts


def is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
