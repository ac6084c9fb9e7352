"""Every secret that the settings hold, for whoever has to keep them out of sight."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, SecretStr

from distributor.settings.model import Settings


def find_secrets(settings: Settings) -> set[str]:
    """The secrets of all sources, channels and ways of alerting, and the database's password."""
    parts = (settings.channels, settings.sources, settings.web, settings.alerts)
    found = set().union(*map(_secrets_in, parts))
    password = urlsplit(settings.database_url.get_secret_value()).password
    return found | ({password} if password else set())


def _secrets_in(value: Any) -> set[str]:
    if isinstance(value, SecretStr):
        text = value.get_secret_value()
        return {text} if text else set()
    if isinstance(value, BaseModel):
        parts = [_secrets_in(getattr(value, name)) for name in type(value).model_fields]
    elif isinstance(value, list | tuple):
        parts = [_secrets_in(item) for item in value]
    else:
        parts = []
    return set().union(*parts)
