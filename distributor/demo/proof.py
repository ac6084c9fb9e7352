"""What must have arrived where, and what did: the reasons, when something is missing or there twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from distributor.core.sandbox import Sighting
from distributor.demo.newsroom.stories import Story
from distributor.demo.setting import GONE, READERS


@dataclass(frozen=True, slots=True)
class Expected:
    """A story as it was worded on the channels that send at once, and as the letter words it later."""

    story: Story
    later_headline: str
    alerted: frozenset[str] = frozenset()

    @property
    def headline(self) -> str:
        return self.story.headline


def find_faults(
    expected: Sequence[Expected],
    telegram: Sequence[Sighting],
    x: Sequence[Sighting],
    letters: Sequence[Sighting],
    alerts: Sequence[Sighting],
) -> list[str]:
    """A sentence for everything that did not arrive exactly once; [] when all is well."""
    return [
        *_check_posts("Telegram", expected, telegram),
        *_check_posts("X", expected, x),
        *_check_letters(expected, letters),
        *_check_alerts(expected, alerts),
    ]


def _check_posts(name: str, expected: Sequence[Expected], seen: Sequence[Sighting]) -> Iterator[str]:
    counts = Counter(flatten(sighting.text).partition("\n")[0] for sighting in seen)
    for one in expected:
        count = sum(number for text, number in counts.items() if text.startswith(one.headline))
        if count != 1:
            yield f"{name} shows “{one.headline}” {count} times"
    if len(seen) != len(expected):
        yield f"{name} shows {len(seen)} posts instead of {len(expected)}"


def _check_letters(expected: Sequence[Expected], letters: Sequence[Sighting]) -> Iterator[str]:
    yield from _compare("the letter", Counter(READERS), letters)
    if any(letter.recipient == GONE for letter in letters):
        yield f"{GONE} has left and got a letter"
    for letter in letters:
        text = flatten(letter.text)
        for one in expected:
            if text.count(one.later_headline) != 1:
                times = text.count(one.later_headline)
                yield f"the letter to {letter.recipient} has “{one.later_headline}” {times} times"
            if one.headline != one.later_headline and one.headline in text:
                yield f"the letter to {letter.recipient} still has the uncorrected “{one.headline}”"


def _check_alerts(expected: Sequence[Expected], alerts: Sequence[Sighting]) -> Iterator[str]:
    for one in expected:
        about = [alert for alert in alerts if alert.subject == one.headline]
        yield from _compare(f"the alert “{one.headline}”", Counter(one.alerted), about)
    subjects = {one.headline for one in expected}
    yield from (f"an alert nobody expected: “{alert.subject}”" for alert in alerts if alert.subject not in subjects)


def _compare(what: str, wanted: Counter[str], mails: Iterable[Sighting]) -> Iterator[str]:
    got = Counter(mail.recipient for mail in mails)
    for address in sorted({*wanted, *got}):
        if got[address] != wanted[address]:
            yield f"{what} reached {address} {got[address]} times instead of {wanted[address]}"


def flatten(text: str) -> str:
    """Lines kept, runs of blanks within them folded."""
    return "\n".join(" ".join(line.split()) for line in text.splitlines())
