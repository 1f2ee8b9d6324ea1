"""`restante rewind` and `restante undelete` as people call them; instants as people write them."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from restante.cli.main import restante
from restante.cli.statuses import Exit
from restante.cli.when import BadInstant, parse_when, spelled_out
from restante.clock import ManualClock, SystemClock, system_random
from restante.config.load import load
from restante.mime.analyse import analyse
from restante.server.engine import open_engine
from restante.store.interface import Engine, Store
from restante.store.model import FlagMode, Flags, NewMessage
from restante.store.rights import parse_rights

ANN = "ann@example.com"


class Cli:
    """An installation with one account, whose past is made on a clock of its own."""

    def __init__(self, folder: Path, settings: str = "") -> None:
        self.folder = folder
        (folder / "passphrase").write_text("three random words\n")
        (folder / "wrong").write_text("three other words\n")
        self.config = folder / "restante.toml"
        self.config.write_text(
            f'data = "{folder / "data"}"\n[backup]\nlocation = "{folder / "backup"}"\n'
            f'passphrase_file = "{folder / "passphrase"}"\n[store]\nreserve = 0\n{settings}'
        )
        self("domain", "add", "example.com")
        self("account", "add", ANN, "--password-stdin", stdin=b"correct horse\n")
        self.now = SystemClock().now()

    def __call__(self, *args: str, status: Exit = Exit.OK, stdin: bytes = b"") -> Result:
        result = CliRunner().invoke(restante, ("--config", str(self.config), *args), input=stdin)
        assert result.exit_code == status, (result.output, result.exception)
        return result

    def rewind(self, *args: str, status: Exit = Exit.OK) -> str:
        return self("rewind", "--account", ANN, *args, status=status).stdout

    def at(self, ago: float, scene: Any) -> None:
        """Play a scene (engine, store) as if it were so many seconds ago."""

        async def play() -> None:
            engine = open_engine(load(self.config), self.folder / "data", ManualClock(self.now - ago), system_random)
            try:
                account = await engine.directory.account(ANN)
                assert account is not None
                await scene(engine, engine.account(account.id, session="imap 7f3a"))
            finally:
                await engine.close()

        asyncio.run(play())

    def subjects(self) -> list[tuple[str, str]]:
        """(mailbox, subject), sorted."""
        out: list[tuple[str, str]] = []

        async def look(engine: Engine, store: Store) -> None:
            from restante.store.model import Column

            for box in await store.mailboxes():
                for row in await store.rows(box.key, ((1, 2**32 - 1),), (Column.CONTENT,), 1000):
                    (data,) = await store.read_contents([int(str(row[1]))])
                    out.append((box.name, data.split(b"Subject: ")[1].split(b"\r\n")[0].decode()))

        self.at(0, look)
        return sorted(out)


async def file(store: Store, mailbox: str, *subjects: str) -> None:
    box = await store.mailbox(mailbox) or await store.create_mailbox(mailbox)
    for subject in subjects:
        data = f"From: Carl <carl@example.org>\r\nSubject: {subject}\r\n\r\nHello\r\n".encode()
        await store.append(box.key, [NewMessage(await store.put(data), analyse(data), Flags(), 1_000_000_000)])


async def key(store: Store, name: str) -> int:
    box = await store.mailbox(name)
    assert box is not None
    return box.key


async def mail(engine: Engine, store: Store) -> None:
    await file(store, "INBOX", "one", "two", "three")
    await file(store, "Work", "plan")


async def slip(engine: Engine, store: Store) -> None:
    await store.expunge(await key(store, "INBOX"), ((1, 2),), deleted_only=False)
    await store.delete_mailbox(await key(store, "Work"))
    await store.store_flags(await key(store, "INBOX"), ((3, 3),), FlagMode.ADD, Flags.of(["\\Seen"]))


async def news(engine: Engine, store: Store) -> None:
    await file(store, "INBOX", "news")


THEN = [("INBOX", "one"), ("INBOX", "three"), ("INBOX", "two"), ("Work", "plan")]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Mail three hours ago, a slip an hour ago, new mail a minute ago."""
    made = Cli(tmp_path)
    made.now += 4 * 3600
    monkeypatch.setattr(SystemClock, "now", lambda self: made.now)
    made.at(3 * 3600, mail)
    made.at(3600, slip)
    made.at(60, news)
    return made


