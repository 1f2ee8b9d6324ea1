"""The index of a Maildir tree: older files, and what changed since a number."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from restante.sync.maildir import index
from restante.sync.maildir.index import BadIndex, Index


def filled(path: Path, messages: int = 20) -> tuple[Index, int]:
    """An index with a folder of so many messages, of which every other has been flagged since; and the folder's key."""
    found = Index(path)
    with found.writing():
        key = found.add_folder("r" * 10, "", "v")
        uids = found.insert(key, [(b"%d.x\xff" % n, n % 2, b":2,", None) for n in range(messages)])
    for uid in uids[::2]:
        with found.writing():
            found.renamed(key, [(uid, b":2,S", 0)])
    return found, key


def plan(path: Path) -> str:
    """How SQLite finds what changed."""
    db = apsw.Connection(str(path))
    steps = db.execute("EXPLAIN QUERY PLAN SELECT uid FROM message WHERE folder = 1 AND changed > 1").fetchall()
    db.close()
    return " ".join(str(step[3]) for step in steps)


@pytest.mark.parametrize("few", [1, 5, 1000])
def test_what_changed_is_found_by_the_index_or_by_a_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    found, key = filled(tmp_path / "maildir.db")
    last = found.folder(key).number
    monkeypatch.setattr(index, "CHUNK", few)
    everything = list(found.rows_since(key, 0))
    assert [uid for uid, _, _ in everything] == list(range(1, 21))
    for number in range(last + 1):
        changed = [uid for uid, info, _ in everything if info and info[3:]][-(last - number) :] if number < last else []
        if number >= 2:  # behind the number under which all came
            assert [uid for uid, _, _ in found.rows_since(key, number)] == changed
    found.close()


def test_names_that_are_no_utf8_come_as_they_are(tmp_path: Path) -> None:
    found, key = filled(tmp_path / "maildir.db", 2)
    ((cur, new),) = found.files(key)
    assert [name.encode("utf-8", "surrogateescape") for name in cur + new] == [b"0.x\xff:2,S", b"1.x\xff:2,"]
    found.close()


def test_an_index_of_the_first_version_is_brought_up(tmp_path: Path) -> None:
    path = tmp_path / "maildir.db"
    found, key = filled(path)
    before, number = list(found.rows_since(key, 0)), found.folder(key).number
    found.close()
    db = apsw.Connection(str(path))
    db.execute("DROP INDEX message_changed; PRAGMA user_version = 1")
    db.close()
    assert "message_changed" not in plan(path)
    found = Index(path)
    assert list(found.rows_since(key, 0)) == before
    assert len(list(found.rows_since(key, number - 3))) == 3
    found.close()
    assert "message_changed" in plan(path)
    assert apsw.Connection(str(path)).pragma("user_version") == index.VERSION


def test_an_index_of_a_later_version_is_refused(tmp_path: Path) -> None:
    filled(tmp_path / "maildir.db")[0].close()
    db = apsw.Connection(str(tmp_path / "maildir.db"))
    db.execute(f"PRAGMA user_version = {index.VERSION + 1}")
    db.close()
    with pytest.raises(BadIndex):
        Index(tmp_path / "maildir.db")
