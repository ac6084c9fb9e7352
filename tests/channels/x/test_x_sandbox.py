"""The sandbox is as strict as X's own description of its API."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from x_support import LINK

from distributor.channels.x.adapter import Keys, open_client
from distributor.channels.x.sandbox import USER_ID, Sandbox

Call = Callable[..., Any]


@pytest.fixture
def call(sandbox: Sandbox) -> Call:
    """One signed request of tweepy's; gives (status, JSON)."""
    values = sandbox.settings()
    keys = Keys(**{name: values[name] for name in Keys.__dataclass_fields__ if name in values})
    client, session = open_client(keys, sandbox.url, 5.0, "test")

    def request(method: str, route: str, **more: Any) -> tuple[int, Any]:
        try:
            client.request(method, route, user_auth=True, **more)
        except Exception:
            assert session.answer is not None
        assert session.answer is not None
        return session.answer.status, session.answer.json()

    return request


def post(call: Call, text: str) -> tuple[int, Any]:
    status, data = call("POST", "/2/tweets", json={"text": text})
    return status, data


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "text"),
        ({"text": ""}, "at least 1"),
        ({"text": 5}, "not a string"),
        ({"text": "Hi", "status": "x"}, "does not allow additional properties"),
        ([], "not an object"),
    ],
)
def test_a_body_that_x_does_not_describe_is_refused(call: Call, sandbox: Sandbox, body: Any, words: str) -> None:
    status, data = call("POST", "/2/tweets", json=body)
    assert status == 400
    assert words in data["errors"][0]["message"]
    assert sandbox.seen == []


def test_281_is_too_long_and_a_link_counts_23(call: Call) -> None:
    assert post(call, "a" * 281)[0] == 403
    assert post(call, "a" * 280)[0] == 201
    assert post(call, f"{'b' * 256} {LINK}?{'c' * 100}")[0] == 201


def test_the_answer_shows_short_links_and_the_timeline_the_whole_ones(call: Call) -> None:
    status, created = post(call, f"Rain {LINK} by example.org")
    assert status == 201
    assert LINK not in created["data"]["text"] and created["data"]["text"].count("https://t.co/") == 2
    _, timeline = call("GET", f"/2/users/{USER_ID}/tweets", params={"tweet.fields": "entities"})
    urls = timeline["data"][0]["entities"]["urls"]
    assert [url["expanded_url"] for url in urls] == [LINK, "http://example.org"]
    _, bare = call("GET", f"/2/users/{USER_ID}/tweets")
    assert "entities" not in bare["data"][0]


def test_the_same_words_again_are_refused_for_twelve_hours() -> None:
    now = [1_800_000_000.0]
    with Sandbox(clock=lambda: now[0]) as sandbox:
        values = sandbox.settings()
        keys = Keys(**{name: values[name] for name in Keys.__dataclass_fields__ if name in values})
        client, session = open_client(keys, sandbox.url, 5.0, "test")
        assert client.create_tweet(text="Rain").status_code == 201
        with pytest.raises(Exception, match="duplicate content"):
            client.create_tweet(text="Rain")
        now[0] += 12 * 3600 + 1
        assert client.create_tweet(text="Rain").status_code == 201
        session.close()


def test_a_deleted_post_is_gone_and_costs_a_cent(call: Call, sandbox: Sandbox) -> None:
    _, created = post(call, "Rain")
    assert call("DELETE", f"/2/tweets/{created['data']['id']}") == (200, {"data": {"deleted": True}})
    assert call("DELETE", f"/2/tweets/{created['data']['id']}") == (200, {"data": {"deleted": False}})
    assert sandbox.seen == []
    assert sandbox.spent == Decimal("0.025")


def test_prices_are_those_of_the_list(call: Call, sandbox: Sandbox) -> None:
    post(call, "Plain words")
    assert sandbox.spent == Decimal("0.015")
    post(call, "Talks end.Next round in May")
    assert sandbox.spent == Decimal("0.215")
    call("GET", "/2/users/me")
    assert sandbox.spent == Decimal("0.225")
    for _ in range(2):
        call("GET", f"/2/users/{USER_ID}/tweets")
    assert sandbox.spent == Decimal("0.227")
    post(call, "Plain words")
    assert sandbox.spent == Decimal("0.227")


def test_a_request_without_the_right_signature_is_refused(sandbox: Sandbox) -> None:
    client, session = open_client(Keys("other", "b", "c", "d"), sandbox.url, 5.0, "test")
    with pytest.raises(Exception, match="Could not authenticate you"):
        client.create_tweet(text="Rain")
    client.bearer_token = "token"
    with pytest.raises(Exception, match="Unauthorized"):
        client.create_tweet(text="Rain", user_auth=False)
    session.close()
    assert sandbox.seen == []


def test_the_hundred_and_first_post_of_a_window_waits() -> None:
    with Sandbox(limit=2, clock=lambda: 1_800_000_000.0) as sandbox:
        values = sandbox.settings()
        keys = Keys(**{name: values[name] for name in Keys.__dataclass_fields__ if name in values})
        client, session = open_client(keys, sandbox.url, 5.0, "test")
        left = [client.create_tweet(text=text).headers["x-rate-limit-remaining"] for text in "ab"]
        assert left == ["1", "0"]
        with pytest.raises(Exception, match="429"):
            client.create_tweet(text="c")
        assert session.answer is not None
        assert session.answer.headers["x-rate-limit-reset"] == "1800000900"
        session.close()


def test_an_unknown_address_is_not_found(call: Call) -> None:
    assert call("GET", "/2/tweets/counts")[0] == 404
    assert call("GET", "/2/users/5/tweets")[0] == 404
    assert call("GET", f"/2/users/{USER_ID}/tweets", params={"max_results": 3})[0] == 400


def test_what_was_posted_outlives_a_restart_of_the_server(sandbox: Sandbox, call: Call) -> None:
    post(call, "Rain")
    sandbox.stop()
    sandbox.start()
    assert [sighting.text for sighting in sandbox.seen] == ["Rain"]
    assert json.loads(sandbox.seen[0].raw) == {"text": "Rain"}


def test_links_to_this_machine_are_links_in_the_demo(call: Call, sandbox: Sandbox) -> None:
    post(call, "Rain http://127.0.0.1:8080/l/4fTz9QmK2p and example.org")
    assert sandbox.seen[0].links == ("http://127.0.0.1:8080/l/4fTz9QmK2p", "http://example.org")
