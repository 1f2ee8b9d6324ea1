"""Configuration files: defaults, units, and refusals that name the place."""

from __future__ import annotations

from pathlib import Path

import pytest

from restante.config.load import (
    RANGES,
    ConfigError,
    docs_of,
    line_of,
    load,
    parse,
    parse_duration,
    parse_size,
    tables_of,
)
from restante.config.model import Config
from restante.config.show import default_text, effective_json, effective_toml
from restante.config.table import Struct


def test_the_default_file_loads_back_to_the_defaults() -> None:
    assert parse(default_text()) == Config()


def test_the_default_file_documents_every_key() -> None:
    text = default_text()
    lines = text.splitlines()
    tables: dict[str, type[Struct]] = {"": Config, **tables_of(Config)}
    for name, table in tables.items():
        for key in docs_of(table):
            line = line_of(text, (name, key) if name else (key,))
            assert line, f"{name}.{key} is missing"
            assert lines[line - 2].startswith("# "), f"{name}.{key} has no documentation"


def test_every_key_of_every_table_has_a_doc() -> None:
    tables: list[type[Struct]] = [Config, *tables_of(Config).values()]
    for table in tables:
        assert set(docs_of(table)) | set(tables_of(table)) == set(table.__struct_fields__)


def test_what_is_in_effect_loads_back() -> None:
    config = parse('data = "/tmp/é"\n[accounts]\nquota = "2 GiB"\n[accounts.mailboxes]\n"Gesendet\\"" = "\\\\Sent"\n')
    assert parse(effective_toml(config)) == config
    assert '"quota": 2147483648' in effective_json(config)


def test_every_default_lies_within_its_range() -> None:
    assert {bounds.path[0] for bounds in RANGES} <= set(tables_of(Config))
    parse("")  # checks all


@pytest.mark.parametrize(
    ("text", "octets"),
    [("10 MB", 10_000_000), ("2 GiB", 2 << 30), ("4096", 4096), ("1.5kb", 1500), ("64MiB", 64 << 20), ("3 b", 3)],
)
def test_sizes(text: str, octets: int) -> None:
    assert parse_size(text) == octets


@pytest.mark.parametrize(
    ("text", "seconds"), [("30 m", 1800.0), ("14 d", 1_209_600.0), ("90", 90.0), ("1.5h", 5400.0), ("250 ms", 0.25)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "ten", "-1", "1 parsec", "1e9", "1 2", "9" * 19])
def test_neither_size_nor_duration(text: str) -> None:
    with pytest.raises(ValueError):
        parse_size(text)
    with pytest.raises(ValueError):
        parse_duration(text)


