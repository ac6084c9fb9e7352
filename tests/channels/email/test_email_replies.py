from __future__ import annotations

import csv
from pathlib import Path

import pytest

from distributor.channels.email.replies import Reply, Stage, explain_refusal, find_wait, is_for_everyone
from distributor.core.errors import Busy, ChannelClosed, MessageRefused, Outage, RecipientGone, SendError

SHARED = Path(__file__).parents[4] / "shared/data/email/smtp-enhanced-codes.tsv"

CASES: list[tuple[Stage, str, type[SendError]]] = [
    ("recipient", "550 5.1.1 The email account that you tried to reach does not exist", RecipientGone),
    ("recipient", "550 5.1.2 Host unknown", RecipientGone),
    ("recipient", "501 5.1.3 Bad recipient address syntax", RecipientGone),
    ("recipient", "556 5.1.10 Recipient address has null MX", RecipientGone),
    ("recipient", "550 5.2.1 The email account that you tried to reach is inactive", RecipientGone),
    ("recipient", "550 5.2.1 The user is receiving mail at a rate that prevents delivery", MessageRefused),
    ("recipient", "550 No such user here", RecipientGone),
    ("recipient", "554 delivery error: dd Sorry, this user doesn't have a yahoo.com account", RecipientGone),
    ("message", "550 5.1.1 User unknown", RecipientGone),
    ("recipient", "552 5.2.2 Mailbox full", MessageRefused),
    ("recipient", "452 4.2.2 Mailbox full", Outage),
    ("recipient", "450 4.2.1 Mailbox disabled for now", Outage),
    ("recipient", "451 4.3.0 Local error in processing", Outage),
    ("message", "452 4.3.1 Insufficient system storage", Outage),
    ("message", "451 try again later", Outage),
    ("recipient", "450 4.7.1 Client host rejected: cannot find your hostname", Busy),
    ("recipient", "451 4.7.1 Greylisted, see https://postgrey.example", Busy),
    ("recipient", "450 Graylisted", Busy),
    ("recipient", "451 please retry in 120 seconds", Busy),
    ("sender", "421 4.3.2 Service shutting down", Busy),
    ("message", "421 4.7.0 Our system has detected an unusual rate", Busy),
    ("message", "421 4.7.28 Unusual rate of mail from your IP", Busy),
    ("message", "550 5.7.28 Too many with this Message-ID", Busy),
    ("hello", "421 Too many connections", Outage),
    ("hello", "454 4.7.0 Temporary authentication failure", Outage),
    ("hello", "535 5.7.8 Authentication credentials invalid", ChannelClosed),
    ("hello", "554 No SMTP service here", ChannelClosed),
    ("sender", "530 5.7.0 Must issue a STARTTLS command first", ChannelClosed),
    ("sender", "553 5.7.1 Sender address rejected: not owned by user", ChannelClosed),
    ("sender", "550 5.1.8 Bad sender's system address", ChannelClosed),
    ("sender", "552 5.3.4 Message size exceeds fixed limit", MessageRefused),
    ("recipient", "554 5.7.1 Relay access denied", ChannelClosed),
    ("recipient", "550 relaying denied", ChannelClosed),
    ("recipient", "550 5.7.1 Recipient address rejected: Access denied", MessageRefused),
    ("message", "554 5.7.1 Message rejected as spam", MessageRefused),
    ("message", "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent (SC-001)", ChannelClosed),
    ("message", "550 5.7.26 Unauthenticated mail is prohibited", ChannelClosed),
    ("message", "550 5.7.515 Access denied, sending domain does not meet the required level", ChannelClosed),
    ("message", "421 4.7.27 SPF did not pass", ChannelClosed),
    ("message", "552 5.3.4 Message too large", MessageRefused),
    ("message", "554 5.6.0 Not accepted", MessageRefused),
    ("message", "500 Command unrecognised", MessageRefused),
    ("recipient", "354 go ahead", Outage),
]


def make_reply(words: str) -> Reply:
    return Reply(int(words[:3]), words[4:])


@pytest.mark.parametrize(("stage", "words", "outcome"), CASES)
def test_a_refusal_has_the_consequence_its_words_call_for(
    stage: Stage, words: str, outcome: type[SendError]
) -> None:
    found = explain_refusal(make_reply(words), stage)
    assert type(found) is outcome
    assert found.detail == words


def test_policy_is_never_taken_for_a_bad_address() -> None:
    for stage in ("sender", "recipient", "message"):
        for code in (450, 550, 553, 554):
            for detail in range(40):
                words = f"{code // 100}.7.{detail} user unknown, no such mailbox"
                assert not isinstance(explain_refusal(Reply(code, words), stage), RecipientGone)


def test_gmails_quota_means_ten_minutes_for_everybody() -> None:
    quota = explain_refusal(make_reply("421 4.7.28 Unusual rate"), "message")
    assert isinstance(quota, Busy) and quota.retry_after == 600
    assert is_for_everyone(quota)
    greylist = explain_refusal(make_reply("450 4.7.1 Greylisted for 20 minutes"), "recipient")
    assert isinstance(greylist, Busy) and greylist.retry_after == 1200
    assert not is_for_everyone(greylist)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("try again in 2 seconds", 2),
        ("come back in 5 minutes", 300),
        ("wait 90s", 90),
        ("in 9999 minutes", 3600),
        ("in 0 seconds", 1),
        ("port 25 says no", 60),
    ],
)
def test_a_named_wait_is_kept_within_an_hour(text: str, seconds: float) -> None:
    assert find_wait(text, 60) == seconds


def test_a_detail_is_one_short_line() -> None:
    assert len(explain_refusal(Reply(550, "x" * 5000), "message").detail) == 300


#: Actions of the shared table, and what they may mean here.
ACTIONS: dict[str, tuple[type[SendError], ...]] = {
    "suppress address": (RecipientGone,),
    "soft: retry, suppress after repeated": (Outage, MessageRefused),
    "content or reputation, not the address: do not suppress": (MessageRefused,),
    "back off domain": (Busy,),
    "pause provider, alert": (ChannelClosed,),
    "stop 10 min, then one connection, then ramp one at a time": (Busy,),
    "soft then suppress": (RecipientGone, MessageRefused),
    "permanent content": (MessageRefused,),
}


@pytest.mark.skipif(not SHARED.exists(), reason="the table of provider replies is kept outside the repository")
def test_the_table_of_provider_replies_is_followed() -> None:
    checked = 0
    with SHARED.open(newline="") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            for reply in list_replies(row):
                if row["action"] in ACTIONS:
                    found = explain_refusal(reply, "message")
                    assert isinstance(found, ACTIONS[row["action"]]), (row, reply, found)
                    checked += 1
    assert checked > 20


def list_replies(row: dict[str, str]) -> list[Reply]:
    """A row's codes such as "4xx/5xx" with "4.7.23 / 5.7.25", as replies a server could give."""
    replies = []
    for enhanced in row["enhanced"].replace(" or ", "/").split("(")[0].split("/"):
        mark = enhanced.strip()
        if mark[:1] in ("4", "5") and mark.count(".") == 2:
            code = 550 if mark.startswith("5") else 452 if mark == "4.2.2" else 421
            replies.append(Reply(552 if mark == "5.3.4" else code, f"{mark} words"))
    return replies
