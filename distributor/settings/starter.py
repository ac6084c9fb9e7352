"""The first configuration of a new newsroom."""

from __future__ import annotations

from pathlib import Path

from distributor import shipped
from distributor.core.errors import SettingsError

FILE_NAME = "distributor.yaml"


def write_starter(path: Path) -> None:
    """Write the shipped, commented configuration to `path`; SettingsError rather than overwrite anything."""
    text = (shipped.config_dir() / FILE_NAME).read_text(encoding="utf-8")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise SettingsError([f"{path}: {_explain(path, error)}"]) from None


def _explain(path: Path, error: OSError) -> str:
    if path.exists():
        return "is already there and was left as it is; edit it, or name another with --config"
    return f"cannot be written ({error.strerror}); check the folder and its permissions"
