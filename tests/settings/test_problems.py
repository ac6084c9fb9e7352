"""What a wrong configuration is told: every mistake, its place and the fix, at once."""

from itertools import pairwise
from pathlib import Path

import pytest

from distributor.core.errors import SettingsError
from distributor.settings import load_settings
from tests.settings.fakes import GOOD, Desk, change, find_channel, find_source, take_mark


def test_five_mistakes_are_told_at_once(desk: Desk) -> None:
    text = """\
site: {name: A, public_url: go.example.org, timezone: Europe/Kiew}
sources:
  - {name: front, kind: fead, url: https://example.org/}
channels:
  - {name: tg, kind: chat, token: "${TOKEN}", chat: "@a", prot: 25}
schedules:
  - {name: m, channel: telegram, form: digest, at: "25:00"}
"""
    assert desk.fail(text) == [
        '1:29: site.public_url: "go.example.org" is no web address; write it with https://',
        "1:55: site.timezone: 'Europe/Kiew' is not a known time zone; did you mean Europe/Kiev?",
        "3:25: sources.front.kind: there is no source kind 'fead'; known: feed, wordpress",
        "5:59: channels.tg.prot: is not a setting here; did you mean port?",
        '7:24: schedules.m.channel: there is no "telegram" in channels; known are: tg',
        '7:52: schedules.m.at: \'25:00\' is no time of day; write "00:00" to "23:59" in quotes, several as a list',
    ]


def test_the_same_problem_is_told_once(desk: Desk) -> None:
    assert len(desk.fail(GOOD, environ={})) == 1


CHAT = 'chat: "@dailyexample"'
AT = "at: 07:30, days: [mon, tue]"
DIGEST = "form: digest"
WORLD = "sections: [World]"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("{name: The Daily Example, ", "»{", "site.name: is missing (The newsroom's name, as readers see it)"),
        ("site: {name", "»sight: {name", "sight: is not a setting; did you mean site?"),
        ("language: en", "language: »english!", 'site.language: "english!" is no language tag'),
        ("language: en", "follow: {rss: »feed}", 'site.follow.rss: "feed" is no web address'),
        ("language: en", "utm: »{sauce: a}", 'site.utm: "sauce" is no UTM parameter'),
        ("https://go.daily.test", "»https://go.daily.test/?a", "site.public_url: must end before any ?"),
        ("{name: front, kind: feed", "»{name: front", "sources.front.kind: is missing; known: feed, wordpress"),
        ("{name: front, ", "»{", "sources.1.name: is missing"),
        (CHAT, "chat: »5", "channels.tg.chat: must be text, in quotes, not 5"),
        (CHAT, "chat: x, port: »many", 'channels.tg.port: must be a whole number, not "many"'),
        (CHAT, "chat: x, port: »0", "channels.tg.port: must be at least 1, not 0"),
        (CHAT, "chat: x, silent: »perhaps", 'channels.tg.silent: must be true or false, not "perhaps"'),
        (CHAT, "chat: x, allow: »me", "channels.tg.allow: must be a list, such as [one, two]"),
        (CHAT, "chat: x, username: »me", "channels.tg.username: username and password go together"),
        (
            "name: morning",
            "name: »now-tg",
            'schedules.2.name: "now-tg" is already the name of the schedule in',
        ),
        ("name: morning", 'name: »"a b"', 'schedules.2.name: "a b" is no name; write up to 60'),
        ("{name: tg, kind", "{name: »../words, kind", 'channels.1.name: "../words" is no name'),
        (DIGEST, "form: »weekly", "schedules.morning.form: must be 'each' or 'digest', not \"weekly\""),
        (DIGEST, "form: digest, min_items: »20", "schedules.morning.min_items: is more than max_items, 10"),
        (DIGEST, "form: digest, max_lateness: »soon", "schedules.morning.max_lateness: 'soon' is not a length"),
        (AT, "when: »immediately", "schedules.morning.when: a digest needs a due time"),
        (AT, "at: »07.30", "schedules.morning.at: '7.3' is no time of day"),
        (AT, "every: 2h, days: »[mon]", "schedules.morning.days: goes with at only"),
        (
            WORLD,
            "»section: [World]",
            "schedules.now-tg.filter.section: is not a setting here; did you mean",
        ),
        (WORLD, "not: {»tag: a}", "schedules.now-tg.filter.not.tag: is not a setting here; did you mean tags?"),
        (WORLD, "sources: [»frond]", 'schedules.now-tg.filter.sources.1: there is no "frond" in sources; did you'),
        (WORLD, 'words: [»"*"]', "schedules.now-tg.filter.words.1: has no letter in it"),
    ],
)
def test_a_mistake_is_told_with_its_place_and_the_fix(desk: Desk, old: str, new: str, problem: str) -> None:
    text, place = take_mark(change(old, new))
    problems = desk.fail(text)
    assert f"{place}: {problem}" in [found[: len(f"{place}: {problem}")] for found in problems], problems
    assert len(problems) == 1 or "sight" in problem or "words" in problem


