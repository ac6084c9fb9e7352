"""What must be filled in for a Telegram channel."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from distributor.channels.fields import CAP_PER_DAY_TEXT, CAP_TEXT, DECIDE_WITHIN_TEXT, Cap, CapPerDay, Deciding

_TOKEN = re.compile(r"[A-Za-z0-9:_-]+")
_CHAT = re.compile(r"@\w{1,64}|-?\d{1,20}")


class Settings(BaseModel):
    """One Telegram chat or channel, reached through one bot."""

    # Without this a mistake elsewhere in the section would print the token beside it.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(min_length=1, description="What schedules and reports call this channel.")
    kind: Literal["telegram"] = "telegram"
    token: SecretStr = Field(
        description='The bot\'s token from @BotFather, such as 123456:ABC-DEF; best as "${TELEGRAM_TOKEN}".'
    )
    chat: str = Field(
        description='Where to post: "@channelname", or the numeric id of a private channel or group (-100...). '
        "The bot must be an administrator there with the right to post."
    )
    api_base: str = Field(
        default="https://api.telegram.org",
        description="Where the Bot API is: the part before /bot<token>. Change it for your own server or a test.",
    )
    timeout: float = Field(
        default=40.0,
        gt=0,
        le=600,
        description="Seconds to wait for an answer. A post without an answer is never sent again by itself.",
    )
    silent: bool = Field(default=False, description="Post without a sound on readers' phones.")
    proxy: SecretStr | None = Field(
        default=None, description="An HTTP proxy to reach Telegram through: http://user:password@host:port."
    )
    cap: Cap = Field(default_factory=Cap, description=CAP_TEXT)
    cap_per_day: CapPerDay | None = Field(default=None, description=CAP_PER_DAY_TEXT)
    decide_within: Deciding = Field(default=timedelta(minutes=30), description=DECIDE_WITHIN_TEXT)
    template: str | None = Field(default=None, description="The folder of templates to use instead of telegram.")
    utm: dict[str, str] | None = Field(
        default=None, description="UTM parameters for this channel's links, instead of the usual ones."
    )
    allow: Annotated[tuple[str, ...], Field(description="Chats that `send-test` may post to.")] = ()

    @field_validator("chat", mode="before")
    @classmethod
    def _accept_number(cls, chat: object) -> object:
        return str(chat) if isinstance(chat, int) and not isinstance(chat, bool) else chat

    @field_validator("allow", mode="before")
    @classmethod
    def _accept_numbers(cls, chats: object) -> object:
        return tuple(cls._accept_number(chat) for chat in chats) if isinstance(chats, list | tuple) else chats

    @field_validator("chat")
    @classmethod
    def _check_chat(cls, chat: str) -> str:
        return _read_chat(chat)

    @field_validator("allow")
    @classmethod
    def _check_allow(cls, chats: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_read_chat(chat) for chat in chats)

    @field_validator("token")
    @classmethod
    def _check_token(cls, token: SecretStr) -> SecretStr:
        if not _TOKEN.fullmatch(token.get_secret_value()):
            raise ValueError("is no bot token: copy the whole line that @BotFather gave, such as 123456:ABC-DEF")
        return token

    @field_validator("api_base")
    @classmethod
    def _check_base(cls, base: str) -> str:
        if not base.startswith(("http://", "https://")) or len(base) < 10:
            raise ValueError("write the address with http:// or https://, such as https://api.telegram.org")
        return base.rstrip("/")


def _read_chat(chat: str) -> str:
    name = chat.strip()
    if not _CHAT.fullmatch(name):
        raise ValueError('write the chat as "@channelname" or as its number, such as -1001234567890, not as a link')
    return name
