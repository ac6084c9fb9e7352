"""What an operator fills in for an X account."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from distributor.channels.fields import CAP_PER_DAY_TEXT, CAP_TEXT, DECIDE_WITHIN_TEXT, Cap, CapPerDay, Deciding


class Settings(BaseModel):
    """One X account, written to with OAuth 1.0a user tokens: they do not expire and suit one newsroom account."""

    # Without hide_input_in_errors a mistake elsewhere in the section would print the keys beside it.
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(description="Short name of this channel, used in schedules and reports.")
    kind: Literal["x"] = "x"
    api_key: SecretStr = Field(description="API key of your X app (developer console, Keys and tokens).")
    api_secret: SecretStr = Field(description="API key secret of your X app.")
    access_token: SecretStr = Field(
        description="Access token of the account that posts, made with Read and write permission."
    )
    access_secret: SecretStr = Field(description="Access token secret of the account that posts.")
    api_base: str = Field(
        default="https://api.x.com",
        description="Where the API is: the part before /2/tweets. Change it only to use a test service.",
    )
    timeout: float = Field(
        default=30.0,
        gt=0,
        le=300,
        description="Seconds to wait for an answer. A post without an answer is looked for, not sent again.",
    )
    proxy: SecretStr | None = Field(
        default=None, description="An HTTP proxy to reach X through: http://user:password@host:port."
    )
    cap: Cap = Field(default_factory=Cap, description=CAP_TEXT)
    cap_per_day: CapPerDay | None = Field(
        default=None,
        description=f"{CAP_PER_DAY_TEXT} X charges for each post: its price times this number is the most that "
        "posting can cost in a day ($0.20 with a link in August 2026: 50 posts, $10). `send-test` is not counted.",
    )
    decide_within: Deciding = Field(default=timedelta(minutes=30), description=DECIDE_WITHIN_TEXT)
    template: str | None = Field(default=None, description="Folder of templates to use instead of x.")
    utm: dict[str, str] | None = Field(default=None, description="UTM parameters for links on this channel.")
    allow: list[str] = Field(
        default_factory=list,
        description="Where send-test may go: put this channel's own name here if the account is a test account, "
        "because a test post is public.",
    )

    @field_validator("api_key", "api_secret", "access_token", "access_secret")
    @classmethod
    def _require_a_key(cls, value: SecretStr) -> SecretStr:
        text = value.get_secret_value()
        if not text.strip():
            raise ValueError("is empty: copy it from the X developer console")
        if any(not 33 <= ord(char) <= 126 for char in text):
            raise ValueError("has spaces or unusual characters: copy it again from the X developer console")
        return value

    @field_validator("proxy")
    @classmethod
    def _require_a_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(value.get_secret_value() if value else "http://unused")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must look like http://user:password@host:port")
        return value

    @field_validator("api_base")
    @classmethod
    def _require_a_prefix(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError('must look like "https://api.x.com": the part before /2/tweets')
        if parts.path.rstrip("/").endswith(("/2", "/2/tweets")):
            raise ValueError("must stop before /2/tweets")
        return value.rstrip("/")
