"""The commands. Nothing heavy is imported before a command needs it, so that `--help` answers at once."""

from __future__ import annotations

import typer

from distributor.cli import alerts, database, decide, deliveries, look, pausing, people, setup, walk

app = typer.Typer(
    name="distributor",
    help="Puts a newsroom's stories out by email, Telegram and X: each once, on time, with the clicks counted.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

setup.register(app)
walk.register(app)
look.register(app)
decide.register(app)
deliveries.register(app)
pausing.register(app)
people.register(app)
database.register(app)
alerts.register(app)
