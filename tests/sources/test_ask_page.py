"""Asking a site whether a page is there: the outcome and the price."""

import pytest

from distributor.core.errors import SourceError
from distributor.sources.fetch import Fetcher
from distributor.sources.last_look import ask_page
from distributor.sources.sandbox import NewsSite, Reply
from distributor.sources.sandbox_pages import Story
from tests.sources.raw_server import RawServer

PATH = "/news/ferries/"


@pytest.fixture
def page(site: NewsSite) -> str:
    site.publish(Story("ferries", "River towns reopen their night ferries", body_html="<p>Four.</p>" * 1000))
    return site.url + PATH


def asked(site: NewsSite) -> list[tuple[str, str]]:
    return [(call.method, call.path) for call in site.calls]


def test_a_page_is_asked_for_by_its_head(site: NewsSite, fetcher: Fetcher, page: str) -> None:
    assert ask_page(fetcher, page, is_sure=False) == 200
    assert asked(site) == [("HEAD", PATH)]


def test_a_page_that_was_taken_back_is_not_found(site: NewsSite, fetcher: Fetcher, page: str) -> None:
    site.withdraw("ferries")
    assert ask_page(fetcher, page, is_sure=False) == 404
    assert ask_page(fetcher, page, is_sure=True) == 404
    assert asked(site) == [("HEAD", PATH), ("GET", PATH)], "who says no to a HEAD is asked as readers ask"


@pytest.mark.parametrize("status", [405, 501])
def test_a_server_that_knows_no_head_is_asked_for_the_page(
    site: NewsSite, fetcher: Fetcher, page: str, status: int
) -> None:
    site.answer_next(PATH, Reply(status))
    assert ask_page(fetcher, page, is_sure=False) == 200
    assert asked(site) == [("HEAD", PATH), ("GET", PATH)]


def test_redirects_are_followed(site: NewsSite, fetcher: Fetcher, page: str) -> None:
    site.answer_next("/old/", Reply(301, headers={"Location": PATH}))
    assert ask_page(fetcher, site.url + "/old/", is_sure=False) == 200
    site.answer_next("/old/", Reply(302, headers={"Location": "/nowhere/"}))
    assert ask_page(fetcher, site.url + "/old/", is_sure=False) == 404


def test_a_page_is_not_read_to_its_end() -> None:
    """The answer is known when its headers are: what follows may be long, or may never come."""
    head = b"HTTP/1.1 410 Gone\r\nContent-Length: 900000000\r\n\r\n"
    with RawServer([head]) as server:
        fetcher = Fetcher(allow_private=[server.place])
        assert ask_page(fetcher, server.url, is_sure=True) == 410


def test_what_may_not_be_asked_is_refused(page: str) -> None:
    with pytest.raises(SourceError, match="allow_private"):
        ask_page(Fetcher(), page, is_sure=False)
