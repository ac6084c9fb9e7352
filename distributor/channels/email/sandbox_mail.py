"""A received mail as a person sees it, read by the standard library's parser."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import unescape

from distributor.core.sandbox import Sighting

_LINK = re.compile(r"""<a\b[^>]*?\bhref\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_IMAGE = re.compile(r"""<img\b[^>]*?\bsrc\s*=\s*(?:"([^"]*)"|'([^']*)')""", re.IGNORECASE)
_PLAIN_LINK = re.compile(r"https?://[^\s<>\"]+")


@dataclass(frozen=True, slots=True)
class Kept:
    """One mail as it came."""

    at: float
    recipient: str
    receipt: str
    raw: bytes


def read_mail(kept: Kept) -> Sighting:
    """Subject, both texts and every link in order; `raw` is the mail without SMTP's doubled dots."""
    mail = message_from_bytes(kept.raw, _class=EmailMessage, policy=policy.default)
    page = _read_part(mail, "html")
    text = _read_part(mail, "plain")
    return Sighting(
        at=kept.at,
        recipient=kept.recipient,
        text=text,
        html=page,
        subject=str(mail["Subject"] or ""),
        image=next(iter(find_targets(_IMAGE, page)), ""),
        links=find_links(page, text),
        receipt=kept.receipt,
        raw=kept.raw,
    )


def find_links(page: str, text: str) -> tuple[str, ...]:
    """Targets of the page's links in order, or of the text's when there is no page."""
    return find_targets(_LINK, page) if page else tuple(_PLAIN_LINK.findall(text))


def find_image(page: str) -> str:
    return next(iter(find_targets(_IMAGE, page)), "")


def find_targets(pattern: re.Pattern[str], page: str) -> tuple[str, ...]:
    return tuple(unescape(match[1] or match[2] or "") for match in pattern.finditer(page))


def _read_part(mail: EmailMessage, kind: str) -> str:
    part = mail.get_body((kind,))
    return str(part.get_content()) if part is not None else ""
