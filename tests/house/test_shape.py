"""Size and names: small files, small functions, and the words of HOUSE.md."""

import ast
import re

from tests.house.source_code import File, find_functions, list_files

LONGEST_FILE = 300
LONGEST_FUNCTION = 40
#: What may be longer, and how long. The list is meant to shrink.
LONG_FILES = {"storage/tables.py": 400}
LONG_FUNCTIONS: dict[str, int] = {}
#: A migration is a list of statements.
MIGRATIONS = "storage/migrations/versions/"

EMPTY_WORDS = {"manager", "handler", "helper", "helpers", "util", "utils", "base", "service", "misc", "common"}
#: Where one of these words names the thing itself.
NAMED_EXCEPTIONS = {
    "ServiceEvent": "what a service such as SendGrid reports back",
    "_check_base": "of api_base, as the setting is called",
    "proxy_manager_for": "replaces requests' method of this name",
    "timeout_keep_alive_handler": "replaces uvicorn's method of this name",
}


def test_files_stay_short() -> None:
    wrong = [
        f"{file.name}: {count} lines"
        for file in list_files()
        if (count := file.text.count("\n")) > LONG_FILES.get(file.name, LONGEST_FILE)
    ]
    assert not wrong, "split these:\n" + "\n".join(wrong)


def test_functions_stay_short() -> None:
    wrong = [
        f"{file.name}:{node.lineno}: {node.name} has {length} lines"
        for file in list_files()
        if not file.is_in(MIGRATIONS)
        for node in find_functions(file)
        if (length := measure(node)) > LONG_FUNCTIONS.get(node.name, LONGEST_FUNCTION)
    ]
    assert not wrong, "split these:\n" + "\n".join(wrong)


def test_names_say_what_a_thing_is() -> None:
    wrong = [
        f"{file.name}:{line}: {name}"
        for file in list_files()
        for name, line in find_names(file)
        if split_words(name) & EMPTY_WORDS and name not in NAMED_EXCEPTIONS
    ]
    assert not wrong, "\n".join(wrong)


def measure(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function from `def` to its end, without its docstring."""
    length = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if ast.get_docstring(node) is not None:
        length -= (first.end_lineno or first.lineno) - first.lineno + 1
    return length


def find_names(file: File) -> list[tuple[str, int]]:
    names = [(part, 1) for part in file.name.removesuffix(".py").split("/")]
    for node in file.walk():
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.append((node.name, node.lineno))
    return names


def split_words(name: str) -> set[str]:
    """The lower-case words of a CamelCase or snake_case name."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}
