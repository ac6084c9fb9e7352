"""What works and should be looked at all the same; `check` shows it."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from distributor.settings.model import Settings
from distributor.settings.problems import Problems

#: Names that belong to nobody (RFC 2606).
_EXAMPLES = (".example", "example.org", "example.com", "example.net")
#: Settings in which two channels may differ and still be the same place.
_MANNER = {"name", "template", "utm", "allow", "timeout", "silent"}


def find_doubts(settings: Settings, doubts: list[str], problems: Problems) -> Settings:
    """The settings with all doubts in them; `doubts` are those found while reading."""
    found = [
        *doubts,
        *_doubt_address(settings, problems),
        *_doubt_gaps(settings, problems),
        *_doubt_twins(settings, problems),
    ]
    return replace(settings, doubts=tuple(found))


def _doubt_address(settings: Settings, problems: Problems) -> list[str]:
    parts = urlsplit(settings.site.public_url)
    host = parts.hostname or ""
    if is_loopback(host):
        return []
    texts = []
    if parts.scheme != "https":
        texts.append("is http: clicks and unsubscribe links could be read and changed on their way; use https")
    if host.endswith(_EXAMPLES):
        texts.append("is the example's; readers' links would lead nowhere, put your own address")
    return [problems.tell(("site", "public_url"), text) for text in texts]


def _doubt_gaps(settings: Settings, problems: Problems) -> list[str]:
    """What is missing for anything to go out."""
    doubts = [
        problems.tell((section,), f"there are none yet, so {result}")
        for section, result in (("sources", "no story comes in"), ("channels", "nothing can go out"))
        if not getattr(settings, section)
    ]
    used = {schedule.channel for schedule in settings.schedules}
    return doubts + [
        problems.tell(("channels", index), "no schedule sends to it")
        for index, channel in enumerate(settings.channels)
        if channel.name not in used
    ]


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
