"""Every commit and every call to the outside has a name, so that the plug can be pulled there (tests/chaos)."""

import ast

import pytest

from tests.house.points import EXCUSED, NAME, find_faults, find_shared, functions_of, list_points
from tests.house.source_code import File, list_files


def test_every_boundary_has_a_name() -> None:
    faults = [str(fault) for file in list_files() for fault in find_faults(file)]
    assert not faults, "\n".join(faults)


def test_no_two_boundaries_share_a_name() -> None:
    assert not find_shared()


def test_the_steps_that_matter_are_among_them() -> None:
    points = set(list_points())
    assert {
        "ledger.claim written",
        "ledger.start committed",
        "send_journal.written",
        "smtp.body",
        "x.body",
    } <= points
    assert all(NAME.fullmatch(point) for point in points)
    assert len(points) > 100


def test_what_is_excused_is_there() -> None:
    known = {f"{file.name}:{function.name}" for file in list_files() for function in functions_of(file.tree)}
    assert set(EXCUSED) <= known
    assert all(EXCUSED.values())


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("storage", "with self._database.write() as connection: pass"),
        ("storage", "with database.write(name) as connection: pass"),
        ("storage", "with engine.begin() as connection: pass"),
        ("engine", "connection.commit()"),
        ("storage", "os.write(file, data)"),
        ("storage", "part.rename(target)"),
        ("storage", "part.replace(target)"),
        ("storage", "path.unlink()"),
        ("storage", "open(path, 'wb')"),
        ("storage", "path.open(mode='a')"),
        ("web", "os.fsync(file)"),
        ("channels", "sock.sendall(data)"),
        ("channels", "connection.connect()"),
        ("channels", "client.request('POST', url)"),
        ("channels", "client.login(name, password)"),
        ("channels", "answer = super().send(request)"),
        ("sources", "subprocess.Popen(command)"),
    ],
)
def test_what_has_no_name_is_found(room: str, line: str) -> None:
    assert list(find_faults(make_file(room, line)))


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("storage", "with self._database.write('ledger.claim') as connection: pass"),
        ("storage", "text.replace('a', 'b')"),
        ("core", "moment.replace(tzinfo=UTC)"),
        ("storage", "path.open('rb')"),
        ("storage", "reach('journal.write')\n    os.write(file, data)"),
    ],
)
def test_what_has_a_name_or_changes_nothing_is_left_alone(room: str, line: str) -> None:
    assert not list(find_faults(make_file(room, line)))


def test_a_boundary_in_a_function_inside_does_not_count_for_the_outer_one() -> None:
    text = "def outer():\n    def inner():\n        reach('a.b')\n    os.fsync(file)\n"
    assert list(find_faults(File("storage/made_up.py", text, ast.parse(text))))


def test_a_name_in_two_places_is_found() -> None:
    one = make_file("storage", "with self._database.write('a.b') as connection: pass")
    assert find_shared((one, one)) == ["a.b committed", "a.b written"]


def make_file(room: str, line: str) -> File:
    text = f"def do():\n    {line}\n"
    return File(f"{room}/made_up.py", text, ast.parse(text))
