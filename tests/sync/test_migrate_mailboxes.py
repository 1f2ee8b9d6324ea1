"""Moving an account: what mailboxes are called at the target, and which of them go."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from restante.errors import Refusal
from restante.sync.migrate.model import AllMail, Wishes
from restante.sync.model import Place
from restante.sync.side import MailboxUnavailable

from .memory import ALL, Disk, MemorySide
from .moving import NO_EMAILS, SEEN, Move, contents, everything, text, total

pytestmark = pytest.mark.in_memory


def test_a_special_use_of_the_target_takes_the_mail(move: Move) -> None:
    move.target.create("Sent", "\\Sent")
    move.run()
    assert contents(move.target, "Sent") == contents(move.source, "Gesendet")
    assert "Gesendet" not in move.target.boxes
    move.state.unlink()
    assert total(move.run(), "copied") == 0


def test_names_are_mapped_and_mailboxes_can_be_brought_together(move: Move) -> None:
    move.run(Wishes(maps=(("Work", "Job"), ("Gesendet", "Together"), ("Empty", "Together"))))
    assert contents(move.target, "Job/2026/July") == contents(move.source, "Work/2026/July")
    assert contents(move.target, "Together") == contents(move.source, "Gesendet")
    assert (
        total(move.run(Wishes(maps=(("Work", "Job"), ("Gesendet", "Together"), ("Empty", "Together")))), "copied") == 0
    )


def test_two_mailboxes_with_the_same_message_can_be_brought_together(move: Move) -> None:
    move.abilities = (NO_EMAILS, NO_EMAILS)
    move.source.deliver("Empty", text(30), SEEN, 1_600_000_000)
    wishes = Wishes(maps=(("Gesendet", "Together"), ("Empty", "Together")))
    move.run(wishes)
    assert len(move.target.boxes["Together"].messages) == 2
    move.state.unlink()
    assert total(move.run(wishes), "copied") == 0


class Flat:
    """A target without levels below the second, and without dots in names."""

    def __init__(self, side: MemorySide) -> None:
        self._side = side

    def __getattr__(self, name: str) -> Any:
        return getattr(self._side, name)

    async def create(self, name: str, role: str | None) -> Place:
        if name.count("/") > 1 or "." in name:
            raise MailboxUnavailable(f"{name} is no name here.")
        return await self._side.create(name, role)


def test_a_name_that_the_target_refuses_is_spelt_otherwise(move: Move) -> None:
    move.source.create("a.b")
    move.source.deliver("a.b", text(70))
    report = move.run(wrap=Flat)
    assert report.aside == []
    assert contents(move.target, "Work/2026_July") == contents(move.source, "Work/2026/July")
    assert contents(move.target, "a_b") == contents(move.source, "a.b")
    assert total(move.run(wrap=Flat), "copied") == 0
    move.state.unlink()
    assert total(move.run(wrap=Flat), "copied") == 0


def test_two_names_that_would_fall_together_stay_apart(move: Move) -> None:
    move.source.create("a.b")
    move.source.deliver("a.b", text(70))
    move.source.create("a_b")
    move.source.deliver("a_b", text(71))
    for _ in range(2):
        move.run(wrap=Flat)
        found = {each.data for name in ("a_b", "a_b (2)", "a_b_2") if name in move.target.boxes
                 for each in move.target.boxes[name].messages.values()}  # fmt: skip
        assert found == {text(70), text(71)}
        assert len(move.target.boxes["a_b"].messages) == 1
        move.state.unlink()


def test_only_and_exclude_choose_mailboxes(move: Move) -> None:
    report = move.run(Wishes(only=("INBOX", "Work*"), exclude=("*/July",)))
    assert [each.source for each in report.mailboxes] == ["INBOX"]
    assert {each.mailbox for each in report.left_out} == {"Empty", "Gesendet", "Work/2026/July"}
    with pytest.raises(Refusal, match="Wrok"):
        move.run(Wishes(exclude=("Wrok",)))


def test_a_mailbox_whose_name_cannot_be_read_has_not_arrived(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was told beside "all are at the target", which it was not."""
    monkeypatch.setattr(MemorySide, "left_out_mailboxes", {b"a&ABs-b": "its name cannot be read"}, raising=False)
    report = move.run()
    assert [(each.mailbox, each.uid, each.reason) for each in report.aside] == [
        ("a&ABs-b", 0, "its name cannot be read")
    ]
    assert report.counts is not None
    assert (report.counts.unlisted, report.counts.damaged) == (1, 1)
    assert move.verify().unlisted == 1
    assert len(move.run(Wishes(dry_run=True)).aside) == 1
    for wishes in (Wishes(exclude=("a&ABs-b",)), Wishes(only=("INBOX",))):
        report = move.run(wishes)
        assert report.aside == []
        assert ("a&ABs-b", "as asked") in [(each.mailbox, each.reason) for each in report.left_out]
        assert move.verify().unlisted == 0


def gmail() -> Disk:
    disk = Disk("g")
    for name, role in (("All Mail", "\\All"), ("Starred", "\\Flagged"), ("Sent Mail", "\\Sent")):
        disk.create(f"[Gmail]/{name}", role)
    for number in range(5):
        disk.deliver("[Gmail]/All Mail", text(number), SEEN, 1_700_000_000 + number, f"gmail-message-{number:08}")
    disk.deliver("INBOX", text(0), SEEN, 1_700_000_000, "gmail-message-00000000")
    disk.deliver("[Gmail]/Starred", text(0), SEEN, 1_700_000_000, "gmail-message-00000000")
    disk.deliver("[Gmail]/Sent Mail", text(1), SEEN, 1_700_000_001, "gmail-message-00000001")
    return disk


def test_all_mail_is_left_out_and_said_to_be(tmp_path: Path) -> None:
    move = Move(tmp_path, gmail(), Disk("t"))
    move.target.create("Sent", "\\Sent")
    report = move.run()
    assert sorted(everything(move.target)) == ["INBOX", "Sent"]
    assert [each.mailbox for each in report.left_out] == ["[Gmail]/All Mail", "[Gmail]/Starred"]
    assert "--all-mail rest" in report.left_out[0].reason


@pytest.mark.parametrize("emails", [True, False])
def test_of_all_mail_what_is_in_no_other_mailbox_can_go(tmp_path: Path, emails: bool) -> None:
    move = Move(tmp_path, gmail(), Disk("t"))
    move.abilities = (replace(ALL, emails=emails), ALL)
    move.target.create("Sent", "\\Sent")
    move.target.deliver("Sent", text(1), SEEN, 1_700_000_001, "gmail-message-00000001")
    wishes = Wishes(all_mail=AllMail.REST)
    report = move.run(wishes)
    assert {each.data for each in move.target.boxes["Archive"].messages.values()} == {text(2), text(3), text(4)}
    assert total(report, "elsewhere") == 2
    assert report.counts is not None
    assert (report.counts.messages, report.counts.same) == (5, 5)
    report = move.run(wishes)
    assert total(report, "copied") == 0
    assert report.counts is not None
    assert report.counts.same == 5
    move.state.unlink()
    assert total(move.run(wishes), "copied") == 0
