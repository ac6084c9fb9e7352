"""Everything that is wrong with a configuration, each with its place, said together."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path

from distributor.core.errors import SettingsError

#: How to get to a value from the top: names of settings and indexes in lists.
Trail = tuple[str | int, ...]
Place = tuple[int, int]

_SHORTEST_HIDDEN = 4


class Problems:
    """Collects problems and knows where in the file each trail stands; one problem for a trail is enough."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keys: dict[Trail, Place] = {}
        self._values: dict[Trail, Place] = {}
        self._names: dict[Trail, str] = {}
        self._hidden: set[str] = set()
        self._found: dict[Trail, tuple[Place, str]] = {}
        self._muted: set[Trail] = set()

    def note_key(self, trail: Trail, place: Place) -> None:
        self._keys[trail] = place

    def note_value(self, trail: Trail, place: Place) -> None:
        self._values[trail] = place

    def note_name(self, trail: Trail, name: str) -> None:
        """Call the entry at `trail` by its name instead of by its number."""
        self._names[trail] = name

    def hide(self, secret: str) -> None:
        """Never print this text, whatever a message says."""
        if len(secret) >= _SHORTEST_HIDDEN:
            self._hidden.add(secret)

    def mute(self, trail: Trail) -> None:
        """Say nothing about this trail: its mistake is told elsewhere."""
        self._muted.add(trail)

    def add(self, trail: Trail, text: str, place: Place | None = None) -> None:
        if trail in self._muted:
            return
        place = place or self.locate(trail)
        self._found.setdefault(trail, (place, text))

    def add_at_key(self, trail: Trail, text: str) -> None:
        self.add(trail, text, self._keys.get(trail))

    def tell(self, trail: Trail, text: str, place: Place | None = None) -> str:
        """The sentence "file:line:column: path.to.field: what is wrong; the fix"."""
        line, column = place or self.locate(trail)
        return self._redact(f"{self.path}:{line}:{column}: {self.spell(trail)}: {text}")

    def find_line(self, trail: Trail) -> int:
        return self.locate(trail)[0]

    def locate(self, trail: Trail) -> Place:
        """Where the value stands, or the nearest that holds it."""
        while trail:
            if trail in self._values:
                return self._values[trail]
            trail = trail[:-1]
        return (1, 1)

    def spell(self, trail: Trail) -> str:
        """The trail in words: `channels.letter.port`; an entry without a name is counted from 1."""
        words = []
        for index, part in enumerate(trail):
            name = self._names.get(trail[: index + 1])
            words.append(name or (str(part + 1) if isinstance(part, int) else part))
        return ".".join(words)

    def raise_if_any(self) -> None:
        """SettingsError with all that was found, in the order of the file."""
        if self._found:
            found = sorted(self._found.items(), key=lambda item: item[1])
            raise SettingsError([self.tell(trail, text, place) for trail, (place, text) in found])

    def _redact(self, text: str) -> str:
        for secret in sorted(self._hidden, key=len, reverse=True):
            text = text.replace(secret, "(hidden)")
        return text


def suggest(word: str, known: Iterable[str]) -> str:
    """ "did you mean ...?" when something near is known, else what is known."""
    names = sorted(known)
    near = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"known are: {', '.join(names)}"
