"""The first configuration of a newsroom, and the shapes that configurations keep."""

from pathlib import Path

import pytest

from distributor.app import read_settings
from distributor.core.errors import SettingsError
from distributor.settings import write_starter

SHAPES = """\
site: {name: The Daily Example, public_url: https://go.example.org, timezone: Europe/Kyiv, language: en}
sources:
  - {name: front, kind: feed, url: https://example.org/feed/, every: 2m}
channels:
  - {name: tg, kind: telegram, token: "${TELEGRAM_TOKEN}", chat: "@dailyexample", api_base: "http://127.0.0.1:1"}
  - {name: x, kind: x, api_key: a, api_secret: b, access_token: c, access_secret: d, api_base: "http://127.0.0.1:2"}
  - {name: letter, kind: email, transport: smtp, host: mail.example.org, port: 587, tls: starttls,
     from: "Daily <news@example.org>", list: readers}
  - {name: letter2, kind: email, transport: sendgrid, api_key: "${SENDGRID_KEY}", api_base: "http://127.0.0.1:3",
     from: news@example.org, list: readers}
schedules:
  - {name: now-tg, channel: tg, form: each, when: immediately, filter: {sections: [World]}}
  - {name: morning, channel: letter, form: digest, at: "07:30", days: [mon, tue, wed, thu, fri],
     timezone: Europe/Kyiv}
"""
ENVIRON = {"TELEGRAM_TOKEN": "123:abc", "SENDGRID_KEY": "SG.x"}


def test_the_agreed_shapes_load(tmp_path: Path) -> None:
    path = tmp_path / "distributor.yaml"
    path.write_text(SHAPES)
    settings = read_settings(path, ENVIRON)
    assert [one.name for one in settings.channels] == ["tg", "x", "letter", "letter2"]
    assert settings.channels[3].api_key.get_secret_value() == "SG.x"
    assert len([doubt for doubt in settings.doubts if "is written out here" in doubt]) == 4


def test_mistakes_in_real_kinds_are_told(tmp_path: Path) -> None:
    path = tmp_path / "distributor.yaml"
    text = SHAPES.replace("@dailyexample", "https://t.me/dailyexample").replace("every: 2m", "evry: 2m")
    path.write_text(text.replace("tls: starttls", "tls: maybe") + "network: {allow_private: [10.0.0.0/99]}\n")
    with pytest.raises(SettingsError) as caught:
        read_settings(path, {"SENDGRID_KEY": "SG.x"})
    assert [problem.split(": ")[1] for problem in caught.value.problems] == [
        "sources.front.evry",
        "channels.tg.token",
        "channels.tg.chat",
        "channels.letter.tls",
        "network.allow_private.1",
    ]


def test_a_new_newsroom_gets_a_file_that_loads(tmp_path: Path) -> None:
    path = tmp_path / "config" / "distributor.yaml"
    write_starter(path)
    assert read_settings(path, {}).site.name == "The Daily Example"


def test_nothing_is_ever_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "distributor.yaml"
    path.write_text("mine")
    with pytest.raises(SettingsError, match="is already there and was left as it is"):
        write_starter(path)
    assert path.read_text() == "mine"


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="cannot be written"):
        write_starter(tmp_path / "file" / "distributor.yaml")
