"""Secrets: from a file beside the configuration, and which ones are written out in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distributor.settings.explain import is_secret, list_fields
from distributor.settings.problems import Problems, Trail

if TYPE_CHECKING:
    from pydantic import BaseModel

LARGEST_SECRET = 64_000


def read_secret_files(
    entry: Mapping[str, Any], model: type[BaseModel], trail: Trail, problems: Problems
) -> tuple[dict[str, Any], set[str]]:
    """The entry with each `<secret>_file` replaced by what is in that file, and the names read so.

    A path is relative to the configuration file. Line ends at the end of the file do not count.
    """
    filled = dict(entry)
    read = set()
    for name in list_secrets(model):
        key = f"{name}_file"
        if key not in filled:
            continue
        path = filled.pop(key)
        if filled.get(name) is not None:
            problems.add((*trail, key), f"stands beside {name}; remove one of the two")
            continue
        text = _read_secret(path, (*trail, key), problems)
        if text is None:
            problems.mute((*trail, name))
        filled[name] = text or ""
        read.add(name)
    return filled, read


def list_secrets(model: type[BaseModel]) -> list[str]:
    """Names of the secret settings; one whose `_file` is a setting of its own looks after itself."""
    fields = list_fields(model)
    return [name for name, field in fields.items() if is_secret(field) and f"{name}_file" not in fields]


def _read_secret(path: Any, trail: Trail, problems: Problems) -> str | None:
    if not isinstance(path, str) or not path.strip():
        problems.add(trail, "must be the path of a file that holds the secret")
        return None
    try:
        data = (problems.path.absolute().parent / Path(path).expanduser()).read_bytes()
        text = data[: LARGEST_SECRET + 1].decode("utf-8").rstrip("\r\n")
    except OSError as error:
        problems.add(trail, f"the file cannot be read ({error.strerror}); check the path and its permissions")
        return None
    except (UnicodeDecodeError, RuntimeError):
        text = "\0"
    problems.hide(text)
    if not text or "\0" in text or len(data) > LARGEST_SECRET:
        problems.add(trail, "the file is empty or holds no text; put the secret alone into it")
        return None
    return text


def find_literal_secrets(
    entry: Mapping[str, Any], model: type[BaseModel], trail: Trail, expanded: set[Trail], problems: Problems
) -> list[str]:
    """A sentence for each secret that the configuration file itself holds."""
    written = [name for name in list_secrets(model) if _is_telling(entry.get(name))]
    return [
        problems.tell((*trail, name), f'is written out here; better "${{{variable}}}" or {name}_file')
        for name in written
        if (*trail, name) not in expanded and (variable := _name_variable(trail, name, entry))
    ]


def _is_telling(text: Any) -> bool:
    """An address without user and password in it tells nobody anything."""
    return isinstance(text, str) and bool(text) and not ("://" in text and "@" not in text)


def _name_variable(trail: Trail, name: str, entry: Mapping[str, Any]) -> str:
    owner = entry.get("name") if isinstance(trail[-1], int) else trail[-1]
    return re.sub(r"[^A-Z0-9]+", "_", f"{owner or ''}_{name}".upper()).strip("_")
