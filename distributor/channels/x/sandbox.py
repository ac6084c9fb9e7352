"""The X API v2 as we believe it behaves, on a real port: posts, own timeline, delete, limits and prices.

Shapes and sentences: openapi 2.167 and the documents named in facts/api-facts.md section 2. Its own words for
402, a suspended account and a post that is too long are remembered, not read.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from email.utils import formatdate
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from distributor.channels.sandbox_server import Call, Reply, ScriptedServer
from distributor.channels.x.length import LIMIT, weighted_length
from distributor.channels.x.sandbox_rules import PRICES, REFUSALS, check_post, check_signature, find_links, problem
from distributor.core.sandbox import Sighting

DUPLICATE_WINDOW = 12 * 3600.0
LIMIT_WINDOW = 900.0
USER_ID = "1460000000000000001"
FIRST_POST_ID = 1_990_000_000_000_000_000
_ADDITION = {"api_key": "sandbox-api-key", "api_secret": "sandbox-api-secret"}
_ACCESS = {"access_token": f"{USER_ID}-sandbox-access-token", "access_secret": "sandbox-access-secret"}


@dataclass
class _Post:
    id: str
    at: float
    text: str
    raw: bytes = field(repr=False)
    is_deleted: bool = False


class Sandbox:
    """One X account with its app. Post limits, prices and duplicates count as on X.

    `spent` is what X would charge in dollars. Beside the answers that every sandbox knows, `script` takes
    "busy-no-reset", "duplicate", "no-credit", "suspended", "forbidden", "capped", "no-id" and
    "400 in these words".
    """

    kind = "x"
    #: One voice has no recipient that could be gone.
    lacks: ClassVar[frozenset[str]] = frozenset({"gone"})

    def __init__(
        self,
        port: int = 0,
        username: str = "sandbox_news",
        limit: int = 100,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.username = username
        self.limit = limit
        self.spent = Decimal(0)
        self._clock = clock
        self._posts: list[_Post] = []
        self._window = (0.0, 0)
        self._read_today: set[tuple[int, str]] = set()
        self._lock = threading.RLock()
        #: What clients call when something stands in between; signatures are over that address.
        self.front = ""
        self._server = ScriptedServer(port, self._answer, lambda call: call.method == "POST")

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def url(self) -> str:
        return self.front or f"http://127.0.0.1:{self.port}"

    def settings(self) -> dict[str, Any]:
        bursts = {"count": 10_000, "per": "10m"}
        return {"kind": self.kind, **_ADDITION, **_ACCESS, "api_base": self.url, "cap": bursts}

    def script(self, *answers: str) -> None:
        """What the next POSTs get, one each; reads are never scripted. See ScriptedServer for "outage"."""
        self._server.script(*answers)

    @property
    def seen(self) -> list[Sighting]:
        """The account's timeline, oldest first, without what was deleted."""
        with self._lock:
            return [self._sight(post) for post in self._posts if not post.is_deleted]

    def _sight(self, post: _Post) -> Sighting:
        links = tuple(_expand(span.url) for span in find_links(post.text))
        return Sighting(post.at, f"@{self.username}", post.text, links=links, receipt=post.id, raw=post.raw)

    def _answer(self, call: Call, name: str) -> Reply:
        with self._lock:
            signed = check_signature(call, self.url, {**_ADDITION, **_ACCESS})
            if signed is not None:
                return self._reply(401, signed)
            match call.method, call.path.strip("/").split("/"):
                case "POST", ["2", "tweets"]:
                    return self._post(call, name)
                case "GET", ["2", "users", "me"]:
                    return self._me()
                case "GET", ["2", "users", user, "tweets"]:
                    return self._timeline(user, dict(parse_qsl(call.query)))
                case "DELETE", ["2", "tweets", post_id]:
                    return self._delete(post_id)
            return self._reply(404, problem("about:blank", "Not Found", "Not Found", 404))

    def _post(self, call: Call, name: str) -> Reply:
        if name in ("busy", "busy-no-reset"):
            return self._too_many(name == "busy")
        if name in REFUSALS:
            return self._reply(*REFUSALS[name])
        if name[:3].isdigit():
            return self._reply(int(name[:3]), problem("about:blank", "Told", name[4:], int(name[:3])))
        if not self._take_from_window():
            return self._too_many(True)
        wrong = check_post(call.body)
        if wrong is not None:
            return self._reply(*wrong)
        text = json.loads(call.body)["text"]
        if weighted_length(text) > LIMIT:
            return self._reply(*REFUSALS["too-long"])
        if self._is_duplicate(text):
            return self._reply(*REFUSALS["duplicate"])
        return self._publish(text, call.body, name)

    def _publish(self, text: str, raw: bytes, name: str) -> Reply:
        post = _Post(str(FIRST_POST_ID + len(self._posts)), self._clock(), text, raw)
        self._posts.append(post)
        self.spent += PRICES["post with url" if find_links(text) else "post"]
        shown = {"text": _shorten_links(text), "edit_history_tweet_ids": [post.id]}
        return self._reply(201, {"data": shown if name == "no-id" else {"id": post.id, **shown}})

    def _is_duplicate(self, text: str) -> bool:
        since = self._clock() - DUPLICATE_WINDOW
        return any(post.text == text and post.at > since for post in self._posts)

    def _take_from_window(self) -> bool:
        reset, used = self._window
        if self._clock() >= reset:
            reset, used = self._clock() + LIMIT_WINDOW, 0
        is_free = used < self.limit
        self._window = (reset, used + is_free)
        return is_free

    def _too_many(self, has_reset: bool) -> Reply:
        status, body = REFUSALS["busy"]
        reset, used = self._window
        if used < self.limit:
            # A scripted refusal: as if the window were used up and opened again in two seconds.
            reset = self._clock() + 2
        headers = {"x-rate-limit-limit": str(self.limit), "x-rate-limit-remaining": "0"}
        return self._reply(status, body, {**headers, "x-rate-limit-reset": str(int(reset))} if has_reset else {})

    def _me(self) -> Reply:
        self.spent += PRICES["user read"]
        return self._reply(200, {"data": {"id": USER_ID, "name": "Sandbox News", "username": self.username}})

    def _timeline(self, user: str, query: dict[str, str]) -> Reply:
        if user != USER_ID:
            return self._reply(404, problem("resource-not-found", "Not Found Error", f"no user {user}", 404))
        count = int(query.get("max_results", "10"))
        if not 5 <= count <= 100:
            return self._reply(*REFUSALS["refuse"])
        latest = [post for post in reversed(self._posts) if not post.is_deleted][:count]
        self._charge_reads(latest)
        with_entities = "entities" in query.get("tweet.fields", "").split(",")
        data = [_describe(post, with_entities) for post in latest]
        meta = {"result_count": len(data)}
        return self._reply(200, {"data": data, "meta": meta} if data else {"meta": meta})

    def _charge_reads(self, posts: list[_Post]) -> None:
        day = int(self._clock() // 86_400)
        fresh = {(day, post.id) for post in posts} - self._read_today
        self._read_today |= fresh
        self.spent += PRICES["own post read"] * len(fresh)

    def _delete(self, post_id: str) -> Reply:
        for post in self._posts:
            if post.id == post_id and not post.is_deleted:
                post.is_deleted = True
                self.spent += PRICES["delete"]
                return self._reply(200, {"data": {"deleted": True}})
        return self._reply(200, {"data": {"deleted": False}})

    def _reply(self, status: int, body: Any, headers: dict[str, str] | None = None) -> Reply:
        reset, used = self._window
        limits = {
            "x-rate-limit-limit": str(self.limit),
            "x-rate-limit-remaining": str(max(self.limit - used, 0)),
            "x-rate-limit-reset": str(int(reset)),
        }
        shown = limits if headers is None else headers
        dated = {"Date": formatdate(self._clock(), usegmt=True), **shown}
        return Reply(status, json.dumps(body).encode(), dated, "application/json; charset=utf-8")


SANDBOXES = (Sandbox,)


def _describe(post: _Post, with_entities: bool) -> dict[str, Any]:
    described: dict[str, Any] = {
        "id": post.id,
        "text": _shorten_links(post.text),
        "edit_history_tweet_ids": [post.id],
    }
    spans = find_links(post.text) if with_entities else []
    if spans:
        urls = [{"url": _shorten(span.url), "expanded_url": _expand(span.url)} for span in spans]
        described["entities"] = {"urls": urls}
    return described


def _shorten_links(text: str) -> str:
    for span in reversed(find_links(text)):
        text = text[: span.start] + _shorten(span.url) + text[span.end :]
    return text


def _shorten(url: str) -> str:
    return "https://t.co/" + hashlib.sha256(url.encode()).hexdigest()[:10]


def _expand(url: str) -> str:
    """The target as X stores it: a bare domain becomes http."""
    return url if url.lower().startswith(("http://", "https://")) else f"http://{url}"
