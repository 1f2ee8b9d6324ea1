"""Hot queries read index ranges: no scan of a table, no sorting."""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import apsw
import pytest

from restante.query.order import Criterion, SortKey
from restante.query.threads import Algorithm
from restante.store.model import Column
from restante.store.sqlite import (
    account_backup,
    account_changes,
    acl,
    annotation,
    append,
    changes,
    content,
    emails,
    flags,
    identity,
    indexes,
    mailboxes,
    marks,
    matches,
    openings,
    reader,
    rows,
    search,
    sort,
    sort_keys,
    stamps,
    suffixes,
    texts,
    transaction,
    transfer,
    unchanged,
)
from restante.store.sqlite.schema import TABLES

SORTED_BY = [key for key in SortKey if key is not SortKey.RELEVANCY]

HOT = {
    "rows": (rows.rows_sql((Column.FLAGS, Column.MODSEQ), True, False), 4),
    "rows of many ranges": (rows.rows_sql((Column.FLAGS,), False, False), 3),
    "rows with answers": (rows.rows_sql((Column.ENVELOPE, Column.BODYSTRUCTURE), True, False), 4),
    "rows with everything": (rows.rows_sql(tuple(Column), False, False), 3),
    "removed rows": (rows.rows_sql((Column.FLAGS, Column.CONTENT), True, True), 4),
    "removed rows of many ranges": (rows.rows_sql((Column.ENVELOPE,), False, True), 3),
    "uids": ("SELECT uid FROM placement WHERE mailbox = ? ORDER BY uid", 1),
    "first unseen": (openings._FIRST_UNSEEN, 3),
    "lowest touched": (openings._LOWEST_TOUCHED, 2),
    "first unseen is there": (openings._THERE, 2),
    "lowest changed": (openings._LOWEST_CHANGED, 2),
    "changed": (changes.CHANGED, 3),
    "vanished": (changes._VANISHED, 3),
    "long stamps below a new one": (stamps._OVER, 3),
    "stamps to prune": (stamps._PRUNE, 3),
    "flags to change": (flags._OF_SET, 3),
    "flags changed": (flags._UPDATE, 5),
    "flags changed by range": (flags._UPDATE_RANGE, 6),
    "gone": (matches.GONE, 3),
    "sort keys of one": (sort_keys.values_sql([Criterion(key) for key in SORTED_BY], "placement"), 2),
    "sort keys of one that is gone": (sort_keys.values_sql([Criterion(key) for key in SORTED_BY], "removed"), 2),
    "changed since": (unchanged._LATE, 3),
    "history since": (unchanged._HISTORY, 2),
    "how much history": (unchanged._WIDTH, 2),
    "whether it reaches": (unchanged._REACHES, 1),
    "count placed": (transaction._COUNT_PLACED, 3),
    "removed now": (transaction._REMOVED_SINCE, 1),
    "same email": (suffixes._SAME_EMAIL, 3),
    "same uidl": (suffixes._SAME_UIDL, 3),
    "suffixes": (suffixes._SUFFIXES_BY_BASE, 2),
    "known email": (transfer._KNOWN, 1),
    "known emails": (emails.KNOWN, 1),
    "has email": (append._HAS, 1),
    "contents": (content._READ_MANY, 1),
    "contents by digest": (content._HELD, 1),
    "mailbox": (mailboxes._BY_KEY, 2),
    "mailbox by name": (mailboxes._BY_NAME, 2),
    "annotation names": (annotation._NAMES, 2),
    "annotations": (annotation._VALUES, 3),
    "roles": (annotation._ROLES, 1),
    "annotations counted": (annotation._COUNT, 2),
    "events": (account_changes._EVENTS, 2),
    "placed by others": (account_changes._PLACED, 3),
    "removed by others": (account_changes._REMOVED, 3),
    "thread": (identity._LINK, 2),
    "threads": (identity._LINKS[4], 8),
    "search by number": (search.placements_sql(["e.id"], "p.size > 1 AND instr(s.subject, 'X') > 0", 9), 2),
    "search by candidates": (search.candidates_sql(["k.sent"], "p.uid BETWEEN 1 AND 9").replace("(?)", "(?1)"), 2),
    "candidates behind one": (
        search.candidates_sql(["s.subject"], f"1 AND {search._BEHIND.text}").replace("(?)", "(?1)"),
        4,
    ),
    **{f"texts {wanted}": (sql, 1) for wanted, sql in texts.STATEMENTS.items()},
    "facts of threads": (sort._COLUMNS[Algorithm.REFERENCES], 3),
    "not indexed yet": (indexes._WAITING, 2),
    "a reader's rows": (rows.rows_sql((Column.FLAGS, Column.MODSEQ), True, False, True), 5),
    "a reader's rows of many ranges": (rows.rows_sql((Column.FLAGS, Column.ENVELOPE), False, False, True), 4),
    "changed for a reader": (reader._FEW_CHANGED, 4),
    "seen by a reader": (reader._COUNT, 2),
    "a reader's highest": (reader._HIGHEST, 2),
    "a reader's states": (reader._SEEN, 1),
    "few marks": (marks.FEW_SEEN, 3),
    "few marks since": (marks.FEW_TOUCHED, 4),
    "unseen by a reader": (search.placements_sql([], f"NOT {marks.SEEN}", 9), 3),
    "marked since": (search.placements_sql([], f"(p.modseq > 1 OR {marks.TOUCHED})", 9), 4),
    "end of a batch": (search.UID_AFTER, 3),
    "seen or not": (reader._OF_STATE, 4),
    "late for a reader": (reader._SINCE, 4),
    "first unseen by a reader": (reader._FIRST_UNSEEN, 3),
    "rights": (acl._APPLYING + " AND mailbox = ?4", 4),
    "rights on all": (acl._APPLYING, 3),
    "to be carried": (transfer._SOURCE, 3),
    "weighed": (transfer._WEIGHT, 2),
}

