"""The circuit breaker of a channel: when so many messages are refused that the channel itself must be wrong.

A channel remembers how its last messages ended, one letter each, newest last. A service that was away, asked for
patience or gave no answer opens nothing: those have rules of their own (core/delivery).
"""

from __future__ import annotations

from collections.abc import Iterable

ACCEPTED = "s"
#: The service read the message and said no.
REFUSED = "r"
#: This reader is not there any more. Ordinary on a list, odd where there is one voice.
GONE = "g"

#: How many endings are looked at.
WINDOW = 50
#: One voice: so many refusals without anything accepted between them.
IN_A_ROW = 5
#: More than 20 % of the window: one refusal in five is no accident (facts/reliability.md 2a, row 12).
MOST_REFUSED = WINDOW // 5
#: More than half of the window. Lists lose 1 or 2 readers in 100 to hard bounces, a bought or forgotten one 20.
#: When every second reader is "unknown" it is the relay that does not know them, and all would be written off.
MOST_GONE = WINDOW // 2


def find_trouble(recent: str, fresh: Iterable[str], is_list: bool) -> str:
    """Why the channel should stop, looked for after each of the `fresh` endings; "" while all is ordinary.

    `is_list`: it writes to many readers, each of whom may be gone or refuse by themselves.
    """
    for letter in fresh:
        recent = add_endings(recent, (letter,))
        if why := _judge(recent, is_list):
            return why
    return ""


def add_endings(recent: str, fresh: Iterable[str]) -> str:
    """What is remembered after these endings too."""
    return (recent + "".join(fresh))[-WINDOW:]


def _judge(recent: str, is_list: bool) -> str:
    if not is_list:
        recent = recent.replace(GONE, REFUSED)
        if recent.endswith(REFUSED * IN_A_ROW):
            return f"{IN_A_ROW} messages in a row were refused"
    if recent.count(REFUSED) > MOST_REFUSED:
        return f"{recent.count(REFUSED)} of the last {len(recent)} messages were refused"
    if recent.count(GONE) > MOST_GONE:
        return f"{recent.count(GONE)} of the last {len(recent)} readers are said not to exist"
    return ""