def test_the_plan_comes_first(cli: Cli) -> None:
    slipped = cli.subjects()
    assert slipped == [("INBOX", "news"), ("INBOX", "three")]
    said = cli.rewind("--to", "2h ago")
    assert "mailbox Work is made again" in said
    assert "INBOX: 2 brought back, 1 with flags set back" in said
    assert "Came since and would stay: 1 message." in said
    assert "carl@example.org" in said
    assert "news" in said
    assert "Nothing was done. Say --apply" in said
    assert cli.subjects() == slipped
    done = json.loads(cli.rewind("--to", "2h ago", "--apply", "--json"))
    assert (done["applied"], done["created"], done["came"], done["lost"]) == (True, ["Work"], 1, [])
    assert cli.subjects() == sorted([*THEN, ("INBOX", "news")])
    assert "nothing to do" in cli.rewind("--to", "2h ago", "--apply")
    listed = json.loads(cli.rewind("--list", "--json"))
    assert [one["id"] for one in listed] == [done["id"]]
    assert "3 removed again" not in cli.rewind("--undo", "last")
    assert cli.subjects() == sorted([*THEN, ("INBOX", "news")]), "a plan"
    said = cli.rewind("--undo", str(done["id"]), "--apply")
    assert "mailbox Work is removed" in said
    assert cli.subjects() == slipped


def test_rights_and_a_quota_that_is_passed_are_told_with_the_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = Cli(tmp_path)
    cli.now += 4 * 3600
    monkeypatch.setattr(SystemClock, "now", lambda self: cli.now)

    async def then(engine: Engine, store: Store) -> None:
        box = await store.create_mailbox("Plans")
        await file(store, "INBOX", *(f"Long {number} " + "x" * 3000 for number in range(4)))
        bob = await engine.directory.account("bob@example.com")
        assert bob is not None
        for key, rights in ((box.key, "lrs"), (1, "lr")):
            await store.set_acl(key, bob.id, FlagMode.REPLACE, parse_rights(rights))
        await file(store, "Plans", "Plan")

    async def since(engine: Engine, store: Store) -> None:
        box = await store.mailbox("Plans")
        bob = await engine.directory.account("bob@example.com")
        assert box is not None
        assert bob is not None
        await store.delete_mailbox(box.key)
        await store.expunge(1, ((1, 4),), deleted_only=False)
        await store.set_acl(1, bob.id, FlagMode.REMOVE, parse_rights("lr"))

    cli("account", "add", "bob@example.com", "--password-stdin", stdin=b"battery staple\n")
    cli.at(7200, then)
    cli.at(3600, since)
    cli("account", "set", ANN, "--quota", "5 kB", "--quota-messages", "4")
    plan = cli("rewind", "--account", ANN, "--to", "90m ago")
    assert "mailbox Plans: bob@example.com has lrs again" in plan.stdout
    assert "INBOX: bob@example.com has none, had lr" in plan.stdout
    assert "Over its quota: the account would have " in plan.stderr
    assert "and 5 of 4 messages, and then takes no new mail." in plan.stderr
    shown = json.loads(cli.rewind("--to", "90m ago", "--json"))
    assert shown["granted"] == [["Plans", "bob@example.com", "lrs"]]
    assert shown["rights"] == [["INBOX", "bob@example.com", "lr", ""]]
    assert shown["storage"] > shown["storage_limit"] == 5000
    done = cli("rewind", "--account", ANN, "--to", "90m ago", "--apply")
    assert "Over its quota: the account has " in done.stderr
    assert len(cli.subjects()) == 5, "it is not held up"
    cli("account", "set", ANN, "--quota", "0", "--quota-messages", "0")
    assert "quota" not in cli("rewind", "--account", ANN, "--to", "90m ago").stderr


def test_what_is_wrong_is_said(cli: Cli) -> None:
    cli("rewind", "--account", "eve@example.com", "--to", "2h ago", status=Exit.NOT_FOUND)
    for text in ("2026-11-22", "tomorrow 10:00", "2h", "2099-01-01 00:00", "yesterday 25:00"):
        said = cli("rewind", "--account", ANN, "--to", text, status=Exit.REFUSED).stderr
        assert "is no instant" in said or "still to come" in said
    cli("rewind", "--account", ANN, status=Exit.USAGE)
    cli("rewind", "--account", ANN, "--to", "2h ago", "--undo", "1", status=Exit.USAGE)
    cli("rewind", "--account", ANN, "--undo", "x", status=Exit.USAGE)
    assert "no rewind" in cli("rewind", "--account", ANN, "--undo", "last", status=Exit.REFUSED).stderr
    assert "no rewind 7" in cli("rewind", "--account", ANN, "--undo", "7", status=Exit.NOT_FOUND).stderr


