"""The fast lane of an import says what the slow lane says."""

from __future__ import annotations

import io

from hypothesis import given
from hypothesis import strategies as st

from distributor.pipeline.recipients import read_people

HEADING = "Name,Email,Status,Suppressed,Last name,Consent,Town\n"
#: A quotation mark inside a cell is only a character, but its block is read line by line.
LAST = "Sam,sam@example.org,,,,,Town{}\n"

cells = st.text(alphabet=" \t'=+-.@aZ9éß\u0301\u00ad\u2028\x00\x85", max_size=6)
addresses = st.sampled_from(
    "jane@example.org|Jane.Doe+x@EXAMPLE.org|'+jane@example.org| jane@example.org |a..b@example.org|jane@localhost|"
    "jane@x.invalid|jane@müller.de|jané@example.org|jane||a@b@example.org|a@-x.org|a@xn--mller-kva.de|"
    f"o'neil@example.org|{'a' * 64}@example.org|{'a' * 65}@example.org".split("|")
)
names = st.sampled_from(
    ["Jane", "O'Neil", "Jane  Doe", " Jane", "José", "Doe-Smith (Jr.)", "x" * 200, "x" * 201, ""]
)
states = st.sampled_from(["", "active", " Unsubscribed ", "bounced", "gone fishing", "LEFT", "hard-bounce"])
bars = st.sampled_from(["", "no", "0", " ", "complained"])
rows = st.tuples(names | cells, addresses | cells, states | cells, bars, names, cells, cells).map(",".join)
lines = rows | st.sampled_from(["", " ", ",,,,,,", "Jane,jane@example.org", "a,b@example.org,,,,,,,more,cells"])


def read(text: str, encoding: str) -> list[object]:
    return list(read_people(io.BytesIO(text.encode(encoding))))


@given(st.lists(lines, max_size=8), st.sampled_from(["\n", "\r\n"]), st.sampled_from(["utf-8", "utf-16"]))
def test_a_plain_block_is_read_as_its_lines_are(found: list[str], end: str, encoding: str) -> None:
    text = HEADING + "".join(line + end for line in found)
    assert read(text + LAST.format(""), encoding) == read(text + LAST.format('"'), encoding)


def test_a_fault_in_a_plain_block_is_named_with_its_line() -> None:
    people = [f"reader{number}@example.org" for number in range(5000)]
    people[3210] = "nobody"
    told = [item for item in read("email\n" + "\n".join(people), "utf-8") if getattr(item, "line", 0)]
    assert [getattr(item, "line", 0) for item in told] == [3212]
