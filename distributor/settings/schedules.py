"""Schedules: from what is written to rules and filters, checked against the channels and sources there are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from distributor.core.schedule import Rule, parse_rule
from distributor.settings.model import DEFAULT_LATENESS, ScheduleEntry, ScheduleSettings
from distributor.settings.problems import Problems, Trail, suggest

Entry = tuple[Trail, Mapping[str, Any], ScheduleEntry | None]


def build_schedules(
    entries: Iterable[Entry], names: Mapping[str, set[str]], timezone: str, problems: Problems
) -> tuple[ScheduleSettings, ...]:
    """Those that are right; what is wrong with the others goes to `problems`.

    An entry comes with its trail, as it was written, and as a model where it is one. `names` are all names of
    sources and channels, those of faulty ones too: they have their own problem.
    """
    built = []
    for trail, data, entry in entries:
        channel = data.get("channel")
        if isinstance(channel, str) and channel and channel not in names["channels"]:
            _refuse_name((*trail, "channel"), channel, "channels", names, problems)
        if entry is not None:
            _check_parts(entry, trail, names, problems)
            rule = _read_rule(entry, trail, timezone, problems)
            built += [_build(entry, rule)] if rule else []
    return tuple(built)


def _read_rule(entry: ScheduleEntry, trail: Trail, timezone: str, problems: Problems) -> Rule | None:
    zone = entry.timezone or timezone
    try:
        return parse_rule(
            when=entry.when, at=entry.at, days=entry.days, every=entry.every, cron=entry.cron, timezone=zone
        )
    except ValueError as error:
        field, _, text = str(error).partition(": ")
        problems.add((*trail, field), text)
        return None


def _build(entry: ScheduleEntry, rule: Rule) -> ScheduleSettings:
    return ScheduleSettings(
        name=entry.name,
        channel=entry.channel,
        form=entry.form,
        rule=rule,
        filter=entry.filter.build(),
        max_lateness=DEFAULT_LATENESS[entry.form] if entry.max_lateness is None else entry.max_lateness,
        min_items=entry.min_items,
        max_items=entry.max_items,
        title=entry.title,
    )


def _check_parts(entry: ScheduleEntry, trail: Trail, names: Mapping[str, set[str]], problems: Problems) -> None:
    if entry.form == "digest" and entry.when is not None:
        text = "a digest needs a due time; give at, every or cron, or make the form each"
        problems.add((*trail, "when"), text)
    if entry.min_items > entry.max_items:
        problems.add((*trail, "min_items"), f"is more than max_items, {entry.max_items}; lower it")
    for inner, parts in (("filter",), entry.filter), (("filter", "not"), entry.filter.not_):
        for index, name in enumerate(parts.sources if parts else ()):
            if name not in names["sources"]:
                _refuse_name((*trail, *inner, "sources", index), name, "sources", names, problems)


def _refuse_name(trail: Trail, name: str, section: str, names: Mapping[str, set[str]], problems: Problems) -> None:
    known = names[section]
    fix = suggest(name, known) if known else f"there are no {section} yet"
    problems.add(trail, f'there is no "{name}" in {section}; {fix}')
