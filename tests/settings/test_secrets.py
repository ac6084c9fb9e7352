"""Secrets come from variables or files, are never printed, and are noticed where they stand in the file."""

from pathlib import Path

import pytest

from tests.settings.fakes import GOOD, Desk, change


class TestVariables:
    def test_a_variable_may_stand_anywhere_in_text(self, desk: Desk) -> None:
        text = change("https://example.org/feed/", '"https://${HOST}/${PATH_}"')
        settings = desk.load(text, {"TOKEN": "1:a", "HOST": "example.net", "PATH_": "rss"})
        assert settings.sources[0].url == "https://example.net/rss"

    def test_a_number_may_come_from_a_variable(self, desk: Desk) -> None:
        text = change("kind: chat,", 'kind: chat, port: "${PORT}",')
        assert desk.load(text, {"TOKEN": "1:a", "PORT": "2525"}).channels[0].port == 2525

    def test_a_missing_variable_is_named_with_its_line(self, desk: Desk) -> None:
        (problem,) = desk.fail(GOOD, {})
        assert problem == (
            "5:35: channels.tg.token: the environment variable TOKEN is not set; set it before the start"
        )

    def test_doubled_signs_stay_as_they_are(self, desk: Desk) -> None:
        assert desk.load(change('"@dailyexample"', '"$${NAME} costs $5"')).channels[0].chat == "${NAME} costs $5"

    def test_what_names_no_variable_is_told(self, desk: Desk) -> None:
        (problem,) = desk.fail(change("${TOKEN}", "${MY TOKEN}"))
        assert '"${MY TOKEN}" names no variable' in problem

    def test_the_content_of_a_variable_is_not_expanded_again(self, desk: Desk) -> None:
        assert desk.load(GOOD, {"TOKEN": "${HOME}"}).channels[0].token.get_secret_value() == "${HOME}"


class TestFiles:
    def test_a_secret_is_read_from_a_file_beside_the_configuration(self, desk: Desk) -> None:
        (desk.path.parent / "token").write_text("12:from-file\r\n")
        settings = desk.load(change('token: "${TOKEN}"', "token_file: token"))
        assert settings.channels[0].token.get_secret_value() == "12:from-file"
        assert settings.doubts == ()

    def test_the_path_may_hold_a_variable(self, desk: Desk, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("12:x")
        text = change('token: "${TOKEN}"', 'token_file: "${CREDENTIALS}/token"')
        assert desk.load(text, {"CREDENTIALS": str(tmp_path)}).channels[0].token.get_secret_value() == "12:x"

    def test_a_database_address_may_come_from_a_file(self, desk: Desk) -> None:
        (desk.path.parent / "db").write_text("postgresql://u:p@h/d\n")
        settings = desk.load(f"{GOOD}database: {{url_file: db}}\n")
        assert settings.database_url.get_secret_value() == "postgresql://u:p@h/d"

    @pytest.mark.parametrize(
        ("content", "problem"),
        [
            (None, "the file cannot be read (No such file or directory)"),
            (b"", "the file is empty"),
            (b"\n", "the file is empty"),
            (b"\xff\xfe", "holds no text"),
            (b"a\0b", "holds no text"),
            (b"a" * 64_001, "holds no text"),
        ],
    )
    def test_a_file_that_gives_no_secret_is_the_only_problem(
        self, desk: Desk, content: bytes | None, problem: str
    ) -> None:
        if content is not None:
            (desk.path.parent / "token").write_bytes(content)
        (found,) = desk.fail(change('token: "${TOKEN}"', "token_file: token"))
        assert found.startswith("5:40: channels.tg.token_file: ")
        assert problem in found

    def test_a_secret_said_twice_is_told(self, desk: Desk) -> None:
        (problem,) = desk.fail(change("kind: chat,", "kind: chat, token_file: x,"))
        assert "channels.tg.token_file: stands beside token; remove one of the two" in problem

    def test_only_secrets_have_files(self, desk: Desk) -> None:
        (problem,) = desk.fail(change("kind: chat,", "kind: chat, chat_file: x,"))
        assert "channels.tg.chat_file: is not a setting here" in problem


class TestPrinting:
    def test_no_secret_is_in_the_printed_settings(self, desk: Desk) -> None:
        text = f"{GOOD}database: {{url: 'postgresql://u:hunter22@h/d'}}\n"
        printed = repr(desk.load(text, {"TOKEN": "12345:tobehidden"}))
        assert "tobehidden" not in printed
        assert "hunter22" not in printed

    def test_what_came_from_a_variable_is_not_in_a_problem(self, desk: Desk) -> None:
        text = change("kind: feed", 'kind: "${TOKEN}"', change("07:30", '"${TOKEN}"'))
        problems = desk.fail(text, {"TOKEN": "tobehidden"})
        assert len(problems) == 2
        assert "tobehidden" not in str(problems)
        assert "(hidden)" in problems[0]

    def test_a_wrong_secret_is_not_in_its_problem(self, desk: Desk) -> None:
        (problem,) = desk.fail(change('"${TOKEN}"', "987654321"))
        assert "987654321" not in problem


class TestDoubts:
    def test_a_secret_written_out_works_and_is_doubted(self, desk: Desk) -> None:
        settings = desk.load(change('"${TOKEN}"', '"12:literal"'))
        assert settings.doubts == (
            f'{desk.path}:5:35: channels.tg.token: is written out here; better "${{TG_TOKEN}}" or token_file',
        )

    def test_a_password_in_a_database_address_is_doubted_and_an_address_without_is_not(self, desk: Desk) -> None:
        assert "${DATABASE_URL}" in desk.load(f"{GOOD}database: {{url: 'postgresql://u:p@h/d'}}\n").doubts[0]
        assert desk.load(f"{GOOD}database: {{url: 'postgresql:///d'}}\n").doubts == ()

    def test_http_is_doubted_except_on_this_machine(self, desk: Desk) -> None:
        (doubt,) = desk.load(change("https://go.daily.test", "http://go.daily.test")).doubts
        assert "site.public_url: is http" in doubt
        for host in ("localhost:8080", "127.0.0.1:8080", "[::1]", "demo.localhost"):
            assert desk.load(change("https://go.daily.test", f'"http://{host}"')).doubts == ()

    def test_one_place_under_two_names_is_doubted(self, desk: Desk) -> None:
        twin = '  - {name: tg2, kind: chat, token: "${TOKEN}", chat: "@dailyexample", silent: true}\n'
        text = change(
            "schedules:", f"{twin}schedules:", change("channel: tg, form: digest", "channel: tg2, form: digest")
        )
        (doubt,) = desk.load(text).doubts
        assert doubt.startswith(f"{desk.path}:6:5: channels.tg2: is the same place as channels.tg")
        other = twin.replace("@dailyexample", "@other")
        assert desk.load(text.replace(twin, other)).doubts == ()

    def test_what_nothing_can_come_of_is_doubted(self, desk: Desk) -> None:
        text = "site: {name: A, public_url: https://news.example.com}\nsources: []\n"
        assert [doubt.removeprefix(f"{desk.path}:") for doubt in desk.load(text).doubts] == [
            "1:29: site.public_url: is the example's; readers' links would lead nowhere, put your own address",
            "2:10: sources: there are none yet, so no story comes in",
            "1:1: channels: there are none yet, so nothing can go out",
        ]
        other = '  - {name: tg2, kind: chat, token: "${TOKEN}", chat: b}\n'
        unused = change("channel: tg", "channel: tg2").replace("schedules:", f"{other}schedules:")
        (doubt,) = desk.load(unused).doubts
        assert doubt.endswith("channels.tg: no schedule sends to it")
