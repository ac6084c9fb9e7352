from __future__ import annotations

from email_support import ADDRESS, LINK, NAME, MakeChannel, RecordingWire, make_edition, make_message

from distributor.channels.email.sandbox_sendgrid import SendgridSandbox
from distributor.channels.email.sandbox_smtp import SmtpSandbox
from distributor.core.message import Recipient


def test_a_channel_says_who_it_is(smtp: SmtpSandbox, sendgrid: SendgridSandbox, make_channel: MakeChannel) -> None:
    channel = make_channel(smtp)
    assert (channel.kind, channel.medium, channel.list_name) == ("email", "email", "readers")
    assert channel.address == "news@example.org"
    assert channel.limits.batch == 1000
    assert make_channel(sendgrid, per_call=100).limits.batch == 100


def test_a_from_domain_in_any_script_travels_in_punycode(
    smtp: SmtpSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    channel = make_channel(smtp, **{"from": "Щоденник <news@приклад.укр>"})
    channel.send([make_message()], wire)
    (sight,) = smtp.seen
    assert b"<news@xn--80aikifvh.xn--j1amh>" in sight.raw
    assert b"@xn--80aikifvh.xn--j1amh>\r\nList-Id: " in sight.raw


def test_a_reply_address_is_written(
    smtp: SmtpSandbox, sendgrid: SendgridSandbox, make_channel: MakeChannel, wire: RecordingWire
) -> None:
    for sandbox in (smtp, sendgrid):
        make_channel(sandbox, reply_to="Desk <desk@example.org>").send([make_message()], RecordingWire())
    assert b"Reply-To: Desk <desk@example.org>\r\n" in smtp.seen[0].raw
    assert b'"reply_to":{"email":"desk@example.org","name":"Desk"}' in sendgrid.seen[0].raw


def test_a_preview_shows_the_readers_own_words_and_the_size(smtp: SmtpSandbox, make_channel: MakeChannel) -> None:
    edition = make_edition(
        subject=f"For {NAME}", text=f"{NAME} {ADDRESS}", html=f'<p>{NAME}</p><a href="{LINK}">x</a>'
    )
    preview = make_channel(smtp).preview(edition.content, Recipient(1, "a@example.com", "<Zoë>"))
    assert preview.title == "For <Zoë>"
    assert preview.text == "<Zoë> a@example.com"
    assert preview.html == '<p>&lt;Zoë&gt;</p><a href="#">x</a>'
    assert preview.measure == "1 KB of 102 KB"


def test_the_web_page_has_nothing_personal(smtp: SmtpSandbox, make_channel: MakeChannel) -> None:
    edition = make_edition(html=f'<p>News</p><!--personal--><a href="{LINK}">Stop</a> {ADDRESS}<!--/personal-->')
    assert make_channel(smtp).view(edition.content) == "<p>News</p>"


def test_both_transports_show_a_reader_the_same(
    smtp: SmtpSandbox, sendgrid: SendgridSandbox, make_channel: MakeChannel
) -> None:
    for name in ("Zoë & Co", "", "O'Hara"):
        message = make_message(name=name, link="https://go.example.org/u/1?a=1&b=2")
        for sandbox in (smtp, sendgrid):
            make_channel(sandbox).send([message], RecordingWire())
        mail, call = smtp.seen[-1], sendgrid.seen[-1]
        assert (mail.subject, mail.html, mail.links) == (call.subject, call.html, call.links)
        assert mail.text.replace("\r\n", "\n") == call.text