def test_beyond_the_stores_memory_the_backup_says_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cli = Cli(tmp_path, 'retention = "1 h"\n')
    begun, cli.now = cli.now, cli.now + 40 * 86400
    monkeypatch.setattr(SystemClock, "now", lambda self: cli.now)
    cli.at(39 * 86400, mail)
    now, cli.now = cli.now, cli.now - 38 * 86400
    cli("backup", "init")
    cli("backup", "run")
    cli.now = now
    cli.at(20 * 86400, slip)

    async def reclaim(engine: Engine, store: Store) -> None:
        while await store.reclaim(100):
            pass

    cli.at(86400, reclaim)
    cli.at(60, news)
    slipped = cli.subjects()
    with_wrong = ("--passphrase-file", str(tmp_path / "wrong"))
    refused = cli("rewind", "--account", ANN, "--to", "30d ago", *with_wrong, status=Exit.REFUSED)
    assert "No key of this backup opens" in refused.stderr
    cli("rewind", "--account", ANN, "--to", "39d ago", status=Exit.NOT_FOUND)
    planned = cli.rewind("--to", "30d ago")
    assert "3 messages from the backup" in planned
    assert cli.subjects() == slipped
    done = json.loads(cli.rewind("--to", "30d ago", "--apply", "--json"))
    assert (done["from_backup"], done["created"], done["lost"]) == (3, ["Work"], [])
    assert done["snapshot"] is not None
    assert cli.subjects() == sorted([*THEN, ("INBOX", "news")])
    assert "nothing to do" in cli.rewind("--to", "30d ago", "--apply"), "nothing is doubled"
    cli.rewind("--undo", str(done["id"]), "--apply")
    assert cli.subjects() == slipped
    cli.config.write_text(cli.config.read_text().split("[backup]")[0] + '[store]\nreserve = 0\nretention = "1 h"\n')
    refused = cli("rewind", "--account", ANN, "--to", "30d ago", status=Exit.REFUSED)
    assert "name its --location" in refused.stderr
    assert begun < now


def test_nobody_is_taken_back_to_what_who_had_the_address_before_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = Cli(tmp_path)
    cli.now += 40 * 86400
    monkeypatch.setattr(SystemClock, "now", lambda self: cli.now)
    cli.at(39 * 86400, mail)
    now, cli.now = cli.now, cli.now - 38 * 86400
    cli("backup", "init")
    cli("backup", "run")
    cli("account", "remove", ANN, "--yes")
    cli("account", "add", ANN, "--password-stdin", stdin=b"battery staple\n")
    cli.now = now
    for apply in ((), ("--apply",)):
        refused = cli("rewind", "--account", ANN, "--to", "30d ago", *apply, status=Exit.NOT_FOUND)
        assert "is another account" in refused.stderr
    refused = cli("rewind", "--account", ANN, "--to", "3000d ago", status=Exit.NOT_FOUND)
    assert "The store knows what the account was from" in refused.stderr
    assert "There is no snapshot that old" in refused.stderr
    assert cli.subjects() == []


