"""Words for X: 280 as X counts, links whole, and a word of warning where a headline would cost money."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from x_support import LINK

from distributor.channels.x.channel import XChannel
from distributor.channels.x.length import find_urls, weighted_length
from distributor.core.errors import Unsupported
from distributor.core.message import Recipient, make_slot
from distributor.core.text import FIT_END, FIT_START

Make = Callable[..., XChannel]
READER = Recipient(0, "x")


def compose(channel: XChannel, text: str) -> str:
    return str(channel.compose({"each.txt": text}, "each").payload["text"])


def test_a_short_post_stays_as_it_is(make_channel: Make) -> None:
    content = make_channel().compose({"each.txt": f"\nRain by noon\n\n{LINK}\n"}, "each")
    assert content.payload == {"text": f"Rain by noon\n\n{LINK}"}
    assert content.warnings == ()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(min_size=1, max_size=600))
def test_any_headline_fits_and_the_link_stays_whole(make_channel: Make, headline: str) -> None:
    headline = headline.replace(FIT_START, "").replace("\ue100", "")
    text = compose(make_channel(), f"{FIT_START}{headline}{FIT_END}\n\n{LINK}")
    assert weighted_length(text) <= 280
    assert text.endswith(LINK)
    assert LINK in {span.url for span in find_urls(text)}
    assert unicodedata.is_normalized("NFC", text)


def test_a_long_headline_ends_after_a_word_and_the_measure_says_so(make_channel: Make) -> None:
    channel = make_channel()
    content = channel.compose({"each.txt": f"{FIT_START}{'Снігопад ' * 60}{FIT_END}\n\n{LINK}"}, "each")
    preview = channel.preview(content, READER)
    assert preview.text == content.payload["text"]
    assert preview.text.splitlines()[0].endswith("Снігопад…")
    assert preview.measure == f"{weighted_length(preview.text)} of 280"
    assert preview.title == "x"


def test_a_fixed_text_that_is_too_long_is_refused(make_channel: Make) -> None:
    with pytest.raises(Unsupported, match="at most 280"):
        compose(make_channel(), "word " * 80)


@pytest.mark.parametrize("text", ["", "  \n", f"{FIT_START}{FIT_END}"])
def test_an_empty_post_is_refused(make_channel: Make, text: str) -> None:
    with pytest.raises(Unsupported, match="empty"):
        compose(make_channel(), text)


def test_a_personal_field_is_refused(make_channel: Make) -> None:
    with pytest.raises(Unsupported, match="same for everyone"):
        compose(make_channel(), f"Hello {make_slot('name')}")


def test_an_unknown_form_is_refused(make_channel: Make) -> None:
    with pytest.raises(Unsupported, match="each or digest"):
        make_channel().compose({}, "poster")


def test_an_accidental_link_is_warned_about(make_channel: Make) -> None:
    content = make_channel().compose({"each.txt": f"Talks end.Next round in May\n\n{LINK}"}, "each")
    (warning,) = content.warnings
    assert "end.Next" in warning and "end. Next" in warning


def test_an_accidental_link_in_a_post_without_links_names_the_price(make_channel: Make) -> None:
    _, price = make_channel().compose({"each.txt": "Booking.com fined"}, "each").warnings
    assert price == "with a link this post costs $0.200, without one $0.015"


def test_two_cashtags_are_warned_about(make_channel: Make) -> None:
    assert make_channel().compose({"each.txt": "$AAPL rises, $5 a day"}, "each").warnings == ()
    (warning,) = make_channel().compose({"each.txt": "$AAPL up, $MSFT down, $aapl flat"}, "each").warnings
    assert warning.endswith("this one has $AAPL, $MSFT")


def test_characters_that_x_refuses_are_taken_out(make_channel: Make) -> None:
    assert compose(make_channel(), "\ufeffRain\uffff by noon") == "Rain by noon"


def test_the_account_shares_its_pace_across_channels_and_hides_its_token(make_channel: Make) -> None:
    one, same, other = make_channel(), make_channel(name="again"), make_channel(access_token="1-other")
    ours, theirs = ([p for p in c.limits.paces if not p.key.startswith("cap:")] for c in (one, other))
    assert ours == [p for p in same.limits.paces if not p.key.startswith("cap:")]
    assert ours != theirs
    assert [(pace.count, pace.seconds) for pace in ours] == [(300, 10_800), (100, 900)]
    assert len({pace.key for pace in ours}) == 2
    assert "sandbox" not in repr(one.limits)
    assert one.limits.batch == 1
