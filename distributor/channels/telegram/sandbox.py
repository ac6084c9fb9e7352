"""Telegram as we believe it behaves: a Bot API server on 127.0.0.1 that keeps what a reader would see."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any

from distributor.channels.sandbox_server import WIRE_ANSWERS, Call, Reply, ScriptedServer
from distributor.channels.telegram import sandbox_rules as rules
from distributor.channels.telegram.sandbox_posts import Chat, Post, describe_post, freeze_rows, sight_post
from distributor.channels.telegram.sandbox_rules import Refusal, Words, bad_request
from distributor.core.sandbox import Sighting

TOKEN = "4242:sandbox-token-of-no-real-bot-000000"

_SENTENCES: dict[str, tuple[int, str, dict[str, int]]] = {
    "busy": (429, "Too Many Requests: retry after 2", {"retry_after": 2}),
    "refuse": (400, "Bad Request: message is too long", {}),
    "gone": (403, "Forbidden: bot was blocked by the user", {}),
    "closed": (403, "Forbidden: bot was kicked from the channel chat", {}),
    "bad-image": (400, "Bad Request: failed to get HTTP URL content", {}),
    "migrated": (
        400,
        "Bad Request: group chat was upgraded to a supergroup chat",
        {"migrate_to_chat_id": -1009876543210},
    ),
}
_SPELT_OUT = re.compile(r"(\d{3}) (.+)", re.DOTALL)


class Sandbox:
    """`chats` are the channels ("@name") and people (a positive number) that the bot may write to.

    Script answers beside those that every sandbox knows: "bad-image", "migrated", and any service sentence
    spelt out, such as "400 Bad Request: chat not found". With `flood` the service's pace is enforced: one
    message a second and 20 a minute for each channel.
    """

    kind = "telegram"

    def __init__(
        self,
        port: int = 0,
        chats: Sequence[str] = ("@daily", "4711"),
        token: str = TOKEN,
        flood: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.token = token
        self.flood = flood
        #: How the bot stands in the chats: what getChatMember answers.
        self.membership: dict[str, Any] = _MEMBERSHIP
        self._now = now
        self._lock = threading.Lock()
        self._chats = [self._open_chat(index, name) for index, name in enumerate(chats)]
        self._order: list[tuple[Chat, int]] = []
        #: Every call that reached the service whole: (method, fields), for tests.
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self._server = ScriptedServer(port, self._answer)

    @staticmethod
    def _open_chat(index: int, name: str) -> Chat:
        return Chat(int(name) if name.isdigit() else -1001000000001 - index, name)

    @property
    def port(self) -> int:
        return self._server.port

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()

    def __enter__(self) -> Sandbox:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def settings(self) -> dict[str, Any]:
        """A channel entry for the configuration, pointed here."""
        return {
            "kind": self.kind,
            "token": self.token,
            "chat": self._chats[0].name,
            "api_base": f"http://127.0.0.1:{self.port}",
            "cap": {"count": 10_000, "per": "10m"},
        }

    def script(self, *answers: str) -> None:
        """What the next calls get, one each; then normal again. An outage lasts until the next `script`."""
        for answer in answers:
            if answer not in {"accept", *_SENTENCES, *WIRE_ANSWERS} and not _SPELT_OUT.fullmatch(answer):
                raise ValueError(f"this sandbox has no answer called {answer!r}")
        self._server.script(*answers)

    @property
    def seen(self) -> list[Sighting]:
        """What is public now, oldest first: edits are in place, deleted messages are gone."""
        with self._lock:
            return [sight_post(chat, chat.posts[number]) for chat, number in self._order if number in chat.posts]

    @property
    def posts(self) -> list[Post]:
        """The same with what only the app shows: preview options, silence."""
        with self._lock:
            return [chat.posts[number] for chat, number in self._order if number in chat.posts]

    def _answer(self, call: Call, name: str) -> Reply:
        try:
            method = self._authorise(call.path)
            fields = rules.read_parameters(call.headers.get("content-type", ""), call.body, call.query)
            with self._lock:
                self.calls.append((method, fields))
                _refuse_by_script(name)
                result = self._act(method, fields, call.body)
        except Refusal as refusal:
            return _say_no(refusal)
        return Reply(200, json.dumps({"ok": True, "result": result}).encode())

    def _authorise(self, path: str) -> str:
        found = re.fullmatch(r"/bot(\d+:[\w-]+)/(\w+)", path)
        if not found:
            raise Refusal(404, "Not Found")
        if found[1] != self.token:
            raise Refusal(401, "Unauthorized")
        return found[2]

    def _act(self, method: str, fields: dict[str, Any], raw: bytes) -> Any:
        act = self._methods().get(method.lower())
        if act is None:
            raise Refusal(404, "Not Found: method not found")
        return act(fields, raw)

    def _methods(self) -> dict[str, Callable[[dict[str, Any], bytes], Any]]:
        return {
            "getme": lambda fields, raw: _ME,
            "getchat": lambda fields, raw: {**self._find_chat(fields).describe(), **_CHAT_FACTS},
            "getchatmember": lambda fields, raw: self._find_chat(fields) and {"user": _ME, **self.membership},
            "sendmessage": self._send_message,
            "sendphoto": self._send_photo,
            "sendmediagroup": self._send_album,
            "editmessagetext": self._edit_text,
            "editmessagecaption": self._edit_caption,
            "editmessagemedia": self._edit_media,
            "editmessagereplymarkup": self._edit_buttons,
            "deletemessage": self._delete,
        }

    def _find_chat(self, fields: dict[str, Any]) -> Chat:
        wanted = str(fields.get("chat_id") or "").lower()
        if not wanted:
            raise bad_request("chat_id is empty")
        for chat in self._chats:
            if wanted in (str(chat.id), chat.name.lower()):
                return chat
        raise bad_request("chat not found")

    def _send_message(self, fields: dict[str, Any], raw: bytes) -> dict[str, Any]:
        chat = self._find_chat(fields)
        words = rules.read_text(fields)
        return self._publish(chat, fields, words, "", raw)

    def _send_photo(self, fields: dict[str, Any], raw: bytes) -> dict[str, Any]:
        chat = self._find_chat(fields)
        words = rules.read_caption(fields)
        return self._publish(chat, fields, words, rules.read_photo(fields, fields.get("photo")), raw)

    def _send_album(self, fields: dict[str, Any], raw: bytes) -> list[dict[str, Any]]:
        chat = self._find_chat(fields)
        items = rules.read_object(fields, "media", "can't parse media JSON object")
        if not isinstance(items, list) or not 2 <= len(items) <= 10:
            raise bad_request("wrong number of messages to send as an album")
        ready = [(rules.read_caption(item), rules.read_photo(fields, item.get("media"))) for item in items]
        return [self._publish(chat, {}, words, photo, raw) for words, photo in ready]

    def _publish(self, chat: Chat, fields: dict[str, Any], words: Words, photo: str, raw: bytes) -> dict[str, Any]:
        post = Post(
            id=chat.last_id + 1,
            at=self._now(),
            words=words,
            photo=photo,
            buttons=freeze_rows(rules.read_buttons(fields)),
            preview={} if photo else rules.read_preview(fields),
            silent=rules.read_flag(fields, "disable_notification"),
            raw=raw,
        )
        self._hold_back_floods(chat, post.at)
        chat.last_id = post.id
        chat.posts[post.id] = post
        self._order.append((chat, post.id))
        return describe_post(chat, post)

    def _hold_back_floods(self, chat: Chat, now: float) -> None:
        if not self.flood:
            return
        recent = [at for at in chat.sent_at if now - at < 60]
        waits = [1 - (now - recent[-1])] if recent else []
        if chat.id < 0 and len(recent) >= 20:
            waits.append(60 - (now - recent[-20]))
        wait = max(waits, default=0.0)
        if wait > 0:
            seconds = -int(-wait // 1)
            raise Refusal(429, f"Too Many Requests: retry after {seconds}", retry_after=seconds)
        chat.sent_at = [*recent, now]

    def _edit_text(self, fields: dict[str, Any], raw: bytes) -> dict[str, Any]:
        chat, post = self._find_post(fields)
        if post.photo:
            raise bad_request("there is no text in the message to edit")
        return self._change(
            chat, post, fields, raw, words=rules.read_text(fields), preview=rules.read_preview(fields)
        )

    def _edit_caption(self, fields: dict[str, Any], raw: bytes) -> dict[str, Any]:
        chat, post = self._find_post(fields)
        if not post.photo:
            raise bad_request("there is no caption in the message to edit")
        return self._change(chat, post, fields, raw, words=rules.read_caption(fields))

    def _edit_media(self, fields: dict[str, Any], raw: bytes) -> dict[str, Any]:
        chat, post = self._find_post(fields)
        media = rules.read_object(fields, "media", "can't parse input media JSON object")
        if not isinstance(media, dict) or media.get("type") != "photo":
            raise bad_request("can't parse InputMedia: type must be photo in this sandbox")
        photo = rules.read_photo(fields, media.get("media"))
        return self._change(chat, post, fields, raw, words=rules.read_caption(media), photo=photo, preview={})

    def _edit_buttons(self, fields: dict[str, Any], raw: bytes) -> dict[str, Any]:
        chat, post = self._find_post(fields)
        return self._change(chat, post, fields, raw)

    def _change(self, chat: Chat, post: Post, fields: dict[str, Any], raw: bytes, **changes: Any) -> dict[str, Any]:
        # An edit that names no reply_markup takes the buttons away.
        changed = replace(post, buttons=freeze_rows(rules.read_buttons(fields)), **changes)
        if changed == post:
            raise bad_request(
                "message is not modified: specified new message content and reply markup are exactly the same "
                "as a current content and reply markup of the message"
            )
        chat.posts[post.id] = replace(changed, edited=True, raw=raw)
        return describe_post(chat, chat.posts[post.id])

    def _find_post(self, fields: dict[str, Any]) -> tuple[Chat, Post]:
        chat = self._find_chat(fields)
        number = str(fields.get("message_id") or "")
        if not number.isdigit():
            raise bad_request("message identifier is not specified")
        if int(number) not in chat.posts:
            raise bad_request("message to edit not found")
        return chat, chat.posts[int(number)]

    def _delete(self, fields: dict[str, Any], raw: bytes) -> bool:
        chat = self._find_chat(fields)
        number = str(fields.get("message_id") or "")
        if not number.isdigit() or int(number) not in chat.posts:
            raise bad_request("message to delete not found")
        del chat.posts[int(number)]
        return True


_ME = {
    "id": 4242,
    "is_bot": True,
    "first_name": "Sandbox",
    "username": "sandbox_bot",
    "can_join_groups": True,
    "can_read_all_group_messages": False,
    "supports_inline_queries": False,
}
_CHAT_FACTS = {"accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": {}}
_MEMBERSHIP = {"status": "administrator", "can_post_messages": True, "can_edit_messages": True}


def _refuse_by_script(name: str) -> None:
    if name in _SENTENCES:
        code, sentence, parameters = _SENTENCES[name]
        raise Refusal(code, sentence, **parameters)
    if found := _SPELT_OUT.fullmatch(name):
        raise Refusal(int(found[1]), found[2])


def _say_no(refusal: Refusal) -> Reply:
    body: dict[str, Any] = {"ok": False, "error_code": refusal.code, "description": refusal.sentence}
    if refusal.parameters:
        body["parameters"] = refusal.parameters
    return Reply(refusal.code, json.dumps(body).encode())


SANDBOXES: tuple[type[Sandbox], ...] = (Sandbox,)
