"""What a User-Agent header says about who asks: a browser, or which kind of program.

Own rules for link previews, mail scanners and the traps of the list; then the names and tags of
crawler-user-agents (MIT), loaded on first use. The header is easily forged: see `clicks` for what else counts.
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Literal

AgentKlass = Literal["human", "preview", "scanner", "bot", "self", "unknown"]

OWN_AGENT = "distributor/"
LONGEST_AGENT = 512

_PREVIEW = re.compile(
    r"^WhatsApp/|^Viber/|TelegramBot|Twitterbot|facebookexternalhit|Facebot|facebookcatalog|Slackbot|Slack-ImgProxy"
    r"|meta-external(?:agent|fetcher|hit)|Discordbot|LinkedInBot|SkypeUriPreview|BingPreview|MicrosoftPreview|Cardyb"
    r"|Snap URL Preview|SnapURLPreview|redditbot|Pinterestbot|vkShare|kakaotalk-scrap|Iframely|Embedly|Mastodon/"
    r"|Pleroma|Misskey|Friendica|Lemmy|Mattermost-Bot|ZoomBot|Google-PageRenderer|Chatwork LinkPreview"
    # Word and Outlook look at a link themselves before they hand it to the browser.
    r"|Microsoft Office|ms-office|MSOffice",
    re.IGNORECASE,
)
_SCANNER = re.compile(
    r"Mimecast|Barracuda|Proofpoint|Safe ?Links|GoogleImageProxy|YahooMailProxy|YahooCacheSystem"
    r"|FastmailUA|IronPort|MessageLabs|Symantec|Trend ?Micro|Sophos|FireEye|Trellix|BitDefender"
    r"|Forcepoint|Websense|Vade ?Secure|Avanan|Cloudmark|GreatHorn|SpamExperts|SpamAssassin"
    r"|Hornetsecurity|Microsoft Defender|MSATP|PhishTank|virustotal|urlscan|Netcraft|zgrab"
    r"|Shortwave Image",
    re.IGNORECASE,
)
_NAME_ONLY = re.compile(r"Mozilla/[45]\.0(?: \(compatible;?\))?|Mozilla/?|[\"'-]?\Z")
_ANCIENT = re.compile(r"Mozilla/[1-4]\.\d+ ")
_PROGRAM = re.compile(
    r"(?<!cu)bot(?![a-z])|robots?\b|crawl|spider|scrap(?:er|ing)|headless|phantomjs|puppeteer|playwright|selenium"
    r"|(?:link|url) ?(?:check|preview|scan|expand)|unfurl|prefetch proxy|\+https?:|monitoring",
    re.IGNORECASE,
)
_BROWSER = re.compile(
    r"Mozilla/5\.0 \((?:[^)]+\).*(?:AppleWebKit/|Gecko/|like Gecko)|[^)]*Trident/)|Opera/\d|UCWEB/\d", re.DOTALL
)
_TEXT_BROWSER = re.compile(r"(?:Lynx|w3m|E?Links|Dillo|NetSurf|Nokia\w+|SonyEricsson\w+)[ /(]")

# Patterns of the list that also occur inside the names of apps and phones people read with: they count at the
# beginning of the header only.
_ONLY_AT_START = r"""
    WhatsApp Viber Bluesky\/ Tumblr\/ Notion\/ Feedly Fever Sonic Goodreads Podimo Disqus Zapier Make\/
    RED\/ BW\/ s4a\/ 008\/ Sogou Yeti Trove Splunk Fluid Odin; Devin GoPay Jumio Expanse Mastodon Synapse
    mail\.ru Hatena AddThis NING\/ Buck\/ YaK\/ Upflow
"""
# Facebook's own in-app browser, and the build number of an ordinary phone.
_NEVER = frozenset(("MetaIAB Facebook", r"AP3A\.240617\.008"))

_SPECIAL = re.compile(r"(?<!\\)[\[\](){}.*+?^$|]|\\[A-Za-z0-9]")
_LABELS: dict[str, AgentKlass] = {"social-preview": "preview", "scanner": "scanner"}


def classify_agent(user_agent: str) -> tuple[AgentKlass, str]:
    """(class, reason) for a User-Agent header. Remembers the last 4,096; reads 512 characters at most."""
    return _classify(user_agent[:LONGEST_AGENT].strip())


@lru_cache(maxsize=4096)
def _classify(agent: str) -> tuple[AgentKlass, str]:
    if not agent:
        return "unknown", "no user agent"
    if agent.startswith(OWN_AGENT):
        return "self", "our own fetcher"
    if found := _PREVIEW.search(agent):
        return "preview", f"link preview: {found.group()}"
    if found := _SCANNER.search(agent):
        return "scanner", f"mail or web scanner: {found.group()}"
    return _find_listed(agent) or _judge_shape(agent)


def _judge_shape(agent: str) -> tuple[AgentKlass, str]:
    if _NAME_ONLY.fullmatch(agent):
        return "scanner", "a browser's first word and nothing else"
    if found := _PROGRAM.search(agent):
        return "bot", f"says so: {found.group()}"
    if _ANCIENT.match(agent):
        return "scanner", "a browser nobody uses any more"
    if _BROWSER.match(agent) or _TEXT_BROWSER.match(agent):
        return "human", "browser"
    return "bot", "not a browser"


def _find_listed(agent: str) -> tuple[AgentKlass, str] | None:
    listed = _load_list()
    for text, tag in listed.anywhere:
        if text in agent:
            return _label(tag, text)
    for text, tag in listed.at_start:
        if agent.startswith(text):
            return _label(tag, text)
    for pattern, tag in listed.patterns:
        if found := pattern.search(agent):
            return _label(tag, found.group())
    return None


def _label(tag: str, name: str) -> tuple[AgentKlass, str]:
    return _LABELS.get(tag, "bot"), f"{tag or 'listed'}: {name.strip()}"


class _List:
    """The list, with the patterns that are plain text (nearly all) kept apart: looking for text is far cheaper."""

    def __init__(self, entries: list[tuple[str, str]]) -> None:
        self.anywhere: list[tuple[str, str]] = []
        self.at_start: list[tuple[str, str]] = []
        self.patterns: list[tuple[re.Pattern[str], str]] = []
        only_at_start = _ONLY_AT_START.split()
        for pattern, tag in entries:
            text = re.sub(r"\\([^A-Za-z0-9])", r"\1", pattern)
            if pattern in only_at_start:
                self.at_start.append((text, tag))
            elif _SPECIAL.search(pattern):
                self.patterns.append((re.compile(pattern), tag))
            else:
                self.anywhere.append((text, tag))


@cache
def _load_list() -> _List:
    from crawleruseragents import CRAWLER_USER_AGENTS_DATA

    return _List(
        [
            (entry["pattern"], _main_tag(entry.get("tags", ())))
            for entry in CRAWLER_USER_AGENTS_DATA
            if entry["pattern"] not in _NEVER
        ]
    )


def _main_tag(tags: list[str]) -> str:
    return next((tag for tag in tags if tag in _LABELS), tags[0] if tags else "")
