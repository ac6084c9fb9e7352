"""Asks a site whether a page is there, for as few bytes as it takes."""

from __future__ import annotations

from distributor.sources.fetch import Fetcher

#: For one page.
SECONDS = 5.0
#: Answers of servers that know no HEAD.
_NO_HEAD = (405, 501)


def ask_page(fetcher: Fetcher, url: str, is_sure: bool) -> int:
    """The status of a page after its redirects: by HEAD, or by GET where HEAD is not known or `is_sure` is wanted.

    SourceError when there is no answer within 5 seconds or the address may not be asked.
    """
    status = 405 if is_sure else fetcher.look(url, "HEAD", SECONDS)
    return fetcher.look(url, "GET", SECONDS) if status in _NO_HEAD else status
