"""Write docs/configuration.md from the models of the settings; with --check only say whether it is up to date."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from distributor import channels, sources  # noqa: E402
from distributor.core.duration import describe_duration  # noqa: E402
from distributor.settings import alerts, database  # noqa: E402
from distributor.settings import model as models  # noqa: E402
from distributor.settings.explain import is_secret, list_fields  # noqa: E402

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

PAGE = ROOT / "docs" / "configuration.md"
INTRODUCTION = """\
# Configuration

One file, `config/distributor.yaml`, holds what an operator sets before start; `distributor init` writes it with
every setting and its meaning, `distributor check` says what is wrong with it: file, line, column, setting and fix,
all mistakes at once. Every command takes another file by `--config`.

- The file is YAML 1.2: `12:30` is a time, `no` is a word. Unknown settings are mistakes.
- `"${NAME}"` anywhere in a text stands for the environment variable `NAME`; a missing one is a mistake.
  `$${` stands for the signs themselves.
- A setting marked *secret* may stand in a file of its own: instead of `token` write `token_file: path`.
  A secret that is written out works, and `check` warns. No secret is ever printed or logged.
- Relative paths start at the folder of the configuration file, wherever the program was started.
- Lengths of time are written `90s`, `2m`, `1h30m`, `2d`.
- What an editor changes while the program runs is in the database, not here.
"""
ENGINE = """\
## `engine`

| setting | default | meaning |
|---|---|---|
| `engine` | `auto` | How sending is woken. `local`: threads of one process, on SQLite or PostgreSQL; a second \
sending process is refused. `procrastinate`: any number of machines on one PostgreSQL, see \
[From one machine to ten](machines.md). `auto`: procrastinate on PostgreSQL when `run --roles` names some of the \
roles and not all three, else local. |
"""
FOLDERS = """\
## Folders

| setting | default | meaning |
|---|---|---|
| `templates_dir` | `../templates` | Your own templates; what is not in there is taken from the shipped ones. |
| `state_dir` | `../var` | Where the database file and the program's other files are kept. |
"""


def write_page() -> str:
    parts = [INTRODUCTION]
    for name, model in (
        ("site", models.SiteSettings),
        ("database", database.DatabaseSettings),
        ("web", models.WebSettings),
        ("network", models.NetworkSettings),
        ("alerts", alerts.AlertSettings),
    ):
        parts.append(write_section(f"## `{name}`", model))
    parts.append(write_section("### `alerts.email`", alerts.AlertEmail))
    parts.append(FOLDERS)
    parts.append(ENGINE)
    for room, what in (sources, "sources"), (channels, "channels"):
        parts.append(f"## `{what}`\n\nA list; every entry has a `name` of its own and a `kind`.\n")
        parts += [write_section(f"### kind: {kind}", room.settings_model(kind)) for kind in room.kinds()]
    parts.append(write_section("## `schedules`", models.ScheduleEntry))
    parts.append(write_section("### `filter`", models.FilterSettings))
    return "\n".join(parts)


def write_section(title: str, model: type[BaseModel]) -> str:
    lines = "\n".join(write_rows(model))
    about = f"{' '.join((model.__doc__ or '').split())}\n\n".lstrip("\n")
    return f"{title}\n\n{about}| setting | default | meaning |\n|---|---|---|\n{lines}\n"


def write_rows(model: type[BaseModel]) -> Iterator[str]:
    for name, field in list_fields(model).items():
        meaning = field.description or "Which kind it is."
        if not meaning.partition(" ")[0].endswith(":"):
            meaning = meaning[0].upper() + meaning[1:]
        meaning = meaning.rstrip(".") + "."
        secret = " *Secret.*" if is_secret(field) else ""
        yield f"| `{name}` | {write_default(name, field)} | {escape(meaning)}{secret} |"


def write_default(name: str, field: FieldInfo) -> str:
    if field.is_required() or name == "kind":
        return "required"
    default = field.get_default(call_default_factory=True, validated_data={})
    return f"`{spell(default)}`" if spell(default) else ""


def spell(value: Any) -> str:
    if isinstance(value, timedelta):
        return describe_duration(value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) and value != "" else ""


def escape(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def main() -> int:
    page = write_page()
    if "--check" in sys.argv[1:]:
        if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page:
            return 0
        print(f"{PAGE} is out of date; run: make docs", file=sys.stderr)
        return 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
