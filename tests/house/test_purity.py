"""Where the clock, the environment and the names of channels may be known."""

import ast
from collections.abc import Iterator
from typing import TypeGuard

from distributor import channels, sources
from tests.house.source_code import File, list_files

CLOCK_CALLS = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("date", "today"),
    ("time", "time"),
    ("time", "time_ns"),
}
#: The entrances read the clock; a sandbox is a service of its own with a clock of its own.
CLOCK_READERS = ("__main__", "cli", "clock", "web", "app", "demo")
CLOCK_EXCEPTIONS: dict[str, str] = {}
#: Only settings reads the environment; an entrance hands it over.
ENVIRONMENT_READERS = ("settings", "cli", "__main__")
ENVIRONMENT_EXCEPTIONS: dict[str, str] = {}


def test_only_entrances_read_the_clock() -> None:
    wrong = [
        f"{file.name}:{node.lineno}: reads the clock; take `now` as an argument"
        for file in list_files()
        if file.room not in CLOCK_READERS and not is_sandbox(file) and file.name not in CLOCK_EXCEPTIONS
        for node in file.walk()
        if isinstance(node, ast.Attribute) and (last_name(node.value), node.attr) in CLOCK_CALLS
        if node not in find_defaults(file)
    ]
    assert not wrong, "\n".join(wrong)


def test_only_settings_reads_the_environment() -> None:
    wrong = [
        f"{file.name}:{node.lineno}: reads the environment; that is what settings are for"
        for file in list_files()
        if file.room not in ENVIRONMENT_READERS and file.name not in ENVIRONMENT_EXCEPTIONS
        for node in file.walk()
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv")
    ]
    assert not wrong, "\n".join(wrong)


def test_nobody_asks_which_channel_or_source_it_is() -> None:
    kinds = {*channels.kinds(), *sources.kinds(), "feed", "wordpress", "email", "telegram", "x"}
    wrong = [
        f"{file.name}:{node.lineno}: compares a kind; ask the channel instead"
        for file in list_files()
        if file.room in ("core", "pipeline", "web", "storage", "engine", "app", "cli", "clock", "settings")
        for node in file.walk()
        if names_a_kind(node, kinds)
    ]
    assert not wrong, "\n".join(wrong)


def find_defaults(file: File) -> list[ast.AST]:
    """Default values of parameters: a clock that is an argument may be the real one unless another is given."""
    all_arguments = [node for node in file.walk() if isinstance(node, ast.arguments)]
    return [part for node in all_arguments for part in (*node.defaults, *node.kw_defaults) if part]


def is_sandbox(file: File) -> bool:
    return file.name.rpartition("/")[2].startswith("sandbox")


def names_a_kind(node: ast.AST, kinds: set[str]) -> TypeGuard[ast.Compare]:
    if not isinstance(node, ast.Compare):
        return False
    sides = [node.left, *node.comparators]
    is_about_kind = any(last_name(side) in ("kind", "medium") for side in sides)
    return is_about_kind and any(value in kinds for side in sides for value in find_texts(side))


def find_texts(node: ast.AST) -> Iterator[str]:
    return (part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str))


def last_name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
