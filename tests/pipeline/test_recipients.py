"""Readers from and to CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributor.core.subscriber import ImportCount, NewSubscriber
from distributor.pipeline.recipients import Problem, import_people, read_people, write_people
from distributor.pipeline.recipients_csv import LONGEST_LINE, LONGEST_RECORD

NOW = datetime(2026, 11, 23, 7, 30, tzinfo=UTC)


def read(content: str | bytes, encoding: str = "utf-8") -> tuple[list[NewSubscriber], list[Problem]]:
    data = content.encode(encoding) if isinstance(content, str) else content
    items = list(read_people(io.BytesIO(data)))
    people = [item for item in items if isinstance(item, NewSubscriber)]
    return people, [item for item in items if isinstance(item, Problem)]


def addresses(people: Iterable[NewSubscriber]) -> list[str]:
    return [one.address for one in people]


def test_email_alone_is_enough() -> None:
    people, problems = read("email\nJane@Example.org\n\nsam@example.net\n")
    assert people == [
        NewSubscriber("Jane@example.org", "jane@example.org"),
        NewSubscriber("sam@example.net", "sam@example.net"),
    ]
    assert problems == []


def test_columns_are_known_by_name_in_any_order_and_spelling() -> None:
    people, problems = read(
        "Consent , NAME,Favourite colour,E-Mail Address\nform 3,Jane Doe,red,jane@example.org\n"
    )
    assert people == [NewSubscriber("jane@example.org", "jane@example.org", "Jane Doe", "form 3")]
    (note,) = problems
    assert (note.line, note.loss) == (1, "nothing")
    assert "Favourite colour" in note.what


def test_first_and_last_names_make_one_name() -> None:
    people, _ = read("Email Address,First Name,Last Name\njane@example.org,Jane,Doe\nsam@example.org,,Smith\n")
    assert [one.name for one in people] == ["Jane Doe", "Smith"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_delimiters_line_ends_and_encodings_are_recognised(delimiter: str, end: str, encoding: str) -> None:
    rows = [("email", "name"), ("jane@example.org", "Jané Müller"), ("sam@example.org", '"Sam"')]
    text = end.join(delimiter.join(f'"{cell}"' if " " in cell else cell for cell in row) for row in rows)
    people, problems = read(text, encoding)
    assert [(one.address, one.name) for one in people] == [
        ("jane@example.org", "Jané Müller"),
        ("sam@example.org", "Sam"),
    ]
    assert [problem.loss for problem in problems] == (["nothing"] if encoding == "cp1252" else [])


def test_utf_16_of_either_byte_order_is_read() -> None:
    for mark, encoding in ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")):
        people, _ = read(mark + "email;name\njane@example.org;Олена\n".encode(encoding))
        assert people[0].name == "Олена"


def test_a_guessed_encoding_is_told_once_with_its_line() -> None:
    people, problems = read(b"email,name\na@example.org,A\nb@example.org,Jos\xe9\nc@example.org,Ren\xe9\n")
    assert [one.name for one in people] == ["A", "José", "René"]
    (note,) = problems
    assert (note.line, note.loss) == (3, "nothing")
    assert "Windows-1252" in note.what


def test_a_line_in_utf_8_stays_so_beside_one_that_is_not() -> None:
    people, _ = read(b"email,name\na@example.org,Ren\xc3\xa9\nb@example.org,Jos\xe9\nc@example.org,\x81\xe9\n")
    assert [one.name for one in people] == ["René", "José", "é"]


def test_excels_line_about_the_separator_is_no_heading() -> None:
    people, _ = read("sep=;\nemail;name\njane@example.org;Doe, Jane\n")
    assert people[0].name == "Doe, Jane"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "the file is empty"),
        (b"\n\n\n", "the file is empty"),
        (b"jane@example.org\nsam@example.org\n", "the first line is a reader already"),
        (b"name,town\nJane,Leeds\n", "no column is called email; the columns are name, town"),
        (b"PK\x03\x04rest", "an Excel workbook"),
        (b"\xd0\xcf\x11\xe0rest", "an old Excel workbook"),
    ],
)
def test_a_file_that_cannot_be_read_says_why_and_adds_nobody(content: bytes, what: str) -> None:
    people, problems = read(content)
    assert people == []
    assert what in problems[0].what
    assert problems[0].loss == "file"


def test_a_file_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    (problem,) = read_people(tmp_path / "missing.csv")
    assert isinstance(problem, Problem)
    assert "No such file" in str(problem)


def test_each_bad_line_is_named_and_the_others_go_on() -> None:
    people, problems = read(
        "email,name\nnobody\n,Jane\njané@example.org,J\n"
        '"a@example.org\r\nBcc: b@example.org",x\njane@example.org,Jane\nshort\n'
    )
    assert addresses(people) == ["jane@example.org"]
    assert [(problem.line, problem.loss) for problem in problems] == [
        (2, "line"),
        (3, "line"),
        (4, "line"),
        (5, "line"),
        (6, "line"),
        (8, "line"),
    ]
    assert str(problems[0]) == (
        "line 2, email: 'nobody' is not a mail address: an email address must have an @-sign.; "
        "correct the address or delete the line"
    )


def test_who_has_left_elsewhere_is_not_brought_back() -> None:
    people, problems = read(
        "email,State,Status,Suppressed\n"
        "a@example.org,CA,subscribed,\n"
        "b@example.org,CA,Unsubscribed,\n"
        "c@example.org,left,,\n"
        "d@example.org,,active,complained\n"
        "e@example.org,,active,no\n"
        "f@example.org,,unreachable,\n"
    )
    assert addresses(people) == ["a@example.org", "e@example.org"]
    assert [problem.line for problem in problems if problem.loss == "line"] == [3, 4, 5, 7]


@pytest.mark.parametrize(
    ("cell", "name"),
    [
        ("=cmd|' /C calc'!A0", "cmd|' /C calc'!A0"),
        ("'=1+1", "1+1"),
        ("  +49 30 1234", "49 30 1234"),
        ("@SUM(A1)", "SUM(A1)"),
        ("-\t=@x", "x"),
        ("'t Hooft", "'t Hooft"),
        ("O'Brien, Jr. (Sam)", "O'Brien, Jr. (Sam)"),
        ("Jane\x00\x07 \u202eDoe", "Jane Doe"),
        ("J" * 500, ""),
    ],
)
def test_no_name_is_a_formula(cell: str, name: str) -> None:
    out = io.StringIO()
    csv.writer(out).writerow([cell, "jane@example.org"])
    people, _ = read("name,email\n" + out.getvalue())
    assert people[0].name == name


def test_a_quote_that_never_closes_costs_its_line_only() -> None:
    rows = "".join(f"reader{n}@example.org,Reader {n}\n" for n in range(LONGEST_RECORD * 3))
    people, problems = read('email,name\na@example.org,"Jane\n' + rows)
    assert len(people) == LONGEST_RECORD * 3
    assert [(problem.line, problem.what) for problem in problems] == [
        (2, "a quotation mark opens a field that never ends")
    ]


def test_two_stray_quotes_do_not_swallow_what_stands_between() -> None:
    people, problems = read(
        'email,note\na@example.org,"5 inch\nb@example.org,x\nc@example.org,6" too\nd@example.org,\n'
    )
    assert addresses(people) == ["b@example.org", "c@example.org", "d@example.org"]
    assert [problem.line for problem in problems if problem.loss == "line"] == [2]


def test_a_field_that_we_do_not_use_may_have_several_lines() -> None:
    people, problems = read('email,address\na@example.org,"1 High Street\nLeeds"\nb@example.org,x\n')
    assert addresses(people) == ["a@example.org", "b@example.org"]
    assert all(problem.loss == "nothing" for problem in problems)


def test_a_line_without_end_is_cut_and_never_makes_another_address() -> None:
    people, problems = read(
        "note,email\n" + "x" * (LONGEST_LINE - 18) + ",jane@example.org.uk\nx,sam@example.org\n"
    )
    assert addresses(people) == ["sam@example.org"]
    assert [problem.line for problem in problems if problem.loss == "line"] == [2]


def test_an_endless_line_takes_no_memory() -> None:
    people, _ = read(b"email\n" + b"x" * 5_000_000 + b"\njane@example.org\n")
    assert addresses(people) == ["jane@example.org"]


class Endless(io.RawIOBase):
    """A file that would never end; counts what was asked of it."""

    def __init__(self) -> None:
        self.asked = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        line = b"email\n" + b"jane@example.org\n" * 100
        size = min(len(line), len(buffer))
        buffer[:size] = line[:size]
        self.asked += size
        return size


def test_a_file_is_read_as_it_is_used() -> None:
    endless = Endless()
    items = read_people(io.BufferedReader(endless))
    assert isinstance(next(items), NewSubscriber)
    assert endless.asked < 200_000


class Memory:
    """A store that keeps what it is given."""

    def __init__(self) -> None:
        self.people: list[NewSubscriber] = []

    def add_subscribers(
        self, people: Iterable[NewSubscriber], list_name: str, now: datetime
    ) -> Iterator[ImportCount]:
        for one in people:
            self.people.append(one)
            yield ImportCount(read=len(self.people))


def test_an_import_hands_readers_to_the_store_and_tells_the_rest() -> None:
    store, told = Memory(), list[Problem]()
    counts = list(
        import_people(io.BytesIO(b"email\na@example.org\nbad\nb@example.org\n"), store, "readers", NOW, told.append)
    )
    assert addresses(store.people) == ["a@example.org", "b@example.org"]
    assert counts[-1].read == 2
    assert [problem.line for problem in told] == [3]


@dataclass(frozen=True)
class Row:
    address: str
    name: str = ""
    state: str = "member"
    since: datetime = NOW
    suppression: str = ""
    status: str = "active"
    consent: str = ""


def export(rows: Iterable[Row]) -> str:
    out = io.StringIO(newline="")
    write_people(rows, out)
    return out.getvalue()


def test_an_export_says_who_and_since_when() -> None:
    text = export(
        [Row("jane@example.org", "Doe, Jane"), Row("sam@example.org", state="left", suppression="complained")]
    )
    assert text.splitlines() == [
        "email,name,state,since,suppression,status,consent",
        'jane@example.org,"Doe, Jane",member,2026-11-23T07:30:00Z,,active,',
        "sam@example.org,,left,2026-11-23T07:30:00Z,complained,active,",
    ]


@given(st.text(max_size=30))
def test_no_exported_cell_is_run_by_a_spreadsheet(text: str) -> None:
    row = Row("jane@example.org", text, suppression=text, consent=text)
    cells = next(csv.DictReader(io.StringIO(export([row]), newline="")))
    for cell in cells.values():
        assert not cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r"))


def test_an_exported_list_comes_back_as_it_was_without_those_who_left() -> None:
    rows = [
        Row("=sum@example.org", "'t Hooft"),
        Row("+a@example.org", 'Jané; "J"'),
        Row("c@example.org", state="left"),
    ]
    people, _ = read(export(rows))
    assert [(one.address, one.name) for one in people] == [
        ("=sum@example.org", "'t Hooft"),
        ("+a@example.org", 'Jané; "J"'),
    ]


@given(st.binary(max_size=400))
def test_any_bytes_at_all_are_read_without_a_crash(data: bytes) -> None:
    for item in read_people(io.BytesIO(b"email,name\n" + data)):
        assert isinstance(item, NewSubscriber | Problem)


@given(st.binary(max_size=200))
def test_any_file_at_all_is_read_without_a_crash(data: bytes) -> None:
    read(data)
