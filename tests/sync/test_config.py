"""The file of copies: what it says, what it must say, and refusals that name the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from restante.config.load import ConfigError, docs_of, tables_of
from restante.config.table import Struct
from restante.sync.config import (
    CHOICES,
    RANGES,
    RESERVED,
    CopyTable,
    Server,
    need_copies,
    parse_server,
    source_of,
)
from restante.sync.load import load_copies, parse_copies
from restante.sync.new import CopyExists, add_copy, table_text
from restante.sync.reference import reference
from restante.sync.where import config_file

ONE = """
[copy.work]
imap = "imap.example.com"
user = "anna@example.com"
password_command = "pass show mail/work"
maildir = "~/Mail/work"
"""
POP3 = ONE.replace("imap =", "pop3 =")
SEND = '[copy.work.send]\nsmtp = "smtp.example.com"\n'
FILE = Path("sync.toml")


@pytest.mark.parametrize("key", ["maildir", "certificate", "password_file"])
def test_a_path_that_depends_on_where_one_is_is_refused(key: str) -> None:
    given = {"maildir": "~/Mail", "password_file": "/x", key: "Mail"}
    lines = "".join(f'{name} = "{value}"\n' for name, value in given.items())
    with pytest.raises(ConfigError, match="depends on where you are"):
        parse_copies('[copy.work]\nimap = "imap.example.com"\nuser = "a"\n' + lines, FILE)


def test_several_copies() -> None:
    found = parse_copies(
        'data = "~/data"\n' + ONE + '[copy.old]\npop3 = "[2001:db8::1]:1110"\ntls = "starttls"\nuser = "a"\n'
        'keyring = "k"\nmbox = "~/x"\n',
        FILE,
    )
    assert list(found.copies) == ["work", "old"]
    assert source_of(found.copies["work"]) == Server("imap.example.com", 993, "implicit")
    assert source_of(found.copies["old"]) == Server("2001:db8::1", 1110, "starttls")
    assert str(source_of(found.copies["old"])) == "[2001:db8::1]:1110"
    assert found.data == Path("~/data").expanduser()


WRONG = [
    pytest.param("x = 1", 1, "there is no key x", id="top"),
    pytest.param(ONE + "[copies.a]\n", 7, r"A copy is a table: \[copy.NAME\]", id="misspelt-table"),
    pytest.param(ONE + 'imop = "x"\n', 7, r"there is no key copy.work.imop. Did you mean copy.work.imap\?", id="key"),
    pytest.param(ONE + "[copy.work.send]\nsmpt = 1\n", 8, r"Did you mean copy.work.send.smtp\?", id="inner"),
    pytest.param(ONE + 'smtp = "x"\n', 7, r"Did you mean send.smtp\?", id="elsewhere"),
    pytest.param(ONE + "removals = 3\n", 7, "copy.work.removals is true or false, not a whole number", id="type"),
    pytest.param(ONE + 'interval = "5 parsecs"\n', 7, "is no duration", id="unit"),
    pytest.param(ONE + 'interval = "1 s"\n', 7, "copy.work.interval is from 10 s to 1 d", id="range"),
    pytest.param(ONE + 'tls = "start"\n', 7, 'Did you mean "starttls"', id="choice"),
    pytest.param(ONE + "[copy.work.brake]\nshare = 2.0\n", 8, "copy.work.brake.share is from 0 to 1", id="inner-range"),
    pytest.param(ONE + 'pop3 = "x"\n', 7, "copy.work says imap and pop3", id="two-servers"),
    pytest.param(ONE + 'store = "a@b"\n', 7, "copy.work says maildir and store", id="two-targets"),
    pytest.param(ONE + 'keyring = "a"\n', 7, "says password_command and keyring", id="two-passwords"),
    pytest.param(ONE.replace("imap =", "#"), 2, "copy.work says no server", id="no-server"),
    pytest.param(ONE.replace("maildir", "#"), 2, "says no place for the mail", id="no-target"),
    pytest.param(ONE.replace("password_command", "#"), 2, "says no way to the password", id="no-password"),
    pytest.param(ONE.replace("user", "#"), 2, "says no user", id="no-user"),
    pytest.param(ONE.replace("imap.example.com", "a b"), 3, '"a b" is no server', id="server"),
    pytest.param(ONE.replace("imap.example", "imap..example"), 3, r'"imap\.\.example\.com" is no', id="empty-label"),
    pytest.param(ONE.replace("imap.example", ".example"), 3, r'"\.example\.com" is no server', id="leading-dot"),
    pytest.param(ONE.replace("imap.example", "a" * 64), 3, r'"a{64}\.com" is no server', id="long-label"),
    pytest.param(ONE.replace("imap.example.com", "x:99999"), 3, 'write .* or "imap.example.com:993"', id="port"),
    pytest.param(ONE + '[copy.work.send]\nsmtp = "a b"\n', 8, '"a b" is no server', id="smtp"),
    pytest.param(ONE.replace('maildir = "~/Mail/work"', 'mbox = "x"'), 6, "POP3 alone", id="mbox"),
    pytest.param(ONE.replace('maildir = "~/Mail/work"', 'store = "x"'), 6, "is an account", id="store"),
    pytest.param(ONE.replace("copy.work", 'copy."a b"'), 2, "is no name for a copy", id="name"),
    pytest.param(ONE.replace("copy.work", "copy.status"), 2, "is a command", id="reserved"),
    pytest.param(ONE.replace("copy.work", "copy.Status"), 2, "is a command", id="reserved-case"),
    pytest.param(ONE.replace("password_command", "oauth2.scope"), 2, "no way to the password", id="oauth2-nothing"),
    pytest.param(
        ONE.replace('password_command = "pass show mail/work"', 'oauth2 = { endpoint = "https://x/t" }'), 5,
        "needs token_command, or endpoint and client_id", id="oauth2-client",
    ),
    pytest.param(
        ONE.replace(
            'password_command = "pass show mail/work"',
            'oauth2 = { endpoint = "http://x/t", client_id = "c", refresh_token = "r" }',
        ), 5, "is an https URL", id="oauth2-plain",
    ),
    pytest.param(ONE + ONE.replace("work]", "other]"), 12, "copy.other and copy.work have one maildir", id="one-place"),
    pytest.param('data = "here"\n' + ONE, 1, "depends on where you are", id="data"),
    pytest.param(ONE + "[copy.work.download]\nseen = true\n", 7, "download is for copies of POP3 alone", id="no-pop3"),
    pytest.param(POP3 + "removals = false\n", 7, "is for copies of IMAP", id="no-imap"),
    pytest.param(POP3 + "[copy.work.trash]\ndays = 3\n", 7, "is for copies of IMAP", id="pop3-trash"),
    pytest.param(ONE.replace('maildir = "', 'store = "a@') + "utf8 = true\n", 7, "is for a maildir", id="no-maildir"),
    pytest.param(ONE + '[copy.work.send]\nname = "Anna"\n', 7, "send says no smtp", id="no-smtp"),
    pytest.param(ONE + '[copy.work.trash]\nmailbox = "Bin"\n', 8, "nothing is kept there", id="trash-days"),
    pytest.param(ONE + '[copy.work.trash]\ndays = 3\nmailbox = "inbox"\n', 9, "cannot be INBOX", id="trash-inbox"),
    pytest.param(ONE + SEND + 'outbox = "Inbox"\n', 9, "cannot be INBOX", id="outbox-inbox"),
    pytest.param(ONE + SEND + 'sent = "Outbox"\n', 9, "is the Outbox", id="outbox-sent"),
    pytest.param(
        POP3 + SEND + '[copy.work.download]\nmailbox = "Outbox"\n', 10, "is the Outbox",
        id="outbox-download",
    ),
    pytest.param("copy = 3", 1, "write \\[copy.NAME\\]", id="no-table"),
    pytest.param("[copy.work\n", 1, "this is not TOML", id="toml"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line", "words"), WRONG)
def test_what_is_wrong_is_named_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        parse_copies(text, FILE)
    assert abs(caught.value.line - line) <= (1 if "oauth2" in text else 0), str(caught.value)
    assert str(caught.value).startswith("sync.toml")


@pytest.mark.parametrize(
    ("outer", "inner", "layout", "refused"),
    [
        ("~/Mail", "~/Mail/work", "plain", True),
        ("~/Mail", "~/Mail/a/b", "plain", True),
        ("~/Mail", "~/Mail/.cache/work", "plain", False),
        ("~/Mail", "~/Mail-work", "plain", False),
        ("~/Mail", "~/Mail/work", "maildir++", False),
        ("~/Mail", "~/Mail/.Work", "maildir++", True),
    ],
)
def test_a_copy_that_would_be_a_mailbox_of_another_is_refused(
    outer: str, inner: str, layout: str, refused: bool
) -> None:
    copy = ONE.replace("[copy.work]", "[copy.{}]").replace("~/Mail/work", "{}")
    assert copy.count("{}") == 2
    text = copy.format("in", inner) + copy.format("out", outer) + f'layout = "{layout}"\n'
    if not refused:
        assert len(parse_copies(text, FILE).copies) == 2
        return
    with pytest.raises(ConfigError, match=r"copy\.in lies within the tree of copy\.out"):
        parse_copies(text, FILE)


@pytest.mark.parametrize(("imap", "refused"), [(2, True), (1, False), (0, False)])
def test_what_pop3_brings_may_go_where_another_copy_is(imap: int, refused: bool) -> None:
    """Several maildrops into one tree, or one that is read by IMAP too."""
    copies = [ONE.replace("work]", f"n{number}]") for number in range(3)]
    copies = [copy if number < imap else copy.replace("imap =", "pop3 =") for number, copy in enumerate(copies)]
    if not refused:
        assert len(parse_copies("".join(copies), FILE).copies) == 3
        return
    with pytest.raises(ConfigError, match=r"copy\.n1 and copy\.n0 have one maildir"):
        parse_copies("".join(copies), FILE)


def test_an_outbox_is_emptied_by_one_copy_alone() -> None:
    """Two that watch might each send what lies there."""
    send = '\n[copy.{}.send]\nsmtp = "smtp.example.com"\n'
    one = ONE + send.format("work")
    two = ONE.replace("work]", "old]").replace("imap =", "pop3 =") + send.format("old")
    with pytest.raises(ConfigError, match=r"copy\.old and copy\.work would both send"):
        parse_copies(one + two, FILE)
    assert len(parse_copies(one + two + 'outbox = ""\n', FILE).copies) == 2


def test_no_copy_carries_the_outbox_of_another_one() -> None:
    """A message on its way that came back from the server, having been changed there, would be sent twice."""
    send = '\n[copy.old.send]\nsmtp = "smtp.example.com"\n'
    old = ONE.replace("work]", "old]").replace("imap =", "pop3 =") + send
    for text in (ONE + old, old + ONE):
        with pytest.raises(ConfigError, match=r"copy\.work would carry what lies in the Outbox of copy\.old"):
            parse_copies(text, FILE)
    for key in ('exclude = ["Out*"]', 'mailboxes = ["INBOX"]'):
        assert len(parse_copies(old + ONE + f"{key}\n", FILE).copies) == 2
    assert len(parse_copies(ONE + old + 'outbox = ""\n', FILE).copies) == 2


def test_a_token_command_needs_nothing_else() -> None:
    text = ONE.replace('password_command = "pass show mail/work"', 'oauth2 = { token_command = "x" }')
    assert parse_copies(text, FILE).copies["work"].oauth2.token_command == "x"


ENDPOINTS = [
    ("https://oauth2.example.com/token", True),
    ("https://login.example.com:8443/a%20b/token?tenant=x", True),
    ("https://example.com", True),
    ("http://localhost:8080/token", True),
    ("http://127.0.0.1/token", True),
    ("http://oauth2.example.com/token", False),
    ("http://localhost:x@example.com/token", False),
    ("https://oauth2 .example.com/token", False),
    ("https://oauth2..example.com/token", False),
    ("https://oauth2.example.com:abc/token", False),
    ("https://[::1/token", False),
    ("https://oauth2.example.com/to ken", False),
    ("https:///token", False),
]


@pytest.mark.parametrize(("url", "taken"), ENDPOINTS)
def test_endpoints(url: str, taken: bool) -> None:
    text = ONE.replace(
        'password_command = "pass show mail/work"',
        f'oauth2 = {{ endpoint = "{url}", client_id = "c", refresh_token = "r" }}',
    )
    if taken:
        assert parse_copies(text, FILE).copies["work"].oauth2.endpoint == url
        return
    with pytest.raises(ConfigError, match="is an https URL"):
        parse_copies(text, FILE)


def test_ports_without_saying() -> None:
    for kind, tls, port in [
        ("imap", "implicit", 993),
        ("imap", "none", 143),
        ("pop3", "starttls", 110),
        ("smtp", "implicit", 465),
    ]:
        assert parse_server(kind, "host", tls).port == port


def test_names_of_servers() -> None:
    for name in ("localhost", "a.example.com.", "127.0.0.1", "under_score.example", "a" * 63, "x." * 126 + "y"):
        assert parse_server("imap", name, "implicit").host == name
        assert parse_server("imap", f"{name}:7", "implicit") == Server(name, 7, "implicit")


def test_every_key_has_a_doc_and_every_rule_a_key() -> None:
    tables: list[type[Struct]] = [CopyTable, *tables_of(CopyTable).values()]
    for table in tables:
        assert set(docs_of(table)) | set(tables_of(table)) == set(table.__struct_fields__)
    for rule in (*CHOICES, *RANGES):
        value: object = CopyTable()
        for name in rule.path:
            value = getattr(value, name)


def test_the_written_reference_is_the_codes_own() -> None:
    written = (Path(__file__).parents[2] / "docs" / "sync-configuration.md").read_text("utf-8")
    assert written == reference(), "run: python -m restante.sync.reference > docs/sync-configuration.md"


def test_no_command_can_be_shadowed_by_a_copy() -> None:
    from restante.cli.sync import SUBCOMMANDS

    assert {each.name for each in SUBCOMMANDS} <= RESERVED


def test_where_the_file_is() -> None:
    assert config_file({"HOME": "/h"}, platform="linux") == Path("/h/.config/restante/sync.toml")
    assert config_file({"HOME": "/h", "XDG_CONFIG_HOME": "/x"}, platform="linux") == Path("/x/restante/sync.toml")
    assert config_file({"HOME": "/h", "XDG_CONFIG_HOME": "x"}, platform="linux") == Path(
        "/h/.config/restante/sync.toml"
    )
    assert config_file({"HOME": "/h"}, platform="darwin").parts[-3:] == ("Application Support", "restante", "sync.toml")


def test_copies_by_name() -> None:
    found = parse_copies(ONE, FILE)
    assert list(need_copies(found, ())) == ["work"]
    with pytest.raises(ConfigError, match="Did you mean work"):
        need_copies(found, ("wrok",))
    with pytest.raises(ConfigError, match="restante sync init"):
        need_copies(parse_copies("", FILE), ())


# Adding one ----------------------------------------------------------------------------------------------

COPY = parse_copies(ONE, FILE).copies["work"]


def test_a_new_copy_reads_back_and_is_private(tmp_path: Path) -> None:
    file = tmp_path / "made" / "sync.toml"
    add_copy(file, "work", COPY)
    assert load_copies(file).copies == {"work": COPY}
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    text = file.read_text()
    assert text.index("# IMAP server") < text.index('imap = "imap.example.com"')
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("table", ["copy.work", "copy.work.send"])
def test_a_file_with_a_refresh_token_is_its_owners_alone(tmp_path: Path, table: str) -> None:
    """As a password's file is."""
    oauth2 = 'oauth2 = { endpoint = "https://x.example/t", client_id = "c", refresh_token = "r" }\n'
    text = ONE + SEND + oauth2 if table.endswith("send") else ONE.replace(ONE.splitlines(True)[4], oauth2)
    file = tmp_path / "sync.toml"
    file.write_text(text)
    for mode in (0o644, 0o640, 0o602):
        file.chmod(mode)
        with pytest.raises(ConfigError, match="chmod 600"):
            load_copies(file)
    file.chmod(0o600)
    assert list(load_copies(file).copies) == ["work"]
    file.write_text(ONE)
    file.chmod(0o644)
    assert list(load_copies(file).copies) == ["work"]


