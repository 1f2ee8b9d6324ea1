"""`restante dedupe`: what it tells, what it does, and its exit statuses."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from restante.cli.statuses import Exit
from restante.clock import SystemClock, system_random
from restante.store.sqlite.engine import SqliteEngine
from restante.sync.trace import TRACE_FIELDS

from .test_commands import MESSAGE, Cli

ANNA = ("--account", "anna@example.com")
OTHER = MESSAGE.replace(b"Hello", b"Goodbye").replace(b"Greetings", b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    cli = Cli(tmp_path / "data")
    cli("domain", "add", "example.com")
    cli("account", "add", "anna@example.com", "--password-stdin", stdin=b"secret words\n")
    folder = tmp_path / "mail"
    (folder / "Work").mkdir(parents=True)
    for name, data in {
        "1.eml": MESSAGE,
        "2.eml": OTHER,
        "Work/1.eml": b"Received: by x\n" + MESSAGE,
        "Work/2.eml": MESSAGE,
    }.items():
        (folder / name).write_bytes(data)
    cli("import", str(folder), *ANNA)
    return cli


def told(cli: Cli, *args: str, status: Exit = Exit.OK) -> dict[str, Any]:
    loaded = json.loads(cli("dedupe", *ANNA, *args, "--json", status=status).stdout)
    assert isinstance(loaded, dict)
    return loaded


def names(messages: list[dict[str, Any]]) -> list[str]:
    return [f"{one['mailbox']} {one['uid']}" for one in messages]


def test_nothing_is_done_unless_asked(cli: Cli) -> None:
    for _ in range(2):
        found = told(cli)
        assert (found["messages"], found["moves"], found["moved"]) == (4, 2, None)
        (group,) = found["groups"]
        assert group["kind"] == "trace"
        assert names([group["keep"]]) == ["Work 1"]
        assert sorted(names(group["move"])) == ["INBOX 1", "Work 2"]
    shown = cli("dedupe", *ANNA).stdout
    assert "Work 1" in shown
    assert "Greetings" in shown
    assert "Looked at 4 messages: 2 (" in shown
    assert "--apply" in shown


def test_applied_and_undone(cli: Cli) -> None:
    assert "Moved 2 messages" in cli("dedupe", *ANNA, "--apply").stdout
    assert told(cli, "--apply") | {"groups": [], "moved": 0, "moves": 0} == told(cli) | {"moved": 0}
    assert "each is there once" in cli("dedupe", *ANNA).stdout
    assert [row["mailbox"] for row in cli.json("undelete", *ANNA)] == []  # moved, not removed
    assert told(cli, "--undo") == {"back": 2, "missing": [], "unflagged": []}
    assert told(cli)["moves"] == 2
    cli("dedupe", *ANNA, "--undo", status=Exit.REFUSED)


def test_what_has_left_the_trash_is_told(cli: Cli) -> None:
    async def empty() -> None:
        engine = SqliteEngine(cli.data, SystemClock(), system_random)
        account = await engine.directory.account("anna@example.com")
        assert account is not None
        store = engine.account(account.id)
        trash = await store.mailbox("Trash")
        assert trash is not None
        await store.expunge(trash.key, ((1, 1),), deleted_only=False)
        await engine.close()

    told(cli, "--apply")
    asyncio.run(empty())
    found = told(cli, "--undo", status=Exit.FINDINGS)
    assert found["back"] == 1
    assert len(found["missing"]) == 1


def test_runs_are_undone_one_by_one(cli: Cli) -> None:
    told(cli, "--apply", "--within")
    cli("dedupe", *ANNA, "--apply", "--trash", "Elsewhere", "--copies")
    assert told(cli, "--undo")["back"] == 1
    back = cli("dedupe", *ANNA, "--undo")
    assert "Put back 1 message." in back.stdout


def test_options_reach_the_rules(cli: Cli) -> None:
    assert told(cli, "--within")["moves"] == 1
    assert names([told(cli, "--prefer", "INBOX")["groups"][0]["keep"]]) == ["INBOX 1"]
    assert told(cli, "--mailbox", "INBOX")["messages"] == 2
    assert told(cli, "--mailbox", "inbox")["messages"] == 2
    cli("dedupe", *ANNA, "--mailbox", "Nowhere", status=Exit.NOT_FOUND)
    refused = cli("dedupe", *ANNA, "--prefer", "Inobx", "--apply", status=Exit.NOT_FOUND)
    assert "No mailbox Inobx is looked at" in refused.stderr


def test_an_mbox_is_reported_on_alone(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "old.mbox"
    path.write_bytes(
        b"".join(b"From a@b Mon Jan  1 00:00:00 2024\n" + data + b"\n" for data in (MESSAGE, OTHER, MESSAGE))
    )
    shown = cli("dedupe", "--mbox", str(path)).stdout
    assert "old.mbox at octet 0 " in shown
    assert "1 message (" in shown
    found = json.loads(cli("dedupe", "--mbox", str(path), "--json").stdout)
    assert found["groups"][0]["keep"]["where"] == "old.mbox at octet 0"
    assert path.read_bytes().count(b"From a@b") == 3
    for option in ("--apply", "--undo"):
        cli("dedupe", "--mbox", str(path), option, status=Exit.REFUSED)
    for option in ("--mailbox", "--prefer"):
        cli("dedupe", "--mbox", str(path), option, "Nowhere", status=Exit.NOT_FOUND)
    cli("dedupe", "--mbox", str(tmp_path / "none"), status=Exit.NOT_FOUND)


def test_what_makes_no_sense_is_refused(cli: Cli) -> None:
    cli("dedupe", status=Exit.USAGE)
    cli("dedupe", *ANNA, "--mbox", "x", status=Exit.USAGE)
    cli("dedupe", *ANNA, "--apply", "--undo", status=Exit.USAGE)
    cli("dedupe", "--account", "nobody@example.com", status=Exit.NOT_FOUND)


def test_the_page_names_every_field_that_makes_no_difference() -> None:
    page = (Path(__file__).parents[2] / "docs" / "dedupe.md").read_text("utf-8")
    listed = page.partition("no difference (`*`")[2].partition(".\n\nAll else")[0]
    assert listed.replace("\n", " ").partition("):  ")[2].split(", ") == [f"`{name}`" for name in TRACE_FIELDS]
