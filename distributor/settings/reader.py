"""The configuration file as plain data that remembers where everything stands.

YAML 1.2 by ruamel.yaml, read at the level of nodes: PyYAML takes 12:30 for 750 and `no` for false, and a loader
would report one duplicate key and stop. Everything that is wrong is collected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributor.core.errors import SettingsError
from distributor.settings.problems import Problems, Trail

LARGEST_FILE = 2_000_000
_DEEPEST = 40
_MOST_VALUES = 100_000
_LONGEST_NUMBER = 40
_VARIABLE = re.compile(r"\$(\$?)\{([^}\n]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_INT = re.compile(r"[-+]?(?:[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_CONSTANTS = {"": None, "~": None, "null": None, "true": True, "false": False}


@dataclass
class Document:
    """What the file says. `expanded` are the trails of values that hold a variable's content."""

    data: dict[str, Any] = field(default_factory=dict)
    expanded: set[Trail] = field(default_factory=set)


def read_document(path: Path, environ: Mapping[str, str], problems: Problems) -> Document:
    """Read and expand the file; SettingsError where nothing more can be said before it is mended."""
    text = _read_text(path)
    root = _compose(path, text)
    if root is None:
        raise SettingsError([f"{path}: the file is empty; delete it and run: distributor init --config {path}"])
    if root.id != "mapping":
        raise SettingsError(
            [f"{path}:1:1: the file must begin with settings such as `site:`, not with a {root.id}"]
        )
    walk = _Walk(environ, problems)
    return Document(walk.read_mapping(root, (), ()), walk.expanded)


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        fix = f"write one with: distributor init --config {path}"
        raise SettingsError([f"{path}: there is no such file; {fix}"]) from None
    except OSError as error:
        raise SettingsError(
            [f"{path}: cannot be read ({error.strerror}); check the path and its permissions"]
        ) from None
    if len(data) > LARGEST_FILE:
        raise SettingsError([f"{path}: has {len(data):,} bytes; a configuration file has at most {LARGEST_FILE:,}"])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise SettingsError([f"{path}:{line}:{column}: is not UTF-8 text; save the file as UTF-8"]) from None


def _compose(path: Path, text: str) -> Any:
    """The tree of nodes, None for an empty file."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        return YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        lines = text.splitlines()
        hint = _hint(lines[line - 1] if line <= len(lines) else "")
        what = error.problem or error.context or "is not YAML"
        raise SettingsError([f"{path}:{line}:{column}: is not YAML: {what}{hint}"]) from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise SettingsError([f"{path}: is not YAML: {str(error).splitlines()[0]}"]) from None


def _hint(line: str) -> str:
    if "\t" in line:
        return "; indent with spaces, not with tabs"
    if re.search(r"[:\[,]\s*\$\{", line):
        return '; write "${NAME}" in quotes'
    if re.search(r"[:\[,]\s*[@`%&*!|>]", line):
        return '; put the value in quotes, such as "@dailyexample"'
    return "; look for a missing colon, quote, bracket or space on this line and the one above"


class _Walk:
    """From nodes to plain data. `trail` leads to a value by names and list indexes."""

    def __init__(self, environ: Mapping[str, str], problems: Problems) -> None:
        self._environ = environ
        self._problems = problems
        self.expanded: set[Trail] = set()
        self._count = 0

    def read_mapping(self, node: Any, trail: Trail, parents: tuple[int, ...]) -> dict[str, Any]:
        data: dict[str, Any] = {}
        first_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            inner = (*trail, key)
            place = _place(key_node)
            if key in first_lines:
                text = f"is already set in line {first_lines[key]}; remove one of the two"
                self._problems.add(inner, text, place)
                continue
            first_lines[key] = place[0]
            self._problems.note_key(inner, place)
            data[key] = self._read(value_node, inner, (*parents, id(node)))
        return data

    def _read(self, node: Any, trail: Trail, parents: tuple[int, ...]) -> Any:
        self._problems.note_value(trail, _place(node))
        self._count += 1
        if self._count > _MOST_VALUES:
            raise SettingsError([self._problems.tell(trail, f"the file has more than {_MOST_VALUES:,} values")])
        if node.tag.startswith("!"):
            self._problems.add(trail, f"the tag {node.tag} means nothing here; remove it")
        if id(node) in parents or len(parents) > _DEEPEST:
            self._problems.add(trail, "is nested too deeply or contains itself; write it out")
            return None
        if node.id == "mapping":
            return self.read_mapping(node, trail, parents)
        if node.id == "sequence":
            parents = (*parents, id(node))
            return [self._read(item, (*trail, index), parents) for index, item in enumerate(node.value)]
        return self._expand(node.value, trail) if "${" in node.value else _read_scalar(node)

    def _expand(self, text: str, trail: Trail) -> str:
        def replace(found: re.Match[str]) -> str:
            if found[1]:
                return found[0][1:]
            return self._look_up(found[2], trail)

        return _VARIABLE.sub(replace, text)

    def _look_up(self, name: str, trail: Trail) -> str:
        value = self._environ.get(name)
        if not _NAME.fullmatch(name):
            self._problems.add(
                trail, f'"${{{name}}}" names no variable; write "${{NAME}}", or "$${{" for the signs'
            )
        elif value is None:
            text = f"the environment variable {name} is not set; set it before the start"
            self._problems.add(trail, text)
        else:
            self.expanded.add(trail)
            self._problems.hide(value)
            return value
        return ""


def _place(node: Any) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1


def _read_scalar(node: Any) -> Any:
    """A plain scalar by the core schema of YAML 1.2; quoted text and everything else is text."""
    text: str = node.value
    if node.style is not None:
        return text
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if len(text) <= _LONGEST_NUMBER and _INT.fullmatch(text):
        return int(text, 0) if text.lstrip("+-")[:2] in ("0o", "0x") else int(text)
    return float(text) if len(text) <= _LONGEST_NUMBER and _FLOAT.fullmatch(text) else text
