"""Which addresses Telegram takes for a link. Source: LinkManager.cpp (check_link) of tdlib/td."""

from __future__ import annotations

from urllib.parse import urlsplit


def find_url_problem(url: str) -> str:
    """Why the server takes this for no link, in its own words; "" when it is one.

    A host without a dot ("localhost") is no link for Telegram, and one such link refuses the whole message.
    """
    scheme, found, rest = url.partition("://")
    if found and scheme.lower() not in ("http", "https", "tg", "ton"):
        return "Unsupported URL protocol"
    if found and scheme.lower() in ("tg", "ton"):
        return ""
    try:
        host = urlsplit(f"http://{rest if found else url}").hostname or ""
    except ValueError:
        return "Wrong HTTP URL"
    if not host or any(char.isspace() for char in url) or ("." not in host and ":" not in host):
        return "Wrong HTTP URL"
    return ""
