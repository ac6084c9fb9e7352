"""Which posts a schedule takes."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.filters import Filter
from distributor.core.post import Post

POST = Post(
    source="front",
    guid="1",
    url="https://example.org/1",
    headline="Parliament votes on climate law",
    summary="Deputies decide today. Read more about C++ and #metoo.",
    byline="By Anna Example and Bob O’Sample",
    section="World",
    tags=("Politics", "Climate Change"),
    provenance={"byline": "feed"},
)


def test_an_empty_filter_takes_everything() -> None:
    assert Filter().matches(POST)
    assert Filter(excluded=Filter()).matches(POST)


@pytest.mark.parametrize(
    "filter_",
    [
        Filter(sections=("world",)),
        Filter(sections=("Sport", "WORLD")),
        Filter(tags=("climate  change",)),
        Filter(authors=("anna example",)),
        Filter(authors=("Example",)),
        Filter(sources=("Front",)),
        Filter(words=("CLIMATE LAW",)),
        Filter(words=("deputies",)),
        Filter(words=("parl*",)),
        Filter(words=("C++",)),
        Filter(words=("#metoo",)),
        Filter(sections=("World",), words=("votes",)),
        Filter(sections=("World",), excluded=Filter(words=("football",))),
    ],
)
def test_what_it_names_is_taken(filter_: Filter) -> None:
    assert filter_.matches(POST)


@pytest.mark.parametrize(
    "filter_",
    [
        Filter(sections=("Worldwide",)),
        Filter(tags=("climate",)),
        Filter(authors=("Ann",)),
        Filter(sources=("back",)),
        Filter(words=("parl",)),
        Filter(words=("law deputies",)),
        Filter(words=(".*",)),
        Filter(sections=("World",), words=("football",)),
        Filter(excluded=Filter(sections=("World",))),
        Filter(sections=("World",), excluded=Filter(tags=("sport",), words=("climate",))),
    ],
)
def test_what_it_does_not_name_or_excludes_is_left(filter_: Filter) -> None:
    assert not filter_.matches(POST)


def test_a_guessed_author_is_enough_to_refuse_and_not_to_take() -> None:
    guessed = replace(POST, provenance={"byline": "trafilatura"})
    assert not Filter(authors=("Anna Example",)).matches(guessed)
    assert not Filter(excluded=Filter(authors=("Anna Example",))).matches(guessed)


def test_words_are_found_in_any_script() -> None:
    post = replace(POST, headline="Верховна Рада ухвалила ЗАКОН", summary="")
    assert Filter(words=("закон",)).matches(post)
    assert Filter(words=("ухвал*",)).matches(post)
    assert not Filter(words=("рад",)).matches(post)


@given(st.text(min_size=1), st.text())
def test_any_text_is_a_word_that_may_be_looked_for(word: str, headline: str) -> None:
    Filter(words=(word,), tags=(word,), authors=(word,)).matches(replace(POST, headline=headline))


@given(
    st.lists(st.sampled_from(["World", "Sport", "Arts"]), max_size=3), st.sampled_from(["World", "Sport", "Arts"])
)
def test_excluding_is_the_opposite_of_taking(sections: list[str], section: str) -> None:
    post = replace(POST, section=section)
    wanted = Filter(sections=tuple(sections))
    assert Filter(excluded=wanted).matches(post) == (not sections or not wanted.matches(post))