def test_a_schedule_without_a_time_is_told(desk: Desk) -> None:
    (problem,) = desk.fail(change(f", {AT}", ""))
    assert problem.startswith("8:5: schedules.morning.when: is missing; give one of when")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("web: {listen: »8080}", "web.listen: must be text"),
        ('web: {listen: »"8080"}', 'web.listen: "8080" is no address to listen on'),
        ("web: »5", "web: must hold settings of its own"),
        ("database: {url: »mysql://x}", 'database.url: must be "sqlite:///'),
        ("database: {url: »'postgres://u:hunter22@h/d'}", "database.url: begins with postgres://"),
        ("state_dir: »[a]", "state_dir: must be the path of a folder"),
        ("network: {allow_private: [10.0.0.0/8, »nonsense]}", "network.allow_private.2: is no network"),
        ("»webb: {}", "webb: is not a setting; did you mean web?"),
        ("»site: {name: B}", "site: is already set in line 1; remove one of the two"),
        ("web: {listen: »&a {a: *a}}", "web.listen.a: is nested too deeply or contains itself"),
        ("state_dir: »!secret x", "state_dir: the tag !secret means nothing here"),
    ],
)
def test_a_mistake_in_another_section_is_told(desk: Desk, line: str, problem: str) -> None:
    def check_network(entry: str) -> None:
        if entry == "nonsense":
            raise ValueError("is no network")

    text, place = take_mark(GOOD + line + "\n")
    problems = desk.fail(text, check_network=check_network)
    assert problems[0].startswith(f"{place}: {problem}"), problems
    assert "hunter22" not in str(problems)


@pytest.mark.parametrize("section", ["sources", "channels", "schedules"])
def test_a_list_that_is_none_is_told(desk: Desk, section: str) -> None:
    for written, problem in (("»{name: a}", f"{section}: must be a list"), ("[»5]", f"{section}.1: must be a ")):
        text, place = take_mark(f"site: {{name: A, public_url: https://a.example}}\n{section}: {written}\n")
        assert desk.fail(text)[0].startswith(f"{place}: {problem}")


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"@dailyexample"', "@dailyexample", '; put the value in quotes, such as "@dailyexample"'),
        ('"${TOKEN}"', "${TOKEN}", '; write "${NAME}" in quotes'),
        ("sources:\n  -", "sources:\n\t-", "; indent with spaces, not with tabs"),
        ("language: en}", "language: en", "; look for a missing colon"),
        ("channels:\n", "---\n", "is not YAML: "),
    ],
)
def test_what_is_not_yaml_is_told_with_its_line(desk: Desk, old: str, new: str, problem: str) -> None:
    (found,) = desk.fail(change(old, new))
    line, column, _ = found.split(":", 2)
    assert int(line) in range(1, 9)
    assert int(column) > 0
    assert problem in found


class TestFiles:
    def fail(self, path: Path) -> str:
        with pytest.raises(SettingsError) as caught:
            load_settings(path, {}, source_model=find_source, channel_model=find_channel)
        return str(caught.value)

    def test_a_missing_file_is_told_with_the_command_that_writes_one(self, tmp_path: Path) -> None:
        path = tmp_path / "distributor.yaml"
        assert self.fail(path) == f"{path}: there is no such file; write one with: distributor init --config {path}"

    @pytest.mark.parametrize("content", [b"", b"# nothing\n", b"\n\n"])
    def test_an_empty_file_is_told(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "distributor.yaml"
        path.write_bytes(content)
        assert "the file is empty" in self.fail(path)

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (b"site:\n  name: \xff\n", ":2:9: is not UTF-8 text"),
            (b"- a\n", ":1:1: the file must begin with settings"),
            (b"site\n", ":1:1: the file must begin with settings"),
            (b"\x00", "is not YAML"),
            (b"a: " + b"[" * 5000, "is not YAML"),
            (b" " * 2_000_001, "has 2,000,001 bytes"),
        ],
    )
    def test_a_file_that_is_no_configuration_is_told(self, tmp_path: Path, content: bytes, problem: str) -> None:
        path = tmp_path / "distributor.yaml"
        path.write_bytes(content)
        assert problem in self.fail(path)

    def test_a_file_that_multiplies_itself_is_stopped(self, tmp_path: Path) -> None:
        path = tmp_path / "distributor.yaml"
        letters = "abcdefgh"
        lines = [f"{new}: &{new} [{', '.join([f'*{old}'] * 20)}]" for old, new in pairwise(letters)]
        path.write_text("\n".join(["a: &a [x, x]", *lines]))
        assert "more than 100,000 values" in self.fail(path)

    def test_a_folder_is_told(self, tmp_path: Path) -> None:
        assert "cannot be read" in self.fail(tmp_path)
