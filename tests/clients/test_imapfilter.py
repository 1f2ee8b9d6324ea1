"""imapfilter: a person's rules search, flag, file and delete mail; it waits by IDLE. Names and needles in UTF-8."""

from __future__ import annotations

import subprocess

import pytest

from .support import Reader, environment, letter, program, until

pytestmark = pytest.mark.client


def script(demo: Reader, lines: str, *, charset: bool = True, password: str | None = None) -> str:
    """Path of a configuration that logs in as `a` and does these lines."""
    options = "options.timeout = 30; options.starttls = false; options.create = true; options.subscribe = true\n"
    if charset:
        options += "options.charset = 'UTF-8'\n"
    server = f"server = '{demo.server.host}', port = {demo.server.imap}"
    login = f"a = IMAP {{ {server}, username = '{demo.user}', password = '{password or demo.password}' }}\n"
    return str(demo.write("config.lua", options + login + lines))


def imapfilter(demo: Reader, lines: str, *, charset: bool = True) -> list[str]:
    """Do these lines; what they printed."""
    return demo.run(program("imapfilter"), "-c", script(demo, lines, charset=charset)).splitlines()


@pytest.mark.parametrize("charset", [True, False])
def test_words_of_any_language_are_found(demo: Reader, charset: bool) -> None:
    found = imapfilter(
        demo,
        """l = a['Languages']
print(#l:contain_subject('Grüße'), #l:contain_body('מאוכזב'), #l:contain_subject('Grüße aus Rom'))
print(#(l:contain_subject('Grüße') + l:contain_subject('Zażółć') * l:is_larger(10)), #(l:select_all() - l:is_seen()))
""",
        charset=charset,
    )
    unread = [name for name, flags in demo.listing("Languages") if r"\Seen" not in flags]
    assert found == ["1\t1\t0", f"2\t{len(unread)}"]


def test_rules_file_flag_and_delete(demo: Reader) -> None:
    before = demo.subjects("Languages")
    imapfilter(
        demo,
        """l = a['Languages']
found = l:contain_subject('Grüße')
found:mark_flagged()
found:add_flags({ 'Work' })
found:copy_messages(a['Gefiltert/Größe ✉'])
l:contain_body('English within it'):move_messages(a['Gefiltert/Größe ✉'])
l:contain_subject('早安'):delete_messages()
a:rename_mailbox('Drafts', 'Entwürfe')
""",
    )
    hebrew = "שלום מחיפה"
    filed = demo.flags("Gefiltert/Gr&APYA3w-e &Jwk-")
    assert list(filed) == ["Grüße aus Köln – 10 €", hebrew]
    assert filed["Grüße aus Köln – 10 €"] >= {r"\Flagged", "Work"}
    assert demo.subjects("Languages") == [name for name in before if name not in (hebrew, "早安")]
    assert "Entwürfe" in demo.server.mailboxes(demo.user)


def test_waits_for_new_mail(demo: Reader) -> None:
    argv = [program("imapfilter"), "-c", script(demo, "print(a.INBOX:enter_idle())")]
    with subprocess.Popen(argv, env=environment(demo.home), stdout=subprocess.PIPE, text=True) as process:

        def told() -> bool:
            """It tells nobody when it begins to wait, so there is a new message between any two looks."""
            demo.deliver(letter("Ringing the bell"))
            return process.poll() is not None

        try:
            until(told, lambda: "the end of IDLE")
            assert process.communicate()[0] == "true\tEXISTS\n"
        finally:
            process.kill()
