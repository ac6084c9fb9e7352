"""What Telegram's answers mean for a message. Pure.

Sources: Client.cpp and Query.cpp of tdlib/telegram-bot-api, MessagesManager.cpp and DialogManager.cpp of
tdlib/td. Sentences are matched without regard to case.
"""

from __future__ import annotations

import json
import re
from typing import Any

from distributor.channels.whole_answer import GUESSED
from distributor.core.errors import Busy, ChannelClosed, MessageRefused, RecipientGone, SendError, Unknown
from distributor.core.message import Accepted

DETAIL_LIMIT = 300
#: Seconds to rest when the service asks for patience without saying how long.
DEFAULT_REST = 30.0
#: Seconds to rest at most: a mistyped time must not silence the chat for years.
LONGEST_REST = 86_400.0


class ImageRefused(MessageRefused):
    """The service could not fetch or use the image. Nothing was posted; the words alone may pass."""


_IMAGE = (
    "wrong http url specified",
    "failed to get http url content",
    "wrong type of the web page content",
    "wrong file identifier/http url specified",
    "photo_invalid_dimensions",
    "image_process_failed",
    "photo has unsupported extension",
    "webpage_curl_failed",
    "webpage_media_empty",
    "external_url_invalid",
    "media_empty",
    "wrong remote file identifier",
    "type of file mismatch",
)
_GONE = {
    "bot was blocked by the user": "the reader has blocked the bot",
    "user is deactivated": "the reader's account no longer exists",
    "bot can't initiate conversation": "the reader has not started the bot yet",
    "bot can't send messages to bots": "this address is a bot, which cannot read messages",
}
_CLOSED = {
    "chat not found": "Telegram does not know this chat, or the bot is not in it: check `chat`",
    "chat_id is empty": "no chat is set: fill in `chat`",
    "group chat was upgraded": "the group became a supergroup with a new id",
    "group chat was deleted": "the chat was deleted",
    "was kicked": "the bot was removed from the chat: add it again as an administrator",
    "bot is not a member": "the bot is not in the chat: add it as an administrator",
    "need administrator rights": "the bot must be an administrator of the channel",
    "not enough rights": "the bot lacks the right to post here",
    "have no write access": "the bot lacks the right to post here",
    "have no rights to send": "the bot lacks the right to post here",
    "chat_write_forbidden": "the bot lacks the right to post here",
    "chat_admin_required": "the bot must be an administrator of the channel",
    "chat_restricted": "Telegram has restricted this chat",
    "message thread not found": "the topic to post in does not exist",
    "topic_closed": "the topic to post in is closed",
    "floodskip_not_allowed": "paid broadcasting is switched on without enough Stars",
    "peer_id_invalid": "Telegram does not know this chat: check `chat`",
}
_REFUSED = {
    "is too long": "the text is too long for Telegram",
    "text is empty": "the text is empty",
    "can't parse entities": "the formatting cannot be read",
    "is invalid: wrong http url": "a link or button leads to no public address",
    "unsupported url protocol": "a link or button does not begin with http:// or https://",
    "button_url_invalid": "a button leads to no public address",
}
_SAYS_WHEN = re.compile(r"retry after (\d{1,9})", re.IGNORECASE)


def read_answer(status: int, body: bytes, secrets: tuple[str, ...] = ()) -> Accepted | SendError:
    """The outcome of a whole HTTP answer to sendMessage or sendPhoto.

    Only a parsed no is a no: any 5xx, anything unparsable, and a yes without a message id are Unknown.
    """
    answer = _parse(body)
    if answer is None or status >= 500 or status < 200 or status in GUESSED:
        return Unknown(f"Telegram's answer cannot be read (HTTP {status}): it may have been posted")
    if 200 <= status < 300:
        return _read_yes(answer)
    if answer.get("ok") is not False or status < 400:
        return Unknown(f"Telegram's answer cannot be read (HTTP {status}): it may have been posted")
    return _read_no(status, answer, secrets)


def read_result(status: int, body: bytes, secrets: tuple[str, ...] = ()) -> dict[str, Any] | str:
    """What a question (getMe, getChat) was answered with, or a sentence about what is wrong."""
    answer = _parse(body)
    if answer is None:
        return f"what answers there is not Telegram's Bot API (HTTP {status}): check `api_base`"
    found = answer.get("result")
    if answer.get("ok") is True and isinstance(found, dict):
        return found
    no = _read_no(status, answer, secrets)
    return f"{no} ({no.detail})"


def _parse(body: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None


def _read_yes(answer: dict[str, Any]) -> Accepted | SendError:
    posted = answer.get("result") if answer.get("ok") is True else None
    number = posted.get("message_id") if isinstance(posted, dict) else None
    chat = posted.get("chat") if isinstance(posted, dict) else None
    chat_id = chat.get("id") if isinstance(chat, dict) else None
    if not isinstance(number, int) or not isinstance(chat_id, int):
        return Unknown("Telegram answered without a message id: it may have been posted")
    return Accepted(f"{chat_id}/{number}")


def _read_no(status: int, answer: dict[str, Any], secrets: tuple[str, ...]) -> SendError:
    words = str(answer.get("description") or f"HTTP {status}")
    detail = redact(words, secrets)
    found = answer.get("parameters")
    parameters = found if isinstance(found, dict) else {}
    if status == 429:
        return Busy("Telegram asks for patience", _read_rest(parameters, words), detail)
    if new_id := parameters.get("migrate_to_chat_id"):
        return ChannelClosed(f"the group became a supergroup: set `chat` to {new_id}", detail)
    if status in (401, 404):
        return ChannelClosed("Telegram does not accept the bot's token: check `token`", detail)
    return _read_sentence(status, words.lower(), detail)


def _read_sentence(status: int, words: str, detail: str) -> SendError:
    if reason := _look_up(_GONE, words):
        return RecipientGone(reason, detail)
    if reason := _look_up(_CLOSED, words):
        return ChannelClosed(reason, detail)
    if status in (402, 403):
        return ChannelClosed("Telegram does not let the bot post here", detail)
    if status == 400 and any(sentence in words for sentence in _IMAGE):
        return ImageRefused("Telegram could not use the image", detail)
    return MessageRefused(_look_up(_REFUSED, words) or "Telegram refused this message", detail)


def _look_up(table: dict[str, str], words: str) -> str:
    return next((reason for sentence, reason in table.items() if sentence in words), "")


def _read_rest(parameters: dict[str, Any], words: str) -> float:
    said = parameters.get("retry_after")
    rest = said if isinstance(said, int | float) and not isinstance(said, bool) and said >= 0 else None
    if rest is None:
        found = _SAYS_WHEN.search(words)
        rest = int(found[1]) if found else DEFAULT_REST
    # Compared before it is a float: no float holds 10^400.
    return float(min(max(rest, 1), LONGEST_REST))


def redact(text: str, secrets: tuple[str, ...]) -> str:
    """The service's words, shortened, without anything that must not be stored or shown."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return text[:DETAIL_LIMIT]