def test_undelete_lists_and_brings_back_by_mailbox_time_and_who_removed_it(cli: Cli) -> None:
    async def pop3(engine: Engine, store: Store) -> None:
        other = engine.account(store.account, session="pop3 99aa")
        await other.expunge(await key(store, "INBOX"), ((3, 3),), deleted_only=False)

    cli.at(30, pop3)

    def listed(*args: str) -> list[str]:
        rows = json.loads(cli("undelete", "--account", ANN, "--json", *args).stdout or "[]")
        return sorted(row["subject"] for row in rows)

    assert listed() == ["one", "plan", "three", "two"]
    assert listed("--from", "Work") == ["plan"]
    assert listed("--from", "inbox", "--before", "10m ago") == ["one", "two"]
    refused = cli("undelete", "--account", ANN, "--from", "Wrok", status=Exit.NOT_FOUND)
    assert "There is no mailbox Wrok" in refused.stderr, "and not that nothing was removed"
    assert listed("--since", "10m ago") == ["three"]
    assert listed("--before", "10m ago") == ["one", "plan", "two"]
    assert listed("--by", "POP3") == ["three"]
    assert listed("--by", "imap 7f3a", "--from", "INBOX") == ["one", "two"]
    assert listed("--since", "5s ago") == []
    assert "Brought back 1 message." in cli("undelete", "--account", ANN, "--all", "--since", "10m ago").stdout
    assert cli.subjects() == [("INBOX", "news"), ("INBOX", "three")]
    assert "Brought back 3 messages." in cli("undelete", "--account", ANN, "--all").stdout
    assert cli.subjects() == sorted([*THEN, ("INBOX", "news")])
    cli("undelete", "--account", ANN, "--since", "soon", status=Exit.REFUSED)


BERLIN = ZoneInfo("Europe/Berlin")
NOW = datetime(2026, 3, 30, 10, 0, tzinfo=BERLIN).timestamp()  # the day after clocks were put forward


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-03-29T00:30:00Z", "2026-03-29T00:30"),
        ("2026-03-29 01:30", "2026-03-29T00:30"),
        ("2026-03-29 02:30", "2026-03-29T01:30"),  # left out: 03:30 on the wall
        ("2026-03-29 03:30", "2026-03-29T01:30"),
        ("2025-10-26 02:30", "2025-10-26T00:30"),  # twice: the first
        ("2026-03-29T02:00:00+01:00", "2026-03-29T01:00"),
        ("2026-03-29 03:30:15.9", "2026-03-29T01:30:15"),
        ("yesterday 14:00", "2026-03-29T12:00"),
        ("yesterday 01:00", "2026-03-29T00:00"),
        ("today  09:30:30", "2026-03-30T07:30:30"),
        ("3h ago", "2026-03-30T05:00"),
        ("90 m ago", "2026-03-30T06:30"),
        ("2d ago", "2026-03-28T08:00"),  # 48 hours: 09:00 on the wall
        ("1w ago", "2026-03-23T08:00"),
        ("0s ago", "2026-03-30T08:00"),
    ],
)
def test_instants_that_people_write(text: str, expected: str) -> None:
    assert parse_when(text, NOW + 0.7, BERLIN) == datetime.fromisoformat(expected).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "text",
    ["", "now", "2026-03-29", "14:00", "yesterday", "yesterday 2pm", "3 hours ago", "-3h ago", "3h", "9999999d ago",
     "2026-13-01 00:00", "today 24:00", "2026-03-30 10:01", "today 23:00", "2026-W13-7 10:00 x"],
)  # fmt: skip
def test_what_is_no_instant_or_still_to_come_is_refused(text: str) -> None:
    with pytest.raises(BadInstant):
        parse_when(text, NOW, BERLIN)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("yesterday 14:00", "2026-03-29 14:00"),
        ("yesterday 02:30", "2026-03-29 02:30"),  # left out on the wall: as long after midnight, as for all dates
        ("today  09:30:30", "2026-03-30 09:30:30"),
        ("3h ago", "2026-03-30 05:00:00+00:00"),
        ("999999d ago", "1970-01-01 00:00:00+00:00"),
        ("2026-03-29", "2026-03-29"),
        ("2026-03-29 01:30", "2026-03-29 01:30"),
        ("latest", "latest"),
        ("beef", "beef"),
        ("yesterday", "yesterday"),
    ],
)
def test_what_is_said_of_days_and_hours_is_spelled_out(text: str, expected: str) -> None:
    assert spelled_out(text, NOW, BERLIN) == expected
    for wrong in ("today 23:00", "yesterday 25:00"):
        with pytest.raises(BadInstant):
            spelled_out(wrong, NOW, BERLIN)


@given(st.one_of(st.text(max_size=30), st.from_regex(r"[0-9 :TZ+-]{8,25}"), st.from_regex(r"(today|yesterday) ..:..")))
def test_any_text_is_an_instant_that_has_passed_or_is_refused(text: str) -> None:
    for zone in (BERLIN, UTC, None):
        try:
            assert parse_when(text, NOW, zone) <= NOW
        except BadInstant:
            pass
