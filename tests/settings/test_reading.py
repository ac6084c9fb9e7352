"""What a right configuration gives."""

from datetime import timedelta
from pathlib import Path

import pytest

from distributor.core.filters import Filter
from distributor.core.schedule import parse_rule
from distributor.settings import load_settings
from tests.settings.fakes import GOOD, Chat, Desk, change, find_channel, find_source


def test_the_example_loads_whole(desk: Desk) -> None:
    settings = desk.load(GOOD)
    assert settings.site.name == "The Daily Example"
    assert settings.sources[0].url == "https://example.org/feed/"
    assert isinstance(settings.channels[0], Chat)
    assert settings.channels[0].token.get_secret_value() == "12345:secret"
    assert [schedule.name for schedule in settings.schedules] == ["now-tg", "morning"]
    assert settings.doubts == ()


def test_an_unquoted_time_is_a_time(desk: Desk) -> None:
    settings = desk.load(change("07:30", "12:30"))
    expected = parse_rule(at="12:30", days=["mon", "tue"], timezone="Europe/Kyiv")
    assert settings.schedules[1].rule == expected


def test_a_schedule_takes_its_zone_from_the_site_unless_it_has_one(desk: Desk) -> None:
    settings = desk.load(change("days: [mon, tue]", "timezone: Asia/Tokyo"))
    assert [schedule.rule.timezone for schedule in settings.schedules] == ["Europe/Kyiv", "Asia/Tokyo"]


def test_lateness_depends_on_the_form_unless_it_is_set(desk: Desk) -> None:
    assert [schedule.max_lateness for schedule in desk.load(GOOD).schedules] == [
        timedelta(minutes=60),
        timedelta(hours=6),
    ]
    settings = desk.load(change("form: digest", "form: digest, max_lateness: 90m"))
    assert settings.schedules[1].max_lateness == timedelta(minutes=90)


def test_a_filter_takes_one_word_or_a_list(desk: Desk) -> None:
    settings = desk.load(change("{sections: [World]}", "{sections: World, tags: [2026], not: {words: sport}}"))
    assert settings.schedules[0].filter == Filter(("World",), ("2026",), excluded=Filter(words=("sport",)))


def test_everything_but_the_site_may_be_left_out(desk: Desk) -> None:
    settings = desk.load("site: {name: A, public_url: https://a.example}\nsources:\nchannels: []\n")
    assert (settings.sources, settings.channels, settings.schedules) == ((), (), ())
    assert (settings.web.host, settings.web.port) == ("127.0.0.1", 8080)
    assert settings.site.timezone == "UTC"


def test_the_site_describes_itself_to_channels(desk: Desk) -> None:
    site = desk.load(
        change("language: en", "language: uk, follow: {rss: https://example.org/feed/}")
    ).site.describe()
    assert (site.language, site.follow) == ("uk", {"rss": "https://example.org/feed/"})
    assert site.public_url == "https://go.daily.test"


class TestPaths:
    def test_the_database_is_a_file_beside_the_folder_of_the_configuration(self, tmp_path: Path) -> None:
        (tmp_path / "config").mkdir()
        settings = Desk(tmp_path / "config").load(GOOD)
        assert settings.database_url.get_secret_value() == f"sqlite:///{tmp_path}/var/distributor.db"
        assert (settings.state_dir, settings.templates_dir) == (tmp_path / "var", tmp_path / "templates")

    def test_relative_paths_start_at_the_configuration_and_not_where_one_stands(
        self, desk: Desk, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = GOOD + "state_dir: state\ntemplates_dir: words\ndatabase: {url: sqlite:///data/x.db}\n"
        desk.path.write_text(text)
        monkeypatch.chdir(desk.path.parent)
        settings = load_settings(
            Path("distributor.yaml"), {"TOKEN": "1:a"}, source_model=find_source, channel_model=find_channel
        )
        folder = desk.path.parent
        assert (settings.state_dir, settings.templates_dir) == (folder / "state", folder / "words")
        assert settings.database_url.get_secret_value() == f"sqlite:///{folder}/data/x.db"

    def test_absolute_paths_and_postgresql_stay_as_they_are(self, desk: Desk) -> None:
        url = "postgresql://user:pw@db.example/x"
        assert desk.load(f"{GOOD}database: {{url: '{url}'}}\n").database_url.get_secret_value() == url
        assert desk.load(f"{GOOD}state_dir: /srv/x\n").state_dir == Path("/srv/x")


class TestYaml:
    @pytest.mark.parametrize(
        ("written", "read"),
        [("no", "no"), ("0755", "755"), ('"@x"', "@x"), ("'a ''b'''", "a 'b'"), ("12:30", "12:30")],
    )
    def test_text_is_read_as_yaml_1_2_says(self, desk: Desk, written: str, read: str) -> None:
        if read == "755":
            assert desk.load(change("World]", f"{written}]")).schedules[0].filter.sections == ("755",)
        else:
            assert desk.load(change('"@dailyexample"', written)).channels[0].chat == read

    def test_true_is_a_switch_and_a_number_a_number(self, desk: Desk) -> None:
        chat = desk.load(change("kind: chat,", "kind: chat, silent: true, port: 25,")).channels[0]
        assert (chat.silent, chat.port) == (True, 25)

    def test_an_alias_repeats_what_its_anchor_names(self, desk: Desk) -> None:
        text = change("filter: {sections: [World]}", "filter: &world {sections: [World]}")
        settings = desk.load(change("at: 07:30", "at: 07:30, filter: *world", text))
        assert settings.schedules[1].filter == settings.schedules[0].filter

    def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(self, desk: Desk) -> None:
        desk.path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
        models = {"source_model": find_source, "channel_model": find_channel}
        assert load_settings(desk.path, {"TOKEN": "1:a"}, **models).site.name == "The Daily Example"
