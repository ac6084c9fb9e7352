"""Clicks: people are counted as people, programs as programs, and each verdict says why."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from crawleruseragents import CRAWLER_USER_AGENTS_DATA
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.agents import classify_agent
from distributor.core.clicks import KLASSES, RULESET, ClickRow, Hit, classify, reclassify_bursts

NOW = datetime(2026, 3, 3, 7, 30, tzinfo=UTC)
CRAWLERS = Path(__file__).parents[3] / "shared" / "data" / "web" / "crawler-user-agents.json"

IOS = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)"
KHTML = "AppleWebKit/537.36 (KHTML, like Gecko)"
ANDROID = f"Mozilla/5.0 (Linux; Android 14; {{}}) {KHTML} {{}}Chrome/126.0.0.0 Mobile Safari/537.36"
DESKTOP = f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {KHTML} Chrome/126.0.0.0 Safari/537.36"

READERS = [
    DESKTOP,
    f"{DESKTOP} Edg/126.0.0.0",
    f"{DESKTOP} OPR/111.0.0.0",
    f"{DESKTOP} YaBrowser/24.1.0.0 Yowser/2.5",
    f"{DESKTOP} Notion/3.5.1",
    f"{DESKTOP} SE 2.X MetaSr 1.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:127.0) Gecko/20100101 Firefox/127.0",
    "Mozilla/5.0 (Windows NT 10.0; rv:128.0) Gecko/20100101 Thunderbird/128.0",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {KHTML} Version/17.5 Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
    "Mozilla/5.0 (compatible; MSIE 10.0; Windows NT 6.2; Trident/6.0)",
    "Opera/9.80 (Android; Opera Mini/69.0.2254/191.303; U; en) Presto/2.12.423 Version/12.16",
    f"Mozilla/5.0 (PlayStation; PlayStation 5/8.20) {KHTML} Version/13.0 Safari/605.1.15",
    "Mozilla/5.0 (Mobile; Nokia_2720_Flip_4G; rv:48.0) Gecko/48.0 Firefox/48.0 KAIOS/2.5.2",
    f"{IOS} Version/17.5 Mobile/15E148 Safari/604.1",
    f"{IOS} CriOS/126.0.6478.54 Mobile/15E148 Safari/604.1",
    f"{IOS} FxiOS/127.0 Mobile/15E148 Safari/605.1.15",
    f"{IOS} GSA/319.0.640704100 Mobile/15E148 Safari/604.1",
    f"{IOS} Mobile/15E148 [FBAN/FBIOS;FBAV/468.0.0.41.109;FBDV/iPhone14,5;FBSN/iOS;FBSV/17.5;FBOP/5]",
    f"{IOS} Mobile/15E148 MetaIAB Facebook",
    f"{IOS} Mobile/21E219 Instagram 332.0.0.27.109 (iPhone14,5; iOS 17_4; en_US; scale=3.00; 1170x2532)",
    f"{IOS} Mobile/15E148 Twitter for iPhone/10.45",
    f"{IOS} Mobile/15E148 [LinkedInApp]/9.29.7544",
    f"{IOS} Mobile/15E148 WhatsApp/2.24.11.85",
    f"{IOS} Mobile/15E148 Bluesky/1.87",
    f"{IOS} Mobile/15E148 Feedly/94.0.1",
    f"{IOS} Mobile/15E148 MicroMessenger/8.0.49(0x18003137) NetType/WIFI Language/zh_CN",
    f"{IOS} Mobile/15E148 Safari Line/14.8.0",
    f"{IOS} Mobile/15E148 [Pinterest/iOS]",
    f"{IOS} Mobile/15E148 KAKAOTALK 10.8.5",
    f"{IOS} Mobile/15E148 DaumApps/5.0 DaumDevice/mobile",
    ANDROID.format("K", ""),
    ANDROID.format("CUBOT_X19", ""),
    ANDROID.format("CUBOT NOTE 20", ""),
    ANDROID.format("SM-S911B", "SamsungBrowser/25.0 "),
    ANDROID.format("Pixel 8 Build/AP3A.240617.008; wv", "Version/4.0 "),
    ANDROID.format("M2101K6G; wv", "Version/4.0 ") + " Viber/21.5.0",
    ANDROID.format("Pixel 6; wv", "Version/4.0 ") + " Tumblr/33.5.0.110",
    ANDROID.format("Pixel 7; wv", "Version/4.0 ")
    + " Instagram 330.0 Android (34/14; Google/google; Pixel 7; panther)",
    ANDROID.format("SM-A536B; wv", "Version/4.0 ") + " [FB_IAB/FB4A;FBAV/466.0.0.53.110;]",
    ANDROID.format("M2007J20CG; wv", "Version/4.0 ") + " Telegram-Android/10.9.1 (Xiaomi M2007J20CG; Android 12)",
    ANDROID.format("Redmi K30", "Version/4.0 ") + " SogouMSE,SogouMobileBrowser/5.34.28",
    ANDROID.format("Pixel 7", "") + " Reddit/Version 2024.20.0/Build 1596384/Android 13",
    "Lynx/2.9.0dev.10 libwww-FM/2.14 SSL-MM/1.4.1 GNUTLS/3.7.1",
    "w3m/0.5.3+git20210102",
]

PROGRAMS = [
    ("preview", "TelegramBot (like TwitterBot)"),
    ("preview", "Twitterbot/1.0"),
    ("preview", "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)"),
    ("preview", "facebookexternalhit/1.1;line-poker/1.0"),
    ("preview", "WhatsApp/2.23.20.0 A"),
    ("preview", "Viber/13.3.0.5 (iPhone)"),
    ("preview", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"),
    ("preview", "Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)"),
    ("preview", "LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)"),
    ("preview", "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com"),
    ("preview", "Mozilla/5.0 (compatible; Bluesky Cardyb/1.1; +mailto:support@bsky.app)"),
    ("preview", "http.rb/5.1.1 (Mastodon/4.2.8; +https://social.example/)"),
    ("preview", "Mozilla/4.0 (compatible; ms-office; MSOffice 16)"),
    (
        "preview",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_1) AppleWebKit/601.2.4 (KHTML, like Gecko) Version/9.0.1 "
        "Safari/601.2.4 facebookexternalhit/1.1 Facebot Twitterbot/1.0",
    ),
    ("scanner", "Mozilla/5.0 (compatible; Mimecast)"),
    ("scanner", "BarracudaCentral"),
    ("scanner", "Proofpoint URL Defense"),
    (
        "scanner",
        "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) SafeLinks Chrome/90.0 Safari/537.36",
    ),
    ("scanner", "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"),
    ("scanner", "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"),
    ("scanner", "Mozilla/5.0"),
    ("scanner", "Mozilla/5.0 (compatible)"),
    ("scanner", "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 5.1)"),
    ("scanner", "Mozilla/5.0 (compatible; CensysInspect/1.1; +https://about.censys.io/)"),
    ("bot", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
    (
        "bot",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    ),
    (
        "bot",
        "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; GPTBot/1.2; +https://openai.com/gptbot)",
    ),
    ("bot", f"{DESKTOP.replace('Chrome/', 'HeadlessChrome/')}"),
    ("bot", "Mozilla/5.0 (compatible; BrandNewBot/0.1)"),
    ("bot", "curl/8.5.0"),
    ("bot", "Wget/1.21.3"),
    ("bot", "python-requests/2.32.3"),
    ("bot", "Go-http-client/2.0"),
    ("bot", "okhttp/4.12.0"),
    ("bot", "Java/17.0.2"),
    ("bot", "SomethingNobodyKnows/1.0"),
    ("self", "distributor/0.1 (+https://example.org)"),
    ("unknown", ""),
    ("unknown", "   "),
]


def hit(agent: str = DESKTOP, method: str = "GET", **headers: str) -> Hit:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Hit(method, agent, named, "192.0.2.0/24", NOW, "slug0000001")


@pytest.mark.parametrize("agent", READERS, ids=lambda agent: agent[-40:])
def test_a_reader_is_human(agent: str) -> None:
    assert classify_agent(agent)[0] == "human", classify_agent(agent)


@pytest.mark.parametrize(("klass", "agent"), PROGRAMS, ids=lambda value: value[-40:])
def test_a_program_is_called_what_it_is(klass: str, agent: str) -> None:
    assert classify_agent(agent)[0] == klass, classify_agent(agent)


def known_crawlers() -> list[str]:
    """What the package ships and, where it is at hand, the newer copy of its list."""
    entries = list(CRAWLER_USER_AGENTS_DATA)
    if CRAWLERS.exists():
        entries += json.loads(CRAWLERS.read_text("utf-8"))
    return sorted({agent for entry in entries for agent in entry["instances"]})


def test_known_crawlers_are_not_counted_as_readers() -> None:
    agents = known_crawlers()
    humans = [agent for agent in agents if classify_agent(agent)[0] == "human"]
    assert len(agents) > 2000
    # The few are people: Facebook's and Instagram's in-app browsers and browsers the list suspects.
    assert len(humans) <= 8, humans


def test_the_verdict_says_why_and_by_which_rules() -> None:
    verdict = classify(hit("Twitterbot/1.0"))
    assert (verdict.klass, verdict.reason, verdict.ruleset) == ("preview", "link preview: Twitterbot", RULESET)


def test_a_page_opened_in_a_browser_is_human() -> None:
    opened = hit(
        accept="text/html,application/xhtml+xml,*/*;q=0.8", sec_fetch_dest="document", sec_fetch_mode="navigate"
    )
    assert classify(opened).klass == "human"
    assert classify(hit()).klass == "human"


def test_the_newsrooms_own_click_is_not_a_readers() -> None:
    assert classify(hit(), is_own=True).klass == "self"


def test_a_head_request_is_a_preview_whatever_it_calls_itself() -> None:
    assert classify(hit(IOS + " Version/17.5 Mobile/15E148 Safari/604.1", "HEAD")).klass == "preview"
    assert classify(hit("", "HEAD")).reason == "head request"
    assert classify(hit("curl/8.5.0", "HEAD")).klass == "bot"


def test_nobody_reads_by_post() -> None:
    assert classify(hit(method="POST")).reason == "post request"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sec_purpose", "prefetch"),
        ("sec_purpose", "prefetch;prerender"),
        ("sec_purpose", "prefetch;anonymous-client-ip"),
        ("purpose", "prefetch"),
        ("x_purpose", "preview"),
        ("x_moz", "prefetch"),
    ],
)
def test_a_page_fetched_ahead_is_no_click(name: str, value: str) -> None:
    assert classify(hit(**{name: value})).klass == "prefetch"


def test_a_link_fetched_as_an_image_or_by_a_script_is_no_click() -> None:
    assert classify(hit(sec_fetch_dest="image")).klass == "bot"
    assert classify(hit(sec_fetch_dest="empty")).klass == "bot"


def test_a_browser_that_takes_anything_but_pages_is_a_scanner() -> None:
    assert classify(hit(accept="*/*")).klass == "scanner"


def test_no_user_agent_stays_unknown() -> None:
    assert classify(hit("")).klass == "unknown"


headers_sent = st.dictionaries(
    st.sampled_from(["sec-purpose", "purpose", "accept", "sec-fetch-dest", "x-moz"]), st.text(max_size=50)
)


@given(st.text(max_size=700), st.sampled_from(["GET", "HEAD", "POST", "x"]), headers_sent)
def test_every_hit_gets_a_verdict(agent: str, method: str, headers: dict[str, str]) -> None:
    verdict = classify(Hit(method, agent, headers, "", NOW, "s"))
    assert verdict.klass in KLASSES
    assert verdict.reason


class TestBursts:
    @staticmethod
    def click(slug: str, second: float, visitor: str = "v1", klass: str = "human") -> ClickRow:
        return ClickRow(slug, NOW + timedelta(seconds=second), klass, "browser", RULESET, visitor)

    @staticmethod
    def edition_of(slug: str) -> str | None:
        """The first letter of the test's slugs."""
        return None if slug.startswith("-") else slug[0]

    def klasses(self, *clicks: ClickRow) -> list[str]:
        return [click.klass for click in reclassify_bursts(clicks, self.edition_of)]

    def test_three_links_of_one_edition_in_two_seconds_are_a_scanner(self) -> None:
        clicks = [self.click("a1", 0), self.click("a2", 1), self.click("a3", 2)]
        judged = reclassify_bursts(clicks, self.edition_of)
        assert [click.klass for click in judged] == ["scanner"] * 3
        assert judged[0] == replace(clicks[0], klass="scanner", reason="burst of links")

    def test_two_links_are_a_quick_reader(self) -> None:
        assert self.klasses(self.click("a1", 0), self.click("a2", 0)) == ["human"] * 2

    def test_the_same_link_thrice_is_an_impatient_reader(self) -> None:
        assert self.klasses(*[self.click("a1", n / 10) for n in range(5)]) == ["human"] * 5

    def test_three_links_in_more_than_two_seconds_are_a_reader(self) -> None:
        assert self.klasses(self.click("a1", 0), self.click("a2", 1), self.click("a3", 2.1)) == ["human"] * 3

    def test_links_of_different_editions_and_visitors_are_counted_apart(self) -> None:
        assert self.klasses(self.click("a1", 0), self.click("b2", 0), self.click("a3", 0)) == ["human"] * 3
        assert self.klasses(self.click("a1", 0), self.click("a2", 0), self.click("a3", 0, "v2")) == ["human"] * 3

    def test_later_clicks_of_the_same_visitor_may_be_a_reader(self) -> None:
        burst = [self.click(f"a{n}", n / 10) for n in range(4)]
        assert self.klasses(*burst, self.click("a1", 60)) == ["scanner"] * 4 + ["human"]

    def test_order_in_the_batch_does_not_matter(self) -> None:
        assert self.klasses(self.click("a3", 1), self.click("a1", 0), self.click("a2", 1)) == ["scanner"] * 3

    def test_other_classes_keep_theirs_but_count(self) -> None:
        clicks = [self.click("a1", 0, klass="preview"), self.click("a2", 0, klass="unknown"), self.click("a3", 0)]
        assert self.klasses(*clicks) == ["preview", "scanner", "scanner"]

    def test_clicks_without_visitor_or_edition_stay(self) -> None:
        assert self.klasses(*[self.click(f"a{n}", 0, "") for n in range(4)]) == ["human"] * 4
        assert self.klasses(*[self.click(f"-{n}", 0) for n in range(4)]) == ["human"] * 4

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.integers(0, 60)), max_size=40))
    def test_it_agrees_with_looking_at_every_window(self, plan: list[tuple[str, int, int]]) -> None:
        clicks = [self.click(f"{edition}{link}", tick / 10) for edition, link, tick in plan]
        expected = []
        for click in clicks:
            windows = (
                {
                    other.slug
                    for other in clicks
                    if other.slug[0] == click.slug[0]
                    and timedelta(0) <= other.at - start.at <= timedelta(seconds=2)
                }
                for start in clicks
                if start.slug[0] == click.slug[0] and timedelta(0) <= click.at - start.at <= timedelta(seconds=2)
            )
            expected.append("scanner" if any(len(window) >= 3 for window in windows) else "human")
        assert self.klasses(*clicks) == expected
