"""Every command says what it does, with an example that can be typed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.desk import COMMAND, type_words


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something by itself, with the words that lead to it."""
    children = getattr(command, "commands", {})
    if not children or (path and command.invoke_without_command):
        yield path, command
    for name, child in children.items():
        yield from walk(child, (*path, name))


TREE = dict(walk(COMMAND))
every_command = pytest.mark.parametrize("path", TREE, ids=" ".join)


def test_the_commands_of_the_house_are_there() -> None:
    wanted = {
        "init",
        "demo",
        "check",
        "run",
        "poll",
        "plan",
        "preview",
        "send-test",
        "deliveries",
        "report",
        "links",
    }
    assert wanted <= {path[0] for path in TREE}
    assert {("db", "upgrade"), ("db", "backup"), ("db", "check"), ("subscribers", "import")} <= set(TREE)


@every_command
def test_every_command_has_help_with_an_example(path: tuple[str, ...]) -> None:
    done = type_words(*path, "--help")
    assert done.code == 0
    assert f"Example: distributor {' '.join(path)}" in " ".join(done.out.split())


@every_command
def test_the_example_names_only_options_that_exist(path: tuple[str, ...]) -> None:
    found = re.search(r"Example: (.+)", TREE[path].help or "")
    assert found
    words = shlex.split(found[1])[1:]
    assert tuple(words[: len(path)]) == path
    known = {option for parameter in TREE[path].params for option in parameter.opts}
    used = {word for word in words[len(path) :] if word.startswith("-")}
    assert used <= known | {f"--no-{option.removeprefix('--')}" for option in known}


@every_command
def test_every_option_and_argument_says_what_it_is(path: tuple[str, ...]) -> None:
    untold = [parameter.name for parameter in TREE[path].params if not getattr(parameter, "help", "")]
    assert not untold


@every_command
def test_every_command_but_the_demo_takes_a_configuration(path: tuple[str, ...]) -> None:
    options = {option for parameter in TREE[path].params for option in parameter.opts}
    assert path == ("demo",) or "--config" in options


def test_no_command_at_all_shows_the_help() -> None:
    done = type_words()
    assert "Commands:" in done.out + done.told


@pytest.mark.parametrize("words", [["nonsense"], ["status", "--nonsense"], ["plan", "--days", "0"], ["preview"]])
def test_what_is_typed_wrongly_ends_with_2(words: list[str]) -> None:
    assert type_words(*words).code == 2
