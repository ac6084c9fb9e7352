"""Readers' addresses kept out of what leaves the program by logs and alerts."""

from __future__ import annotations

import re

HIDDEN = "(address)"
# Bounded on both sides, so that no text makes it slow. A chat's name such as @dailyexample is no address.
_ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@(?:[\w-]{1,63}\.){1,8}[\w-]{1,63}")


def hide_addresses(text: str) -> str:
    """The text with every mail address replaced; one in a web address goes too."""
    return _ADDRESS.sub(HIDDEN, text) if "@" in text else text
