"""Where templates are: the newsroom's own folder first, then the shipped one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from distributor.core.errors import TemplateError

#: Parts that all channels share: the fixed words of each language, and what includes.
SHARED_FOLDER = "_shared"
FALLBACK_FOLDER = "default"
SHIPPED_PREFIX = "shipped/"
LONGEST_TEMPLATE = 256 * 1024

_NAME = re.compile(r"(?:[\w-][\w.-]*/)*[\w-][\w.-]*")


@dataclass(frozen=True)
class Template:
    """A template's text. `label` is what an editor is shown, for example "templates/email/each.mjml"."""

    name: str
    label: str
    text: str


class Templates:
    """Looks templates up, folder by folder and in each folder root by root.

    A newsroom's file hides the shipped one of the same folder and name; `shipped/<folder>/<name>` means the
    shipped one all the same. Files are read anew each time, so an edited template counts at once.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        """`roots`: the newsroom's own templates first, the shipped ones last. A root may be absent."""
        self.roots = tuple(roots)

    def find(self, folders: Sequence[str], name: str) -> Template | None:
        """The first template of this name; None when there is none. TemplateError when it cannot be read."""
        if not _is_safe_name(name):
            return None
        if name.startswith(SHIPPED_PREFIX):
            shipped = name.removeprefix(SHIPPED_PREFIX)
            paths = [(self.roots[-1] / shipped, self._label(self.roots[-1], shipped))]
        else:
            paths = [
                (root / folder / name, self._label(root, f"{folder}/{name}"))
                for folder in (*folders, SHARED_FOLDER)
                for root in self.roots
            ]
        for path, label in paths:
            if path.is_file():
                return Template(name, label, _read(path, label))
        return None

    def find_part(self, folders: Sequence[str], name: str, form: str) -> Template:
        """The template of one part of a message, else the one that serves every channel.

        TemplateError when not even default/ has one.
        """
        suffix = name.removeprefix(form)
        fallbacks = dict.fromkeys((f"{form}{suffix}", f"{form}.txt"))
        found = self.find(folders, name)
        for fallback in fallbacks:
            found = found or self.find((FALLBACK_FOLDER,), fallback)
        if not found:
            looked = ", ".join(dict.fromkeys((*folders, FALLBACK_FOLDER)))
            raise TemplateError(f"there is no such template in the folders {looked}", name)
        return found

    def read_words(self, language: str) -> dict[str, str]:
        """The fixed words of a language ("Read more"), from `_shared/words.<language>.txt`.

        English fills what is missing; the newsroom's own lines go before the shipped ones.
        """
        base = language.partition("-")[0]
        words: dict[str, str] = {}
        for name in dict.fromkeys(("en", base.lower(), language.lower())):
            for root in reversed(self.roots):
                path = root / SHARED_FOLDER / f"words.{name}.txt"
                if _is_safe_name(path.name) and path.is_file():
                    label = self._label(root, f"{SHARED_FOLDER}/{path.name}")
                    words |= _read_word_lines(_read(path, label), label)
        return words

    def _label(self, root: Path, rest: str) -> str:
        kind = "shipped templates" if root == self.roots[-1] and len(self.roots) > 1 else root.name
        return f"{kind}/{rest}"


def _is_safe_name(name: str) -> bool:
    return len(name) <= 200 and bool(_NAME.fullmatch(name))


def _read(path: Path, label: str) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LONGEST_TEMPLATE + 1)
    except OSError as error:
        raise TemplateError(f"cannot be read: {error.strerror}", label) from error
    if len(data) > LONGEST_TEMPLATE:
        raise TemplateError(f"is larger than {LONGEST_TEMPLATE // 1024} KB", label)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TemplateError("is not UTF-8; save it with this encoding", label, line) from error


def _read_word_lines(text: str, label: str) -> dict[str, str]:
    words = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals or not key.strip().isidentifier():
            raise TemplateError("is not a line of the form word = text", label, number)
        words[key.strip()] = value.strip()
    return words
