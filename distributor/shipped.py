"""Where the templates and configuration files that came with the program are."""

from pathlib import Path


def templates_dir() -> Path:
    """The shipped `templates/`: beside the package in a checkout, inside it in an installed wheel."""
    return _find("templates")


def config_dir() -> Path:
    """The shipped `config/`, with the commented distributor.yaml."""
    return _find("config")


def _find(name: str) -> Path:
    package = Path(__file__).resolve().parent
    inside = package / "_shipped" / name
    return inside if inside.is_dir() else package.parent / name