@pytest.mark.parametrize(
    "old", ["# mine", "# mine\n", ONE, "data = '/x' # so\n\n\n[copy.a] # no\n" + ONE[ONE.index("imap") :]]
)
def test_what_stands_in_the_file_stays(tmp_path: Path, old: str) -> None:
    file = tmp_path / "sync.toml"
    file.write_text(old)
    file.chmod(0o644)
    new = parse_copies(ONE.replace("~/Mail/work", "~/Mail/new"), FILE).copies["work"]
    add_copy(file, "new", new)
    assert file.read_text().startswith(old)
    assert load_copies(file).copies["new"] == new
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_copy_is_not_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "sync.toml"
    add_copy(file, "work", COPY)
    before = file.read_bytes()
    for name in ("work", "WORK"):
        with pytest.raises(CopyExists):
            add_copy(file, name, COPY)
    with pytest.raises(ConfigError, match="have one maildir"):
        add_copy(file, "other", COPY)
    with pytest.raises(ConfigError, match="no name"):
        add_copy(file, "a b", COPY)
    assert file.read_bytes() == before


def test_a_file_that_is_wrong_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "sync.toml"
    file.write_text("[copy.x]\nimop = 1\n")
    with pytest.raises(ConfigError, match="Did you mean"):
        add_copy(file, "work", COPY)
    assert file.read_text() == "[copy.x]\nimop = 1\n"


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    real = tmp_path / "dotfiles"
    real.mkdir()
    (real / "sync.toml").write_text("# mine\n")
    link = tmp_path / "sync.toml"
    link.symlink_to(real / "sync.toml")
    add_copy(link, "work", COPY)
    assert link.is_symlink()
    assert load_copies(real / "sync.toml").copies == {"work": COPY}


def test_all_tables_are_written(tmp_path: Path) -> None:
    text = ONE + (
        '[copy.work.send]\nsmtp = "smtp.example.com"\naddresses = ["a\\"b@example.com"]\n'
        '[copy.work.send.oauth2]\ntoken_command = "x"\n[copy.work.brake]\nnumber = 5\n'
    )
    copy = parse_copies(text, FILE).copies["work"]
    assert parse_copies(table_text("work", copy), FILE).copies["work"] == copy
