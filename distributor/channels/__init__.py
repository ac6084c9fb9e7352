"""Where messages go: one folder each. The folder listing is the registry."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from distributor.core.contracts import Channel, Site

ENTRY_POINTS = "distributor.channels"


@dataclass(frozen=True)
class Surroundings:
    """What a channel may know of the house it stands in."""

    site: Site
    #: Name and version for User-Agent headers.
    agent: str = "distributor"


def kinds() -> tuple[str, ...]:
    """Every kind of channel: the folders here, then packages that registered under `distributor.channels`."""
    here = Path(__file__).parent
    ours = {path.parent.name for path in here.glob("*/channel.py")}
    return (*sorted(ours), *sorted({point.name for point in entry_points(group=ENTRY_POINTS)} - ours))


def load(kind: str, part: str) -> ModuleType:
    """The module `channel`, `settings` or `sandbox` of a kind, imported on demand."""
    if (Path(__file__).parent / kind / "channel.py").is_file():
        return importlib.import_module(f"{__name__}.{kind}.{part}")
    for point in entry_points(group=ENTRY_POINTS, name=kind):
        return importlib.import_module(f"{point.value}.{part}")
    raise LookupError(f"there is no channel kind {kind!r}; known: {', '.join(kinds())}")


def settings_model(kind: str) -> Any:
    """The pydantic model that says what must be filled in for this kind."""
    return load(kind, "settings").Settings


def open_channel(settings: Any, around: Surroundings) -> Channel:
    """A channel ready to send, from its filled-in settings."""
    opener: Callable[[Any, Surroundings], Channel] = load(settings.kind, "channel").open_channel
    return opener(settings, around)
