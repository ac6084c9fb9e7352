"""The page that the long form writes."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from tests.chaos.accounts import Account
from tests.chaos.matrix import Matrix
from tests.chaos.random_kills import Chaos
from tests.chaos.report import Figures, write_page


def test_the_page_has_the_figures_the_seed_the_date_and_the_command(tmp_path: Path) -> None:
    figures = Figures(7, 12.5, ["a.b", "c.d", "move.done"], "abc123")
    account = Account(kills=250, deliveries=19_000, unknown=31)
    figures.add_matrix(Matrix("SQLite, local engine", account, 260, 300, 120, {"a.b"}))
    figures.add_round(
        Chaos("PostgreSQL, local engine", 2, 7, 3.0, Account(kills=40, deliveries=900), 5, [1.0, 2.0, 9.0])
    )
    write_page(figures, date(2026, 11, 23), tmp_path / "page.md")
    page = (tmp_path / "page.md").read_text()
    assert "| SQLite, local engine | 1 | 250 | 120 | 19,000 | 0 | 0 | 31 | 0 | 0 |" in page
    assert "| SQLite, local engine | `c.d`, `move.done` | not reached in this run |" in page
    assert "| PostgreSQL, local engine | 2 | 3.0 | 40 | 5 | 900 | 0 | 0 | 0 | 0 | 2.0 s, 9.0 s |" in page
    assert "time for 260 of 300 days and commands" in page
    assert "2026-11-23, commit abc123, seed 7" in page
    assert 'make chaos ARGS="--minutes 12.5 --seed 7"' in page
    assert "broken in" not in page.partition("## What was measured")[2].partition("## Do it again")[0]


def test_a_broken_promise_is_on_the_page(tmp_path: Path) -> None:
    figures = Figures(1, 1.0, ["x.body"])
    figures.add_matrix(Matrix("SQLite, local engine", faults=["a day: x.body: lost: ('x', '', 'Story number 1')"]))
    write_page(figures, date(2026, 11, 23), tmp_path / "page.md")
    assert "Promises broken in this run: 1" in (tmp_path / "page.md").read_text()