SMALL = (
    "SCAN s VIRTUAL TABLE",
    "SCAN c VIRTUAL TABLE",
    "SCAN carray VIRTUAL TABLE",
    "SCAN account",
    "SCAN 4 CONSTANT ROWS",
    "SCAN wanted",
    "SCAN flagset",
    "SCAN keyword",
    "SCAN (subquery-1)",
    "LIST SUBQUERY",
    "SCALAR SUBQUERY",
)
"""Steps over what the caller named or bounded, or over the few flag sets or keywords of an account."""


def plan(db: apsw.Connection, sql: str, parameters: int) -> Sequence[str]:
    values = [apsw.carray(array("q", [1])) if f"carray(?{n + 1})" in sql else 1 for n in range(parameters)]
    return [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {sql}", values)]


@pytest.mark.parametrize("name", list(HOT))
def test_hot_queries_neither_scan_nor_sort(name: str) -> None:
    db = apsw.Connection(":memory:")
    db.execute(TABLES)
    sql, parameters = HOT[name]
    for step in plan(db, sql, parameters):
        assert "TEMP B-TREE" not in step, step
        assert not step.startswith("SCAN") or step.startswith(SMALL), step


@pytest.mark.parametrize(
    "name",
    [
        "rows of many ranges",
        "removed rows of many ranges",
        "flags to change",
        "changed since",
        "to be carried",
        "facts of threads",
    ],
)
def test_rows_by_range_come_in_order_of_uid(name: str) -> None:
    """The order is promised to callers, and is that of the index (mailbox, uid)."""
    db = apsw.Connection(":memory:")
    db.execute(TABLES)
    steps = [step for step in plan(db, *HOT[name]) if " p " in step]
    assert len(steps) == 1
    assert "mailbox=? AND uid>? AND uid<?" in steps[0]


@pytest.mark.parametrize("mark", [marks.SEEN, marks.TOUCHED])
def test_a_mark_is_found_by_its_key(mark: str) -> None:
    """Not by the reader's index, which would read all that he has marked, for each message."""
    db = apsw.Connection(":memory:")
    db.execute(TABLES)
    sql = search.placements_sql([], mark, 9)
    (step,) = [step for step in plan(db, sql, sql.count("?")) if step.startswith("SEARCH v")]
    assert "PRIMARY KEY (mailbox=? AND uid=? AND user=?)" in step


@pytest.mark.parametrize(("sql", "parameters"), [(reader._FEW_CHANGED, 4), (reader._ALL_CHANGED, 3)])
def test_what_changed_for_a_reader_is_read_by_change_number(sql: str, parameters: int) -> None:
    """His own changes too: not by the placements that have not changed, which are the whole mailbox."""
    db = apsw.Connection(":memory:")
    db.execute(TABLES)
    steps = [step for step in plan(db, sql, parameters) if "modseq" in step]
    assert [step.partition(" USING ")[2] for step in steps] == [
        "PRIMARY KEY (mailbox=? AND modseq>?)",
        "COVERING INDEX seen_reader (user=? AND mailbox=? AND seen=? AND modseq>?)",
    ]


def test_an_emailid_leads_to_its_placements() -> None:
    db = apsw.Connection(":memory:")
    db.execute(TABLES)
    steps = plan(db, search.placements_sql([], "e.id = ?", 9), 3)
    assert [step.split(" USING ")[0] for step in steps[:2]] == ["SEARCH e", "SEARCH p"]


@pytest.mark.parametrize(
    ("sql", "by"),
    [(account_backup._FLAGGED, "c USING PRIMARY KEY"), (account_backup._GONE, "removed USING INDEX removed_modseq")],
)
def test_a_night_is_read_by_change_number(sql: str, by: str) -> None:
    """Not by UID, which would go through the whole mailbox."""
    db = apsw.Connection(":memory:")
    db.execute(TABLES)
    step = plan(db, sql, sql.count("?"))[0]
    assert step.startswith(f"SEARCH {by} (mailbox=? AND modseq>?)")
