"""Slugs, targets and share buttons: what an article's address says is never changed, only added to."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.links import (
    SHARE_NETWORKS,
    ascii_url,
    is_safe_target,
    merge_utm,
    new_slug,
    share_url,
)

UTM = {"utm_source": "telegram", "utm_medium": "social", "utm_campaign": "morning brief"}
LINK = "https://go.example.org/l/0aB3dE9xYz1"

url_characters = st.text("abcXYZ019-._~:/?#[]@!$&'()*+,;=%|éш日{}^`", max_size=30)
addresses = st.builds(
    "{}://{}{}".format, st.sampled_from(["http", "https", "HTTPS"]), st.just("example.org"), url_characters
)
parameters = st.dictionaries(
    st.sampled_from(["utm_source", "utm_medium", "utm_campaign", "utm_content"]), st.text(max_size=12)
)


class TestSlug:
    def test_it_has_eleven_letters_and_digits(self) -> None:
        assert new_slug(bytes(8)) == "0" * 11
        assert re.fullmatch("[0-9A-Za-z]{11}", new_slug(b"\xff" * 8))

    def test_more_bytes_than_needed_are_fine_and_fewer_are_refused(self) -> None:
        assert new_slug(b"abcdefgh" + b"rest") == new_slug(b"abcdefgh")
        with pytest.raises(ValueError, match="8 random bytes, not 7"):
            new_slug(b"abcdefg")

    @given(st.binary(min_size=8, max_size=8), st.binary(min_size=8, max_size=8))
    def test_different_bytes_give_different_slugs(self, one: bytes, other: bytes) -> None:
        assert (new_slug(one) == new_slug(other)) == (one == other)


class TestMergeUtm:
    @pytest.mark.parametrize(
        ("url", "merged"),
        [
            ("https://example.org/a", "https://example.org/a?utm_source=x"),
            ("https://example.org", "https://example.org?utm_source=x"),
            ("https://example.org/a?", "https://example.org/a?utm_source=x"),
            ("https://example.org/a?b=1", "https://example.org/a?b=1&utm_source=x"),
            ("https://example.org/a?b=1&", "https://example.org/a?b=1&utm_source=x"),
            ("https://example.org/a#top", "https://example.org/a?utm_source=x#top"),
            ("https://example.org/a?b#c?d#e", "https://example.org/a?b&utm_source=x#c?d#e"),
            ("https://example.org/#!/route?x=1", "https://example.org/?utm_source=x#!/route?x=1"),
            ("http://example.org/a%2Fb?q=%20+%zz|", "http://example.org/a%2Fb?q=%20+%zz|&utm_source=x"),
            ("https://приклад.укр/шлях?я=ї", "https://приклад.укр/шлях?я=ї&utm_source=x"),
            ("https://example.org/?a=1;b=2", "https://example.org/?a=1;b=2&utm_source=x"),
            ("https://example.org/?utm_source=rss", "https://example.org/?utm_source=rss"),
            ("https://example.org/?UTM_Source=rss&b", "https://example.org/?UTM_Source=rss&b"),
            ("https://example.org/?utm%5Fsource=rss", "https://example.org/?utm%5Fsource=rss"),
            ("https://example.org/?utm_source=", "https://example.org/?utm_source="),
            ("mailto:news@example.org", "mailto:news@example.org"),
            ("/relative", "/relative"),
            ("", ""),
        ],
    )
    def test_what_was_there_stays(self, url: str, merged: str) -> None:
        assert merge_utm(url, {"utm_source": "x"}) == merged

    def test_values_are_encoded_and_empty_ones_left_out(self) -> None:
        merged = merge_utm("https://example.org/", {"utm_source": "a&b=c d/é", "utm_term": ""})
        assert merged == "https://example.org/?utm_source=a%26b%3Dc%20d%2F%C3%A9"

    def test_nothing_to_add_changes_nothing(self) -> None:
        assert merge_utm("https://example.org/a?#", {}) == "https://example.org/a?#"

    @given(addresses, parameters)
    def test_the_old_query_and_fragment_survive_byte_for_byte(self, url: str, params: dict[str, str]) -> None:
        merged = merge_utm(url, params)
        before, mark, fragment = url.partition("#")
        assert merged.startswith(before)
        assert merged.endswith(mark + fragment)
        assert merged.count("#") == url.count("#")

    @given(addresses, parameters)
    def test_every_parameter_can_be_read_once(self, url: str, params: dict[str, str]) -> None:
        query = merge_utm(url, params).partition("#")[0].partition("?")[2]
        read = dict(parse_qsl(query.replace(";", "&"), keep_blank_values=True, errors="surrogateescape"))
        for name, value in params.items():
            if value and "utm" not in url:
                assert read[name] == value

    @given(addresses, parameters)
    def test_merging_twice_adds_nothing(self, url: str, params: dict[str, str]) -> None:
        assert merge_utm(merge_utm(url, params), params) == merge_utm(url, params)


class TestShare:
    def test_there_is_a_button_for_each_network(self) -> None:
        assert SHARE_NETWORKS == ("x", "telegram", "whatsapp", "facebook", "linkedin", "email", "copy")

    @pytest.mark.parametrize(
        ("network", "host", "fields"),
        [
            ("x", "x.com", {"text": ["Bread & “salt” 50%"], "url": [LINK]}),
            ("telegram", "t.me", {"url": [LINK], "text": ["Bread & “salt” 50%"]}),
            ("whatsapp", "wa.me", {"text": [f"Bread & “salt” 50% {LINK}"]}),
            ("facebook", "www.facebook.com", {"u": [LINK]}),
            ("linkedin", "www.linkedin.com", {"url": [LINK]}),
        ],
    )
    def test_the_network_reads_what_was_meant(self, network: str, host: str, fields: dict[str, list[str]]) -> None:
        parts = urlsplit(share_url(network, LINK, "Bread & “salt”\n 50%"))
        assert (parts.scheme, parts.hostname) == ("https", host)
        assert parse_qs(parts.query) == fields

    def test_a_mail_has_subject_and_body_with_spaces_not_plus_signs(self) -> None:
        url = share_url("email", LINK, "Bread + salt\r\nBcc: a@example.org")
        assert "+" not in url
        fields = dict(part.split("=") for part in url.removeprefix("mailto:?").split("&"))
        assert unquote(fields["subject"]) == "Bread + salt Bcc: a@example.org"
        assert unquote(fields["body"]) == f"Bread + salt Bcc: a@example.org\r\n\r\n{LINK}"

    def test_copy_is_the_link_itself(self) -> None:
        assert share_url("copy", LINK, "Title") == LINK

    def test_an_unknown_network_is_named(self) -> None:
        with pytest.raises(ValueError, match="no share button for 'myspace'"):
            share_url("myspace", LINK, "Title")

    @given(st.sampled_from([name for name in SHARE_NETWORKS if name != "copy"]), st.text(st.characters(codec=None)))
    def test_any_headline_gives_a_plain_address(self, network: str, title: str) -> None:
        assert re.fullmatch(r"[!-;=?-~]+", share_url(network, LINK, title))


class TestSafeTarget:
    @pytest.mark.parametrize(
        "url",
        [
            "https://example.org/a",
            "http://example.org",
            "HTTPS://EXAMPLE.ORG:8443/?q=%20#x",
            "https://приклад.укр/шлях",
            "https://192.0.2.1/",
            "https://[2001:db8::1]:8080/a",
            "https://example.org/a|b^c`d{e}",
            "https://my_host.example.org/@name",
        ],
    )
    def test_web_addresses_are_safe(self, url: str) -> None:
        assert is_safe_target(url)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "example.org",
            "//example.org",
            "javascript:alert(1)",
            "data:text/html,x",
            "ftp://example.org/",
            "https:///path",
            "https://",
            "https:example.org",
            "https://?q",
            "https://:80/",
            "https://example.org\r\nSet-Cookie: a=b",
            "https://example.org/a b",
            "java\tscript:alert(1)",
            " https://example.org",
            "https://example.org\\@evil.example",
            "https://example.org@evil.example/",
            "https://user:secret@example.org/",
            "https://example.org:port/",
            "https://example.org:99999/",
            "https://[::1/",
            "https://exa%6Dple.org/",
            "https://example.org/\x00",
            "https://example.org/\ud800",
            'https://example.org/"onclick',
        ],
    )
    def test_everything_else_is_not(self, url: str) -> None:
        assert not is_safe_target(url)


class TestAsciiUrl:
    @pytest.mark.parametrize(
        ("url", "ascii_form"),
        [
            ("https://example.org/a?b=c|d#e", "https://example.org/a?b=c|d#e"),
            ("https://Приклад.укр:8080/шлях?q=я", None),
            ("https://straße.example/ß", "https://xn--strae-oqa.example/%C3%9F"),
            ("https://example.org/é%20é#é", "https://example.org/%C3%A9%20%C3%A9#%C3%A9"),
            ("https://bücher.example", "https://xn--bcher-kva.example"),
            ("https://日本語。jp/", "https://xn--wgv71a119e.jp/"),
            ("https://ｅxample.org/", "https://example.org/"),
        ],
    )
    def test_hosts_become_punycode_and_paths_percent_encoded(self, url: str, ascii_form: str | None) -> None:
        expected = ascii_form or "https://xn--80aikifvh.xn--j1amh:8080/%D1%88%D0%BB%D1%8F%D1%85?q=%D1%8F"
        assert ascii_url(url) == expected

    @given(addresses)
    def test_a_safe_target_becomes_safe_ascii(self, url: str) -> None:
        if is_safe_target(url):
            assert ascii_url(url).isascii()
            assert is_safe_target(ascii_url(url))

    @given(addresses)
    def test_the_same_bytes_are_asked_for(self, url: str) -> None:
        if is_safe_target(url):
            assert unquote(urlsplit(ascii_url(url)).path) == unquote(urlsplit(url).path)
