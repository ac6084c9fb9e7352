"""Where posts come from: one folder each. The folder listing is the registry."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

ENTRY_POINTS = "distributor.sources"


def kinds() -> tuple[str, ...]:
    """Every kind of source: the folders here, then packages that registered under `distributor.sources`."""
    from importlib.metadata import entry_points

    here = Path(__file__).parent
    ours = {path.parent.name for path in here.glob("*/source.py")}
    return (*sorted(ours), *sorted({point.name for point in entry_points(group=ENTRY_POINTS)} - ours))


def load(kind: str, part: str = "source") -> ModuleType:
    """The module `source` or `settings` of a kind, imported on demand; LookupError names the kinds there are."""
    if kind.isidentifier() and (Path(__file__).parent / kind / "source.py").is_file():
        return importlib.import_module(f"{__name__}.{kind}.{part}")
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINTS, name=kind):
        return importlib.import_module(f"{point.value}.{part}")
    raise LookupError(f"there is no source kind {kind!r}; known: {', '.join(kinds())}")


def settings_model(kind: str) -> Any:
    """The pydantic model that says what must be filled in for this kind."""
    return load(kind, "settings").Settings


def open_source(settings: Any, fetcher: Any) -> Any:
    """A source ready to poll, from its filled-in settings and the shared `Fetcher`."""
    return load(settings.kind).Source(settings, fetcher)
