"""What every command shares: the configuration, plain tables or JSON, and exit codes that scripts can use.

0  done
1  done, and something is wrong that you asked about (a check found problems, a poll failed, a test was refused)
2  the command was typed wrongly
3  the configuration is wrong; every mistake is listed as file:line:column
4  the database cannot be used as it is; the message says what to type
"""

from __future__ import annotations

import functools
import gc
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec, TypeVar

import typer

if TYPE_CHECKING:
    from distributor.app import App
    from distributor.settings import Settings

FOUND_PROBLEMS = 1
WRONG_USAGE = 2
WRONG_SETTINGS = 3
WRONG_DATABASE = 4

Config = Annotated[
    Path,
    typer.Option("--config", "-c", help="The configuration file.", envvar="DISTRIBUTOR_CONFIG", show_envvar=True),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
DEFAULT_CONFIG = Path("config/distributor.yaml")

P = ParamSpec("P")
R = TypeVar("R")


def command(function: Callable[P, R]) -> Callable[P, R]:
    """Turns our errors into one sentence on standard error and an exit code."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        from distributor.core.errors import DistributorError

        collect_from_now_on()
        try:
            return function(*args, **kwargs)
        except DistributorError as error:
            tell(str(error))
            raise typer.Exit(exit_code(error)) from None
        except BrokenPipeError:
            # The reader of our output (head, less) has gone; nothing is left to say.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None

    return run


def collect_from_now_on() -> None:
    """What is there now stays until the end: the collector need not walk through it again and again."""
    gc.freeze()
    gc.enable()


def exit_code(error: Exception) -> int:
    from distributor.core.errors import SettingsError, StorageError

    if isinstance(error, SettingsError):
        return WRONG_SETTINGS
    return WRONG_DATABASE if isinstance(error, StorageError) else FOUND_PROBLEMS


def load(config: Path) -> Settings:
    """The settings of this configuration file."""
    from distributor.app import read_settings

    return read_settings(config, os.environ)


@contextmanager
def opened(config: Path) -> Iterator[App]:
    """The desk over the configured database, closed afterwards."""
    from distributor.app import open_app

    app = open_app(load(config))
    try:
        yield app
    finally:
        app.close()


@contextmanager
def deciding(config: Path) -> Iterator[App]:
    """As `opened`, for a command that gives workers something to do: they are told in its transaction."""
    from distributor.run import find_waker

    with opened(config) as app:
        app.storage.database.waker = find_waker(app)
        yield app


def who() -> str:
    """Who decides, for the audit line."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody at the command line"


def tell(sentence: str) -> None:
    """A line for the person at the terminal: standard error, so that data can be piped."""
    typer.echo(sentence, err=True)


def refuse_early_config(context: typer.Context, config: Path) -> None:
    """`posts --config FILE release 1` would use another file for `release` without a word; say where it belongs."""
    if context.invoked_subcommand and config != DEFAULT_CONFIG and "DISTRIBUTOR_CONFIG" not in os.environ:
        whole = f"{context.info_name} {context.invoked_subcommand}"
        raise refuse_usage(f"write --config after the whole command: {whole} --config {config}")


def fail(sentence: str) -> typer.Exit:
    """Say what is wrong; the caller raises what this returns."""
    tell(sentence)
    return typer.Exit(FOUND_PROBLEMS)


def refuse_usage(sentence: str) -> typer.Exit:
    """As `fail`, for what was typed wrongly."""
    tell(sentence)
    return typer.Exit(WRONG_USAGE)


def show(rows: Sequence[Any], columns: Sequence[str], as_json: bool, empty: str = "nothing") -> None:
    """Print rows (mappings or dataclasses) as a table of these columns, or whole as JSON."""
    plain = [_as_mapping(row) for row in rows]
    if as_json:
        show_json(plain)
    elif not plain:
        tell(empty)
    else:
        _print_table(plain, columns)


def show_json(value: Any) -> None:
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=_plain))


def _as_mapping(row: Any) -> dict[str, Any]:
    return asdict(row) if is_dataclass(row) and not isinstance(row, type) else dict(row)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value)


def _print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> None:
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    heads = [column.replace("_", " ") for column in columns]
    widths = [max(len(line[i]) for line in [heads, *cells]) for i in range(len(columns))]
    for line in [heads, *cells]:
        padded = [text.ljust(width) for text, width in zip(line, widths, strict=True)]
        typer.echo("  ".join(padded).rstrip())


def _cell(value: Any) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(f"{key}:{number}" for key, number in value.items()) or "-"
    text = " ".join(str(value).split())
    return text if len(text) <= 70 else text[:69] + "…"
