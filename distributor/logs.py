"""Log lines: one JSON object or one plain line each, never with a secret or a reader's address in it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from distributor.core.addresses import hide_addresses

MASK = "[secret]"
#: Libraries that would print addresses with tokens, or a line for every request.
_QUIET = (
    "alembic",
    "httpx",
    "httpcore",
    "telegram",
    "tweepy",
    "oauthlib",
    "requests_oauthlib",
    "urllib3",
    "python_http_client",
)
_OWN_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


def start_logging(secrets: Iterable[str], *, as_json: bool, level: int = logging.INFO) -> None:
    """Log to standard error. Every secret is masked wherever it appears, exception texts included,
    and so is every mail address."""
    writer = logging.StreamHandler(sys.stderr)
    writer.setFormatter(RedactingFormatter(secrets, as_json=as_json))
    logging.basicConfig(level=level, handlers=[writer], force=True)
    logging.captureWarnings(True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


class RedactingFormatter(logging.Formatter):
    """Formats first and masks afterwards, so that nothing can slip in through arguments or tracebacks."""

    def __init__(self, secrets: Iterable[str], *, as_json: bool) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%Y-%m-%d %H:%M:%S")
        # Longest first: a secret may hold another one.
        self._secrets = sorted({secret for secret in secrets if len(secret) >= 4}, key=len, reverse=True)
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        text = self._write_json(record) if self._as_json else super().format(record)
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return hide_addresses(text)

    def _write_json(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {key: value for key, value in vars(record).items() if key not in _OWN_FIELDS}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
