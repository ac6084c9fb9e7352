"""What a reader of a sandboxed service would see: the one shape every channel's `sandbox.py` keeps."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sighting:
    """One message as the public sees it on a service, after the service's own parsing.

    `at` is seconds since the epoch. `recipient` is an address, a chat or an account. `text` is what is read
    (for a mail its plain part), `html` the same with its marks, `links` every target inside the text in
    order, `buttons` the label and target of each button. `receipt` is the id the service answered with.
    `raw` is the request as it came, for tests that compare bytes; it never holds a credential.
    """

    at: float
    recipient: str
    text: str
    html: str = ""
    subject: str = ""
    image: str = ""
    links: tuple[str, ...] = ()
    buttons: tuple[tuple[str, str], ...] = ()
    receipt: str = ""
    edited: bool = False
    raw: bytes = b""