REFUSED = [
    pytest.param("[listen]\n\nimpas = 'off'\n", 3, "listen.impas", "imaps", id="unknown-key"),
    pytest.param("[sevrer]\nworkers = 2\n", 1, "sevrer", "server", id="unknown-table"),
    pytest.param("limits.mesage = 3\n", 1, "limits.mesage", "limits.message", id="unknown-dotted-key"),
    pytest.param("[server]\nretention = '14 d'\n", 2, "server.retention", "store.retention", id="key-of-another-table"),
    pytest.param("[server]\n# one\n  workers = 'two'\n", 3, "server.workers", "", id="wrong-type"),
    pytest.param("x = '''\n[server]\nworkers = 1\n'''\n", 1, "x", "", id="unknown-key-with-multi-line-text"),
    pytest.param(
        "data = '''\n[server]\nworkers = 1\n'''\n[server]\nworkers = 'a'\n",
        6,
        "server.workers",
        "",
        id="line-after-text",
    ),
    pytest.param("server = 3\n", 1, "server", "[server]", id="table-as-value"),
    pytest.param("[imap]\nother_users = 'A\u0308mter'\n", 2, "imap.other_users", "NFC", id="name-no-client-sends"),
    pytest.param("[limits]\nline = '9 parsecs'\n", 2, "limits.line", "10 MB", id="bad-size"),
    pytest.param("[store]\nretention = 'long'\n", 2, "store.retention", "30 m", id="bad-duration"),
    pytest.param("[log]\nformat = 'jsn'\n", 2, "log.format", 'Did you mean "json"?', id="bad-choice"),
    pytest.param("[pop3]\ndelete = 'purge'\n", 2, "pop3.delete", '"trash"', id="bad-choice-without-neighbour"),
    pytest.param("[server]\nworkers = 5000\n", 2, "server.workers", "1024", id="out-of-range"),
    pytest.param(
        "[imap]\nidle_timeout = '1 s'\n", 2, "imap.idle_timeout", "from 1 m to 7 d", id="duration-out-of-range"
    ),
    pytest.param("[listen]\nimap = '127.0.0.1'\n", 2, "listener", "ADDRESS:PORT", id="listener-without-port"),
    pytest.param("[listen]\nimap = '127.0.0.1:70000'\n", 2, "listener", "ADDRESS:PORT", id="listener-port"),
    pytest.param("[listen]\nimap = 'unix:/x'\n", 2, "Unix socket", "ADDRESS:PORT", id="imap-on-a-unix-socket"),
    pytest.param("[listen]\nlmtp = 'unix:x'\n", 2, "absolute", "unix:/", id="relative-unix-socket"),
    pytest.param("[listen]\nunix_mode = '0066'\n", 2, "octal", "0660", id="socket-its-owner-cannot-use"),
    pytest.param("[listen]\nunix_mode = 'rw'\n", 2, "octal", "0660", id="mode-in-letters"),
    pytest.param("[listen]\nunix_mode = 0o660\n", 2, "text in quotes", "", id="mode-as-a-number"),
    pytest.param("[listen]\nunix_group = 'a b'\n", 2, "no name", "", id="group-with-a-space"),
    pytest.param("[listen]\nunix_owner = '4294967295'\n", 2, "no name", "", id="the-number-of-nobody"),
    pytest.param(f"[listen]\nlmtp = 'unix:/{'x' * 110}'\n", 2, "103", "shorter", id="long-unix-socket"),
    pytest.param("[pop3]\nseen = 1\n", 2, "pop3.seen", "", id="number-for-truth"),
    pytest.param("[delivery]\nseparator = '++'\n", 2, "delivery.separator", "", id="two-separators"),
    pytest.param("[backup]\nschedule = '2:30'\n", 2, "backup.schedule", "02:30", id="schedule"),
    pytest.param("[imap]\nadmin = 'root at home'\n", 2, "imap.admin", "URI", id="admin"),
    pytest.param("[tls]\nkey = 'k'\n", 2, "tls.key", "", id="key-without-certificate"),
    pytest.param("[accounts.mailboxes]\nA = '\\\\Sent'\nB = '\\\\Sent'\n", 3, "Sent", "", id="role-twice"),
    pytest.param("a = 1\nb =\n", 2, "TOML", "", id="no-toml"),
    pytest.param("[log]\nlevel = 'info'\nlevel = 'info'\n", 3, "TOML", "", id="key-twice"),
]


@pytest.mark.parametrize(("text", "line", "names", "hint"), REFUSED)
def test_refusals_name_file_line_and_key(text: str, line: int, names: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "restante.toml")
    assert caught.value.line == line
    assert caught.value.text.startswith(f"restante.toml:{line}: ")
    assert names in caught.value.text
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("server.drain = true", 'server.drain is a duration, such as "30 s", not true or false.'),
        ("server.drain = '2 h'", "server.drain is from 0 to 1 h."),
        ("server.growth = [1]", 'server.growth is a size, such as "10 MB", not a list in brackets.'),
        ("server.growth = -1", "server.growth is at least 0."),
        ("server.workers = 'two'", "server.workers is a whole number, not text in quotes."),
        ("listen.imap = 143", "listen.imap is text in quotes or a list in brackets, not a whole number."),
        ("imap.quota_admins = [1]", "each of imap.quota_admins is text in quotes, not a whole number."),
        ("accounts.mailboxes = {Sent = 1}", "each of accounts.mailboxes is text in quotes, not a whole number."),
        ("backup.in_imap_room = -1", "backup.in_imap_room is at least 0."),
    ],
)
def test_refusals_say_what_a_value_should_be_in_the_words_of_the_documentation(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "restante.toml")
    assert caught.value.text == f"restante.toml:1: {said}"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.toml")


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_bytes(b"# one\ndata = '\xff'\n")
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.line == 2


def test_lists_of_listeners_and_off() -> None:
    config = parse("[listen]\nimap = ['127.0.0.1:1143', '[::1]:1143']\npop3 = 'off'\nlmtp = 'unix:/run/x/lmtp'\n")
    assert config.listen.imap == ["127.0.0.1:1143", "[::1]:1143"]
    assert config.listen.pop3 == "off"
