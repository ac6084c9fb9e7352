"""The program's own files, parsed once."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "distributor"


@dataclass(frozen=True)
class File:
    """One file of the package; `name` is its path inside the package, with slashes."""

    name: str
    text: str
    tree: ast.Module

    @property
    def room(self) -> str:
        """The first folder, or the file itself where there is none: "core", "settings"."""
        return self.name.split("/")[0].removesuffix(".py")

    def is_in(self, *places: str) -> bool:
        """Whether the file is one of these paths or inside one of these folders; `render*` names beginnings."""
        return any(self.name == place or self.name.startswith(place.rstrip("*")) for place in places)

    def walk(self) -> Iterator[ast.AST]:
        return ast.walk(self.tree)


@cache
def list_files() -> tuple[File, ...]:
    found = sorted(path for path in PACKAGE.rglob("*.py") if "_shipped" not in path.parts)
    return tuple(_read(path) for path in found)


def _read(path: Path) -> File:
    text = path.read_text(encoding="utf-8")
    return File(path.relative_to(PACKAGE).as_posix(), text, ast.parse(text, filename=str(path)))


def find_imports(file: File) -> Iterator[tuple[str, int]]:
    """Every imported module by its full name, with the line; imports inside functions too."""
    for node in file.walk():
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file.name}:{node.lineno}: relative import"
            yield str(node.module), node.lineno
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def find_functions(file: File) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in file.walk() if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
