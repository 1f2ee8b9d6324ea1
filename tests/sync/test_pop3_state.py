"""The state file: one run at a time, recognised as what it is, and asked without a scan."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from restante.sync.pop3.errors import StateInUse, StateUnusable
from restante.sync.pop3.identity import of_message
from restante.sync.pop3.state import Listed, Pop3State

from .pop3_world import Server, client, letter


def test_two_runs_do_not_meet(tmp_path: Path) -> None:
    with Pop3State(tmp_path / "state", "a"):
        with pytest.raises(StateInUse) as refused:
            Pop3State(tmp_path / "state", "a")
        assert refused.value.temporary
    Pop3State(tmp_path / "state", "a").close()
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o600


def test_what_is_no_state_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"my diary\n" * 1000)
    with pytest.raises(StateUnusable, match="Move it away"):
        Pop3State(tmp_path / "text", "a")
    assert (tmp_path / "text").read_bytes() == b"my diary\n" * 1000
    other = apsw.Connection(str(tmp_path / "other"))
    other.execute("CREATE TABLE x (y); PRAGMA user_version=1")
    other.close()
    with pytest.raises(StateUnusable, match="no state of fetching"):
        Pop3State(tmp_path / "other", "a")
    with Pop3State(tmp_path / "new", "a") as state:
        state.db.execute("PRAGMA user_version=2")
    with pytest.raises(StateUnusable, match="version 2"):
        Pop3State(tmp_path / "new", "a")


def test_a_full_disk_is_told_and_undoes_what_was_begun(tmp_path: Path) -> None:
    with Pop3State(tmp_path / "state", "a") as state:
        state.db.execute(f"PRAGMA max_page_count={state.db.execute('PRAGMA page_count').get}")
        with pytest.raises(StateUnusable, match="full"):
            state.record_new(
                [(Listed(n, b"%d" % n, 1), of_message(letter(f"m{n}")), n) for n in range(1000)], "INBOX", 0
            )
        state.put_listing([(1, b"1", 1, True)])
        assert state.unknown() == [Listed(1, b"1", 1)]


def test_mail_that_moves_to_another_server_is_recognised(tmp_path: Path) -> None:
    who, server = client(tmp_path), Server()
    for n in range(3):
        server.put(letter(f"m{n}"))
    asyncio.run(who.fetch(server))
    who.settings = replace(who.settings, host="other.example.org")
    server.salt += 1
    report = asyncio.run(who.fetch(server))
    assert (report.downloaded, report.recognised) == (0, 3)


def test_no_question_scans_what_grows(tmp_path: Path) -> None:
    """The plans of what is asked for each batch, or each listing: indexes, whatever the number of messages."""
    with Pop3State(tmp_path / "state", "a") as state:
        state.put_listing((n, b"%d" % n, 100, True) for n in range(1, 50))
        identity = of_message(letter("x"))
        asked: list[tuple[str, object]] = []

        def trace(_: apsw.Cursor, sql: str, bindings: object) -> bool:
            asked.append((sql, bindings))
            return True

        state.db.exec_trace = trace
        state.by_name([b"1"])
        state.free_known([identity.head], [identity.core])
        state.free_held([identity.mark])
        state.free_sizes([100])
        state.forget([b"1"])
        state.unknown()
        state.due(0)
        state.db.exec_trace = None
        looked = [(sql, bindings) for sql, bindings in asked if sql.startswith(("SELECT", "DELETE"))]
        assert len(looked) == 10
        for sql, bindings in looked:
            for row in state.db.execute("EXPLAIN QUERY PLAN " + sql, bindings):  # type: ignore[arg-type] # as it was given
                step = str(row[3])
                assert not step.startswith("SCAN ") or step.split()[1] in ("j", "json_each", "l", "CONSTANT"), (
                    sql,
                    step,
                )
