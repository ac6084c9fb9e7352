"""The table of X's answers, without a wire."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.channels.x.answers import Answer, find_rest, find_wait, judge_answer, read_problem
from distributor.core.errors import Busy, ChannelClosed, MessageRefused, SendError, Unknown
from distributor.core.message import Accepted, Outcome

DATE = {"date": "Mon, 23 Nov 2026 10:00:00 GMT"}
NOW = 1_795_428_000
BLANK = "about:blank"


def answer(status: int, body: Any = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Answer(status, named, json.dumps(body) if body is not None else "")


def forbidden(detail: str, kind: str = BLANK) -> Answer:
    return answer(403, {"title": "Forbidden", "status": 403, "detail": detail, "type": kind})


@pytest.mark.parametrize(
    ("given_answer", "expected"),
    [
        (forbidden("You are not allowed to create a Tweet with duplicate content."), MessageRefused),
        (forbidden("Your account is suspended and is not permitted to access this feature."), ChannelClosed),
        (forbidden("You are not permitted to perform this action."), ChannelClosed),
        (
            forbidden("To protect our users from spam, this account is temporarily locked."),
            ChannelClosed,
        ),
        (
            forbidden(
                "Your client app is not configured with the appropriate oauth1 app permissions for this endpoint.",
                "https://api.twitter.com/2/problems/oauth1-permissions",
            ),
            ChannelClosed,
        ),
        (forbidden("enroll", "https://api.twitter.com/2/problems/client-not-enrolled"), ChannelClosed),
        (forbidden("Your Tweet text is too long."), MessageRefused),
        (forbidden("User is over daily status update limit."), Busy),
        (answer(400, {"errors": [{"message": "bad"}]}), MessageRefused),
        (answer(401), ChannelClosed),
        (answer(402), ChannelClosed),
        (answer(404), ChannelClosed),
        (answer(409), Unknown),
        (answer(409, {"title": "Conflict"}), MessageRefused),
        (answer(413), MessageRefused),
        (answer(422, {"title": "Unprocessable"}), MessageRefused),
        (answer(429, {"errors": [{"code": 88, "message": "Rate limit exceeded"}]}), Busy),
        (answer(429, {"type": "x/problems/usage-capped", "period": "Monthly"}), ChannelClosed),
        (answer(429, {"type": "x/problems/usage-capped", "period": "Daily"}), Busy),
        (answer(101), Unknown),
        (answer(301), Unknown),
        (answer(408), Unknown),
        (answer(500), Unknown),
        (answer(599), Unknown),
        (answer(200, {"data": {"id": "5"}}), Accepted),
        (answer(200, {"data": {"id": "5 OR 1"}}), Unknown),
    ],
)
def test_each_answer_has_one_meaning(given_answer: Answer, expected: type[Outcome]) -> None:
    assert type(judge_answer(given_answer)) is expected


@given(st.integers(100, 599), st.text(max_size=200) | st.binary().map(repr))
def test_no_answer_breaks_the_table_and_none_is_an_outage(status: int, text: str) -> None:
    outcome = judge_answer(Answer(status, {}, text))
    assert isinstance(outcome, Accepted | Unknown | Busy | MessageRefused | ChannelClosed)
    if isinstance(outcome, SendError):
        assert len(outcome.detail) <= 300


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["data", "id", "errors", "detail", "type", "title", "message"]), inner)
    ),
    max_leaves=8,
)


@given(st.sampled_from([200, 201, 400, 403, 429]), JSON)
def test_no_json_breaks_the_table(status: int, body: Any) -> None:
    judge_answer(answer(status, body))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 60),
        ({"x-rate-limit-reset": str(NOW + 120)}, 60),
        ({**DATE, "x-rate-limit-reset": str(NOW + 120)}, 120),
        ({**DATE, "x-rate-limit-reset": str(NOW - 5)}, 1),
        ({**DATE, "x-rate-limit-reset": str(NOW + 10**9)}, 86_400),
        ({**DATE, "x-rate-limit-reset": "soon"}, 60),
        ({"date": "never", "x-rate-limit-reset": str(NOW)}, 60),
        ({"retry-after": "7"}, 7),
        ({"retry-after": "0"}, 1),
        ({"retry-after": "-1"}, 60),
        (
            {
                **DATE,
                "x-rate-limit-remaining": "9",
                "x-rate-limit-reset": str(NOW + 100),
                "x-app-limit-24hour-remaining": "0",
                "x-app-limit-24hour-reset": str(NOW + 5000),
            },
            5000,
        ),
    ],
)
def test_the_wait_is_told_by_both_ends_of_the_answer(headers: dict[str, str], seconds: float) -> None:
    assert find_wait(headers) == seconds


def test_there_is_nothing_to_rest_for_while_there_is_room() -> None:
    assert find_rest({"x-rate-limit-remaining": "1", "x-rate-limit-reset": "5"}) is None
    assert find_rest({"x-rate-limit-remaining": "0", "x-rate-limit-reset": "5"}) == 5
    assert find_rest({"x-rate-limit-remaining": "0"}) is None


def test_the_words_of_a_web_page_are_kept_without_its_markup() -> None:
    page = Answer(403, {}, "<html><style>b{}</style><h1>Attention\n Required!</h1></html>")
    assert read_problem(page).words == "Attention Required!"
