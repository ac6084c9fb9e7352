"""What is promised is written down, and what is written down is there."""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer

from distributor.cli import app as commands
from distributor.core import errors
from distributor.core.clicks import KLASSES
from distributor.core.delivery import State
from distributor.core.message import Outcome
from tests.house.source_code import ROOT, list_files

PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("templates/**/*.md"))
    if path.is_file()
) + sorted(ROOT.glob("distributor/**/README.md"))
READERS_PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "docs/commands.md")}
GUARANTEES = (ROOT / "docs/guarantees.md").read_text(encoding="utf-8")
OPERATIONS = (ROOT / "docs/operations.md").read_text(encoding="utf-8")

LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
SHOWN_COMMAND = re.compile(r"\bdistributor((?: [a-z][a-z-]*)+)((?: --?[a-z][a-z-]*(?:[ =][^\s`|]+)?)*)")
#: What stands before every command and is explained once.
EVERYWHERE = {"--help", "-h", "--config", "-c", "--json"}


def list_commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if path:
        yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from list_commands(command, (*path, name))


COMMANDS = dict(list_commands(typer.main.get_command(commands)))


def list_options(command: Any) -> set[str]:
    return {name for one in command.params for name in (*one.opts, *one.secondary_opts) if name.startswith("-")}


def show(path: tuple[str, ...]) -> str:
    return " ".join(("distributor", *path))


@pytest.mark.parametrize("path", COMMANDS, ids=show)
def test_every_command_has_a_row_with_its_options(path: tuple[str, ...]) -> None:
    rows = [line for line in READERS_PAGES["docs/commands.md"].splitlines() if line.startswith("| `distributor ")]
    own = [row for row in rows if re.match(rf"\| `{show(path)}(?:`| [^a-z])", row)]
    if getattr(COMMANDS[path], "commands", {}) and not own:
        assert [row for row in rows if row.startswith(f"| `{show(path)} ")], f"{show(path)}: write it into docs"
        return
    assert own, f"write a row for {show(path)} into docs/commands.md"
    missing = [name for name in list_options(COMMANDS[path]) - EVERYWHERE if not re.search(rf"{name}\b", own[0])]
    assert {"--online", "--no-online"} >= set(missing), f"{show(path)}: docs/commands.md does not name {missing}"


@pytest.mark.parametrize("path", COMMANDS, ids=show)
def test_every_command_stands_in_the_readme(path: tuple[str, ...]) -> None:
    rows = "\n".join(line for line in READERS_PAGES["README.md"].splitlines() if line.startswith("| `distributor "))
    *group, name = path
    assert re.search(rf"`distributor {name}\b" if not group else rf"\b{group[0]} {name}`|`{name}`", rows)


def test_what_stands_everywhere_is_explained() -> None:
    text = READERS_PAGES["docs/commands.md"]
    assert not [name for name in EVERYWHERE if f"`{name}" not in text]
    assert "DISTRIBUTOR_CONFIG" in text


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_command_that_a_page_shows_exists(page: Path) -> None:
    wrong = [
        found[0]
        for found in SHOWN_COMMAND.finditer(page.read_text(encoding="utf-8"))
        if not is_command(*found.groups())
    ]
    assert not wrong, wrong


def is_command(words: str, options: str) -> bool:
    """The longest beginning of the words that is a command must know the options; arguments may follow."""
    parts = tuple(words.split())
    path = next((parts[:n] for n in range(len(parts), 0, -1) if parts[:n] in COMMANDS), ())
    command = COMMANDS.get(path)
    if command is None or (getattr(command, "commands", {}) and len(parts) > len(path)):
        return False
    return set(re.findall(r"(?<= )--?[a-z][a-z-]*", options)) <= {*list_options(command), *EVERYWHERE}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_inside_the_repository_leads_somewhere(page: Path) -> None:
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    links = [link for link in LINK.findall(text) if "://" not in link and "{{" not in link]
    wrong = [link for link in links if not leads_somewhere(page, link)]
    assert not wrong, wrong


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = (page.parent / path) if path else page
    if not target.exists():
        return False
    return not anchor or anchor in list_anchors(target.read_text(encoding="utf-8"))


def list_anchors(text: str) -> set[str]:
    """Of headings, as forges make them."""
    titles = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_every_metric_is_explained() -> None:
    module = importlib.import_module("distributor.web.metrics")
    names = set(list_metrics(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))))
    assert len(names) > 10
    missing = sorted(name for name in names if f"| `{name}`" not in OPERATIONS)
    assert not missing, f"explain these in docs/operations.md: {missing}"
    gone = sorted(set(re.findall(r"^\| `(distributor_\w+)`", OPERATIONS, re.MULTILINE)) - names)
    assert not gone, f"docs/operations.md explains what is not there: {gone}"


def list_metrics(tree: ast.Module) -> Iterator[str]:
    """First arguments of the calls that make them; counters end in _total when they are shown."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
            continue
        first = node.args[0]
        if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
            continue
        if node.func.id in ("_gauge", "_counter"):
            yield f"distributor_{first.value}{'_total' if node.func.id == '_counter' else ''}"
        elif node.func.id == "Counter":
            yield f"{first.value}_total"


def test_every_error_is_explained() -> None:
    names = [
        name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)
    ]
    missing = [name for name in names if f"`{name}`" not in GUARANTEES]
    assert not missing, f"explain these in docs/guarantees.md: {missing}"


def test_every_state_is_explained() -> None:
    missing = [state for state in get_args(State) if f"| `{state}` |" not in GUARANTEES]
    assert not missing, f"explain these in docs/guarantees.md: {missing}"


def test_every_answer_is_explained() -> None:
    answers = {one.__name__ for one in get_args(Outcome)} - {"SendError"}
    answers |= {one.__name__ for one in errors.SendError.__subclasses__()}
    missing = sorted(name for name in answers if f"| {name} |" not in GUARANTEES)
    assert not missing, f"say in docs/guarantees.md what these do: {missing}"


def test_every_class_of_clicks_is_explained() -> None:
    missing = [klass for klass in KLASSES if f"| `{klass}` |" not in GUARANTEES]
    assert not missing, f"explain these in docs/guarantees.md: {missing}"


def test_every_path_of_the_web_server_is_explained() -> None:
    (text,) = (file.text for file in list_files() if file.name == "web/app.py")
    paths = {path.partition("{")[0] for path in re.findall(r'Route\("(/[^"]*)"', text)} - {"/robots.txt"}
    missing = sorted(path for path in {*paths, "/l/"} if f"`{path}" not in OPERATIONS)
    assert not missing, f"explain these in docs/operations.md: {missing}"


def test_every_file_of_the_state_folder_is_explained() -> None:
    for name in ("distributor.db", "-wal", ".lock", "sends-", ".clicks", ".salt", "backups/"):
        assert name in OPERATIONS


def test_every_exit_code_is_explained() -> None:
    (text,) = (file.text for file in list_files() if file.name == "cli/output.py")
    codes = {"0", "2", *re.findall(r"^[A-Z_]+ = ([0-9])$", text, re.MULTILINE)}
    assert {"1", "3", "4"} <= codes
    for code in codes:
        assert f"| {code} |" in READERS_PAGES["docs/commands.md"]
        assert f"**{code}**" in READERS_PAGES["README.md"]


def test_every_make_target_that_a_page_shows_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = {
        (page.name, found)
        for page in PAGES
        for found in re.findall(r"(?:^|`)make ([a-z-]+)", page.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert not [one for one in shown if one[1] not in targets]
