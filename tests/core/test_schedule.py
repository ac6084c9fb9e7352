"""An editor's rule and when it is due, by examples; every zone stands in test_schedule_zones.py."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import islice, pairwise
from typing import Any

import pytest

from distributor.core.schedule import (
    Occurrence,
    describe_rule,
    next_occurrence,
    occurrences,
    parse_duration,
    parse_rule,
)

KYIV = "Europe/Kyiv"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def list_dues(after: str, until: str, *, timezone: str = KYIV, **rule: Any) -> list[tuple[str, str]]:
    """(local part of the key, due in UTC) of each occurrence."""
    found = occurrences("s", parse_rule(timezone=timezone, **rule), utc(after), utc(until))
    return [(one.key.removeprefix("s@"), f"{one.due:%Y-%m-%dT%H:%M}") for one in found]


# What the editor wrote


def test_an_occurrence_carries_its_key_its_instant_and_its_wall_time() -> None:
    rule = parse_rule(at="07:30", timezone=KYIV)
    assert next_occurrence("morning", rule, utc("2026-07-01T00:00")) == Occurrence(
        key="morning@2026-07-01T07:30", due=utc("2026-07-01T04:30"), local=datetime(2026, 7, 1, 7, 30)
    )


def test_the_start_is_left_out_and_the_end_is_in() -> None:
    assert list_dues("2026-07-01T04:30", "2026-07-02T04:30", at="07:30") == [
        ("2026-07-02T07:30", "2026-07-02T04:30")
    ]


def test_an_empty_or_backward_stretch_has_no_occurrences() -> None:
    assert list_dues("2026-07-01T04:30", "2026-07-01T04:30", at="07:30") == []
    assert list_dues("2026-07-09T00:00", "2026-07-01T00:00", at="07:30") == []


def test_immediately_has_no_due_times() -> None:
    rule = parse_rule(when="immediately", timezone=KYIV)
    assert rule.is_immediate
    assert next_occurrence("now", rule, utc("2026-07-01T00:00")) is None


@pytest.mark.parametrize("shape", [{"at": "07:30"}, {"every": "5h"}, {"every": "1h"}, {"cron": "0 7 * * *"}])
def test_other_rules_are_not_immediate(shape: dict[str, str]) -> None:
    assert not parse_rule(timezone=KYIV, **shape).is_immediate


def test_several_times_come_in_order_and_once_however_they_are_listed() -> None:
    dues = list_dues("2026-07-01T00:00", "2026-07-02T00:00", at=["18:00", "7:30", "18:00", "07:30"])
    assert dues == [("2026-07-01T07:30", "2026-07-01T04:30"), ("2026-07-01T18:00", "2026-07-01T15:00")]


def test_a_time_with_seconds_shows_them_in_its_key() -> None:
    assert list_dues("2026-07-01T00:00", "2026-07-02T00:00", at="07:30:15")[0][0] == "2026-07-01T07:30:15"


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (["mon"], [6, 13]),
        (["Tuesday", "TUE"], [7, 14]),
        (["weekend"], [4, 5, 11, 12]),
        (["weekdays"], [1, 2, 3, 6, 7, 8, 9, 10, 13, 14]),
        ("sun", [5, 12]),
        (["1", "14"], [1, 14]),
        ([1, "day 3"], [1, 3]),
    ],
)
def test_days_are_named_by_week_or_by_month(days: Any, expected: list[int]) -> None:
    dues = list_dues("2026-06-30T22:00", "2026-07-14T22:00", at="07:30", days=days, timezone="UTC")
    first_half_of_july = [int(key[8:10]) for key, _ in dues]
    assert [day for day in first_half_of_july if day <= 14] == expected


def test_the_last_day_follows_the_length_of_the_month() -> None:
    dues = list_dues("2028-01-01T00:00", "2028-05-01T00:00", at="09:00", days=["last"])
    assert [key[:10] for key, _ in dues] == ["2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30"]


def test_the_31st_comes_only_where_a_month_has_one() -> None:
    dues = list_dues("2026-01-01T00:00", "2026-06-01T00:00", at="09:00", days=["31"])
    assert [key[5:10] for key, _ in dues] == ["01-31", "03-31", "05-31"]


# Every


def test_every_counts_from_local_midnight_when_it_divides_the_day() -> None:
    dues = list_dues("2026-07-01T00:00", "2026-07-01T21:00", every="6h")
    assert [key for key, _ in dues] == [
        "2026-07-01T06:00",
        "2026-07-01T12:00",
        "2026-07-01T18:00",
        "2026-07-02T00:00",
    ]


def test_every_number_of_days_keeps_local_midnight_through_a_clock_change() -> None:
    dues = list_dues("2026-03-26T12:00", "2026-04-01T12:00", every="2d")
    assert dues == [
        ("2026-03-28T00:00", "2026-03-27T22:00"),
        ("2026-03-30T00:00", "2026-03-29T21:00"),
        ("2026-04-01T00:00", "2026-03-31T21:00"),
    ]


def test_every_seven_days_means_mondays() -> None:
    found = occurrences(
        "s", parse_rule(every="7d", timezone=KYIV), utc("2026-01-01T00:00"), utc("2027-01-01T00:00")
    )
    assert {one.local.weekday() for one in found} == {0}


@pytest.mark.parametrize("every", ["5h", "36h", "90m", "2d"])
def test_the_end_is_in_and_the_start_out_for_every_length(every: str) -> None:
    rule = parse_rule(every=every, timezone=KYIV)
    first, second = islice(occurrences("s", rule, utc("2026-07-01T00:00"), utc("2026-08-01T00:00")), 2)
    assert list(occurrences("s", rule, first.due, second.due)) == [second]


def test_every_that_does_not_divide_the_day_is_spaced_evenly_and_keyed_in_utc() -> None:
    rule = parse_rule(every="5h", timezone=KYIV)
    found = list(occurrences("s", rule, utc("2026-10-24T00:00"), utc("2026-10-27T00:00")))
    assert {later.due - earlier.due for earlier, later in pairwise(found)} == {timedelta(hours=5)}
    assert all(one.key == f"s@{one.due:%Y-%m-%dT%H:%M}Z" for one in found)


# Clock changes


@pytest.mark.parametrize(
    ("zone", "wall", "due"),
    [
        pytest.param("Europe/Berlin", "2026-03-29T02:30", "2026-03-29T01:00", id="Berlin, an hour left out"),
        pytest.param("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T00:30", id="Berlin, an hour twice"),
        pytest.param("Europe/Dublin", "2026-03-29T01:30", "2026-03-29T01:00", id="Dublin, winter is the exception"),
        pytest.param("Europe/Dublin", "2026-10-25T01:30", "2026-10-25T00:30", id="Dublin, an hour twice"),
        pytest.param(
            "Australia/Lord_Howe", "2026-10-04T02:15", "2026-10-03T15:30", id="Lord Howe, half an hour out"
        ),
        pytest.param(
            "Australia/Lord_Howe", "2026-04-05T01:45", "2026-04-04T14:45", id="Lord Howe, half an hour twice"
        ),
        pytest.param("Africa/Cairo", "2026-04-24T00:15", "2026-04-23T22:00", id="Cairo, midnight left out"),
        pytest.param("America/Santiago", "2026-09-06T00:00", "2026-09-06T04:00", id="Santiago, midnight left out"),
        pytest.param("America/Havana", "2026-03-08T00:45", "2026-03-08T05:00", id="Havana, midnight left out"),
        pytest.param("Africa/Casablanca", "2024-03-10T02:30", "2024-03-10T01:30", id="Casablanca, Ramadan begins"),
        pytest.param("Africa/Casablanca", "2024-04-14T02:30", "2024-04-14T02:00", id="Casablanca, Ramadan ends"),
        pytest.param("Antarctica/Troll", "2026-03-29T02:30", "2026-03-29T01:00", id="Troll, two hours left out"),
        pytest.param("Pacific/Apia", "2011-12-30T07:30", "2011-12-30T10:00", id="Apia, a date left out"),
        pytest.param("Pacific/Kwajalein", "1993-08-21T07:30", "1993-08-21T12:00", id="Kwajalein, a date left out"),
    ],
)
def test_a_wall_time_is_due_once_whatever_the_clocks_do(zone: str, wall: str, due: str) -> None:
    after, until = utc(due) - timedelta(days=5), utc(due) + timedelta(days=5)
    found = list(occurrences("s", parse_rule(at=wall[11:], timezone=zone), after, until))
    assert [one.due for one in found if one.key == f"s@{wall}"] == [utc(due)]
    dates = [one.local.date() for one in found]
    assert dates == [dates[0] + timedelta(days=count) for count in range(len(dates))]


def test_an_hourly_rule_has_one_firing_for_a_missing_hour_named_by_what_clocks_show() -> None:
    dues = list_dues("2026-03-28T23:30", "2026-03-29T02:30", every="1h", timezone="Europe/Berlin")
    assert dues == [
        ("2026-03-29T01:00", "2026-03-29T00:00"),
        ("2026-03-29T03:00", "2026-03-29T01:00"),
        ("2026-03-29T04:00", "2026-03-29T02:00"),
    ]


@pytest.mark.parametrize("shape", [{"every": "10m"}, {"cron": "*/10 * * * *"}])
def test_a_rule_within_the_hour_is_silent_while_an_hour_is_shown_again(shape: dict[str, str]) -> None:
    dues = list_dues("2026-10-25T00:35", "2026-10-25T02:15", timezone="Europe/Berlin", **shape)
    assert [due for _, due in dues] == [
        "2026-10-25T00:40",
        "2026-10-25T00:50",
        "2026-10-25T02:00",
        "2026-10-25T02:10",
    ]


def test_two_times_in_one_gap_are_one_occurrence_with_the_later_key() -> None:
    dues = list_dues("2026-03-29T00:30", "2026-03-29T01:30", at=["02:10", "02:40"], timezone="Europe/Berlin")
    assert dues == [("2026-03-29T02:40", "2026-03-29T01:00")]


def test_a_weekly_rule_on_a_date_that_was_left_out_still_comes_that_week() -> None:
    dues = list_dues("2011-12-24T00:00", "2012-01-07T00:00", at="07:30", days=["fri"], timezone="Pacific/Apia")
    assert dues == [("2011-12-30T07:30", "2011-12-30T10:00"), ("2012-01-06T07:30", "2012-01-05T17:30")]


def test_midnight_of_a_date_that_was_left_out_falls_together_with_the_next_midnight() -> None:
    dues = list_dues("2011-12-28T12:00", "2012-01-01T00:00", at="00:00", timezone="Pacific/Apia")
    assert [key for key, _ in dues] == ["2011-12-29T00:00", "2011-12-31T00:00", "2012-01-01T00:00"]


def test_a_date_shown_twice_is_due_once() -> None:
    dues = list_dues("1969-09-28T00:00", "1969-10-03T00:00", at="12:00", timezone="Pacific/Kwajalein")
    assert [key[:10] for key, _ in dues] == ["1969-09-28", "1969-09-29", "1969-09-30", "1969-10-01", "1969-10-02"]


# Looking ahead


def test_the_next_occurrence_is_none_beyond_the_horizon() -> None:
    rule = parse_rule(cron="0 0 29 2 *", timezone=KYIV)
    assert next_occurrence("leap", rule, utc("2026-07-01T00:00")) is None
    found = next_occurrence("leap", rule, utc("2026-07-01T00:00"), horizon=timedelta(days=1000))
    assert found is not None
    assert found.key == "leap@2028-02-29T00:00"


def test_any_aware_time_may_be_given_and_a_naive_one_is_refused() -> None:
    rule = parse_rule(at="07:30", timezone=KYIV)
    abroad = utc("2026-07-01T00:00").astimezone(timezone(timedelta(hours=-8)))
    assert next_occurrence("s", rule, abroad) == next_occurrence("s", rule, utc("2026-07-01T00:00"))
    with pytest.raises(ValueError, match="no time zone"):
        occurrences("s", rule, datetime(2026, 7, 1), utc("2026-07-02T00:00"))


def test_the_ends_of_the_calendar_are_no_trap() -> None:
    rule = parse_rule(at="07:30", timezone="Pacific/Kiritimati")
    assert next_occurrence("s", rule, datetime.max.replace(tzinfo=UTC)) is None
    assert next_occurrence("s", rule, datetime.min.replace(tzinfo=UTC)) is not None
    assert next_occurrence("s", rule, utc("9999-12-20T00:00"), horizon=timedelta.max) is not None


def test_centuries_are_read_one_by_one() -> None:
    rule = parse_rule(every="1s", timezone=KYIV)
    found = occurrences("s", rule, utc("2026-07-01T00:00"), utc("9999-01-01T00:00"))
    assert [one.key for one in islice(found, 2)] == ["s@2026-07-01T03:00:01", "s@2026-07-01T03:00:02"]


# Mistakes


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "when: is missing; give one of"),
        ({"at": "07:30", "every": "2h"}, "every: stands beside at; give exactly one"),
        ({"when": "immediately", "cron": "0 7 * * *"}, "cron: stands beside when"),
        ({"when": "now"}, "when: 'now' is not understood; write \"immediately\""),
        ({"at": "24:00"}, "at: '24:00' is no time of day"),
        ({"at": "7.30"}, "at: '7.30' is no time of day"),
        ({"at": 730}, "at: '730' is no time of day"),
        ({"at": []}, "at: the list is empty"),
        ({"at": ["07:30", "٠٧:٣٠"]}, "at: '٠٧:٣٠' is no time of day"),
        ({"at": "07:30", "days": []}, "days: the list is empty"),
        ({"at": "07:30", "days": ["moon"]}, "days: 'moon' is no day"),
        ({"at": "07:30", "days": ["32"]}, "days: '32' is no day"),
        ({"at": "07:30", "days": [True]}, "days: 'True' is no day"),
        ({"at": "07:30", "days": ["mon", "15"]}, "days: days of the week and days of the month are mixed"),
        ({"every": "2h", "days": ["mon"]}, "days: goes with at only"),
        ({"every": "0s"}, "every: '0s' is out of range"),
        ({"every": "400d"}, "every: '400d' is out of range"),
        ({"every": "soon"}, "every: 'soon' is not a length of time"),
        ({"cron": 5}, "cron: '5' is no text"),
        ({"cron": "0 0 31 2 *"}, "cron: '0 0 31 2 *' never comes"),
    ],
)
def test_a_mistake_names_its_field_and_the_fix(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_rule(timezone=KYIV, **values)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    ("zone", "fix"),
    [
        ("Europe/Kiyv", "did you mean Europe/Kyiv?"),
        ("Mars", "use an IANA name"),
        ("", "use an IANA name"),
        ("Europe", "Europe"),
        ("../../etc/passwd", "use an IANA name"),
        ("x" * 5000, "use an IANA name"),
        ("right/Europe/Kyiv", "did you mean Europe/Kyiv?"),
        ("localtime", "is not a known time zone; use an IANA name"),
        (None, "is missing"),
    ],
)
def test_an_unknown_zone_is_refused_with_the_nearest_one(zone: Any, fix: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_rule(at="07:30", timezone=zone)
    assert str(caught.value).startswith("timezone: ")
    assert fix in str(caught.value)


# Words


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"when": "immediately"}, "immediately"),
        ({"at": "07:30"}, "at 07:30 every day, Europe/Kyiv"),
        ({"at": "07:30", "days": ["weekdays"]}, "at 07:30 on weekdays, Europe/Kyiv"),
        (
            {"at": ["18:00", "7:30"], "days": ["sat", "sun"]},
            "at 07:30 and 18:00 on Saturday and Sunday, Europe/Kyiv",
        ),
        ({"at": "09:00:30", "days": ["1"]}, "at 09:00:30 on day 1 of the month, Europe/Kyiv"),
        (
            {"at": "09:00", "days": ["1", "15", "last"]},
            "at 09:00 on days 1 and 15 and the last day of the month, Europe/Kyiv",
        ),
        ({"at": "09:00", "days": ["last"]}, "at 09:00 on the last day of the month, Europe/Kyiv"),
        ({"every": "2h"}, "every 2 hours, Europe/Kyiv"),
        ({"every": "1h"}, "every hour, Europe/Kyiv"),
        ({"every": "90m"}, "every 1 hour 30 minutes, Europe/Kyiv"),
        ({"every": "1d"}, "at 00:00 every day, Europe/Kyiv"),
        ({"every": "3d"}, "every 3 days at 00:00, Europe/Kyiv"),
        ({"every": "7d"}, "every 7 days at 00:00 on Mondays, Europe/Kyiv"),
        ({"every": "5h"}, "every 5 hours, counted in UTC"),
        ({"cron": "30 7 * * mon-fri"}, "at 07:30 on weekdays, Europe/Kyiv"),
        ({"cron": "*/15 * * * *"}, "every 15 minutes, Europe/Kyiv"),
        ({"cron": "5 * * * *"}, "every hour from 00:05 to 23:05, Europe/Kyiv"),
        ({"cron": "0 8,12,16 * * *"}, "at 08:00, 12:00 and 16:00 every day, Europe/Kyiv"),
        ({"cron": "0 8-18/2 * * mon"}, "every 2 hours from 08:00 to 18:00 on Monday, Europe/Kyiv"),
        ({"cron": "0 9 13 * fri"}, "at 09:00 on day 13 of the month or on Friday, Europe/Kyiv"),
        (
            {"cron": "0 9 */30 1,7 fri"},
            "at 09:00 on days 1 and 31 of the month that fall on Friday in January and July, Europe/Kyiv",
        ),
        ({"cron": "7,9 8-12 * * *"}, "10 times a day (cron 7,9 8-12 * * *), Europe/Kyiv"),
    ],
)
def test_a_rule_is_described_in_plain_words(values: dict[str, Any], words: str) -> None:
    assert describe_rule(parse_rule(timezone=KYIV, **values)) == words


# Durations


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *[("90s", 90), ("2m", 120), ("1h30m", 5400), ("1h 30m", 5400), (" 6H ", 21600), ("2d", 172800)],
        *[("1w", 604800), (45, 45), ("45", 45), (0, 0), ("0s", 0), ("120m", 7200)],
    ],
)
def test_a_length_of_time_is_read(text: str | int, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", " ", "h", "1.5h", "30m1h", "2 hours", "-5m", "1h1h", "٣h", "5x", None, 1.5, True]
)
def test_other_words_are_no_length_of_time(text: Any) -> None:
    with pytest.raises(ValueError, match=r'is not a length of time; write for example "90s"'):
        parse_duration(text)


@pytest.mark.parametrize("text", [-1, 10**12, "999999999w", "36501d"])
def test_a_length_of_time_has_limits(text: str | int) -> None:
    with pytest.raises(ValueError, match="is out of range; give 0 seconds to 36500 days"):
        parse_duration(text)
