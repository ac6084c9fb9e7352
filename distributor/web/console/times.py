"""Moments as an operator reads them: how long ago or how soon, with the newsroom's own clock time on top."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from distributor.core.needs import describe_span
from distributor.web.console.markup import Markup, tag


class Times:
    """Writes moments as seen from `now` in one time zone."""

    def __init__(self, now: datetime, zone_name: str) -> None:
        self.now = now
        self.zone_name = zone_name
        self._zone = ZoneInfo(zone_name)

    def local(self, moment: datetime) -> datetime:
        return moment.astimezone(self._zone)

    def ago(self, moment: datetime | None) -> Markup:
        """ "4 min ago", "in 2 h", "never"."""
        if moment is None:
            return tag("span", "never", class_="soft")
        if moment > self.now:
            return self._write(moment, f"in {describe_span(moment - self.now)}")
        return self._write(moment, f"{describe_span(self.now - moment)} ago")

    def day(self, moment: datetime) -> str:
        """ "today", "tomorrow", "Wed", "23 Nov"."""
        days = (self.local(moment).date() - self.local(self.now).date()).days
        near = {-1: "yesterday", 0: "today", 1: "tomorrow"}
        if days in near:
            return near[days]
        local = self.local(moment)
        return f"{local:%a}" if 0 < days < 7 else f"{local.day} {local:%b}"

    def at(self, moment: datetime) -> Markup:
        """Clock time over the day, for the margin of a list."""
        inner = tag("time", f"{self.local(moment):%H:%M}", datetime=moment.isoformat())
        return tag("span", inner, tag("span", self.day(moment), class_="soft"), class_="at")

    def _write(self, moment: datetime, text: str) -> Markup:
        return tag("time", text, datetime=moment.isoformat(), title=f"{self.local(moment):%Y-%m-%d %H:%M}")
