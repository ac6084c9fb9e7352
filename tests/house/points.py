"""The named step boundaries of the program, and the calls to the outside that stand without one, from its source.

A commit is named by `database.write("room.step")`, anything else by `reach("room.step")` in the same function.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.house.source_code import File, list_files

NAME = re.compile(r"[a-z_]+\.[a-z_]+( [a-z_]+)*")

#: Functions that change something which outlives this process, or that another machine sees.
FUNCTIONS = frozenset(
    {
        f"os.{name}"
        for name in [
            "write",
            "pwrite",
            "rename",
            "replace",
            "link",
            "unlink",
            "remove",
            "fsync",
            "fdatasync",
            "ftruncate",
        ]
    }
    | {f"shutil.{name}" for name in ["copy", "copy2", "copyfile", "copytree", "move", "rmtree"]}
    | {"socket.create_connection", "subprocess.Popen", "subprocess.run", "urllib.request.urlopen", "urlopen"}
)
#: The same as methods, whatever they belong to.
METHODS = frozenset(
    ["sendall", "getresponse", "write_bytes", "write_text", "touch", "unlink", "rename", "starttls"]
)
#: What these names mean only where services are spoken to.
WIRE_METHODS = frozenset({"connect", "request", "starttls", "login", "run_until_complete"})
WIRE_ROOMS = ("channels", "sources", "web", "engine")
#: What a database is called: a move has two.
DATABASES = ("database", "db", "source", "target")
#: A transaction that is not `database.write`.
COMMIT_METHODS = frozenset({"begin", "commit"})
COMMIT_ROOMS = ("storage", "engine", "app", "pipeline")
#: One name for one thing that is done in two ways: a note on SQLite and on PostgreSQL, and the same verb of SMTP by
#: the client that asks ahead and by the one that does not.
TWICE = {"database.note written", "database.note committed"} | {
    f"smtp.{verb}" for verb in ("connect", "ready", "mail", "body", "body answered", "quit")
}

#: Not the product at work: services that pretend, the demo, and files that somebody asked for by name.
ELSEWHERE = ("demo/", "cli/", "settings/starter.py", "channels/sandbox_server.py", "sources/sandbox")

#: file:function -> why no boundary is needed there.
EXCUSED = {
    "storage/database.py:write": "it makes the boundaries of every commit",
    "storage/database.py:_begin": "opens a transaction; its end has the name",
    "channels/email/smtp_pipelined.py:_run": "runs what has the boundaries",
    "channels/telegram/client.py:close": "only closes connections",
    "channels/x/adapter.py:request": "it ends in send(), which has the boundaries",
    "web/public/salts.py:_forget_before": "deletes what is old; whatever is left goes tomorrow",
    "sources/reader.py:serve": "the reading child answers its parent through a pipe",
}


@dataclass(frozen=True)
class Fault:
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def list_points(files: tuple[File, ...] = ()) -> list[str]:
    """Every boundary of the program, sorted; a commit has two."""
    points = []
    for file in files or list_files():
        points += [name for name, _ in find_reaches(file) if name]
        for name, _ in find_writes(file):
            points += [f"{name} written", f"{name} committed"] if name else []
    return sorted(points)


def find_faults(file: File) -> Iterator[Fault]:
    """Transactions without a literal name, odd names, and calls to the outside in functions without a boundary."""
    for what, found in (("write", find_writes(file)), ("reach", find_reaches(file))):
        for name, line in found:
            if not NAME.fullmatch(name) and file.name != "storage/database.py":
                yield Fault(f"{file.name}:{line}", f'{what}() needs a literal name like "room.step"')
    if file.is_in(*ELSEWHERE) or "/sandbox" in file.name:
        return
    for function in functions_of(file.tree):
        if f"{file.name}:{function.name}" in EXCUSED:
            continue
        calls = list(own_calls(function))
        if not any(is_reach(call) for call in calls):
            for call in calls:
                if outside := describe_outside(call, file):
                    yield Fault(
                        f"{file.name}:{call.lineno}", f'{outside} without reach("...") in {function.name}()'
                    )


def find_shared(files: tuple[File, ...] = ()) -> list[str]:
    """Names that stand in two places: then nobody could say where the plug was pulled."""
    points = list_points(files)
    return sorted({name for name in points if points.count(name) > 1 + (name in TWICE)})


def find_writes(file: File) -> Iterator[tuple[str, int]]:
    """Name ("" when it is no literal) and line of every `database.write(...)`."""
    for call in calls_in(file.tree):
        if isinstance(call.func, ast.Attribute) and call.func.attr == "write":
            owner = ast.unparse(call.func.value)
            is_own = owner == "self" and file.name == "storage/database.py"
            if is_own or owner.rpartition(".")[2].lstrip("_") in DATABASES:
                yield read_literal(call), call.lineno


def find_reaches(file: File) -> Iterator[tuple[str, int]]:
    return ((read_literal(call), call.lineno) for call in calls_in(file.tree) if is_reach(call))


def read_literal(call: ast.Call) -> str:
    first = call.args[0] if call.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def is_reach(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Name) and call.func.id == "reach"


def describe_outside(call: ast.Call, file: File) -> str:
    """The call as it stands there, "" when it changes nothing outside."""
    name = ast.unparse(call.func)
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    is_known = name in FUNCTIONS or method in METHODS or name == "super().send"
    is_wire = method in WIRE_METHODS and file.room in WIRE_ROOMS
    is_commit = method in COMMIT_METHODS and file.room in COMMIT_ROOMS
    is_file = is_path_replace(call) or is_open_to_write(call)
    return f"{name}()" if is_known or is_wire or is_commit or is_file else ""


def is_path_replace(call: ast.Call) -> bool:
    """Path.replace takes one argument; those of texts and dates take two, or names."""
    is_replace = isinstance(call.func, ast.Attribute) and call.func.attr == "replace"
    return is_replace and len(call.args) == 1 and not call.keywords


def is_open_to_write(call: ast.Call) -> bool:
    if not (isinstance(call.func, ast.Name | ast.Attribute) and ast.unparse(call.func).split(".")[-1] == "open"):
        return False
    given = [*call.args, *(keyword.value for keyword in call.keywords)]
    words = [word.value for word in given if isinstance(word, ast.Constant) and isinstance(word.value, str)]
    return any(re.fullmatch(r"[rwxabt+]{1,3}", word) and set(word) & set("wxa+") for word in words)


def functions_of(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def calls_in(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def own_calls(function: ast.AST) -> Iterator[ast.Call]:
    """Calls of a function itself, without those of functions inside it."""
    for child in ast.iter_child_nodes(function):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if isinstance(child, ast.Call):
            yield child
        yield from own_calls(child)
